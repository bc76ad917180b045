"""What a point is called, in as few words as tell it from its neighbours.

Input: points of one task. Output: names. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence

from bytemlperf.report.schema import Point

__all__ = ["point_names"]


def point_names(points: Sequence[Point]) -> list[str]:
    """Name each point by its batch size, and by what else differs.

    Parameters
    ----------
    points : sequence of Point
        Of one task, in order.

    Returns
    -------
    list of str
        Such as ``"batch 8"``; all different.
    """
    details = [
        ("clients", [point.clients for point in points]),
        ("max batch", [point.max_batch for point in points]),
        ("max delay us", [point.max_delay_us for point in points]),
        ("predict threads", [point.predict_threads for point in points]),
    ]
    names = [f"batch {point.batch_size}" for point in points]
    for word, values in details:
        # A batch size of its own explains a limit of its own.
        if len(set(names)) == len(names):
            break
        if len(set(values)) > 1:
            names = [
                f"{name}, {value} {word}"
                for name, value in zip(names, values, strict=True)
            ]
    seen: dict[str, int] = {}
    for index, name in enumerate(names):
        seen[name] = seen.get(name, 0) + 1
        if seen[name] > 1:
            names[index] = f"{name} (run {seen[name]})"
    return names
