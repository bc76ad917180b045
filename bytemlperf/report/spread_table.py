"""Repeats of one run: how far they are apart.

Input: a `VariantsResult` of repeats. Output: a rich renderable: a row a figure.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from bytemlperf.report.plain_text import clean_line
from bytemlperf.report.schema.variants import VariantPoint, VariantsResult
from bytemlperf.report.text_table import TextColumn, TextTable
from bytemlperf.report.units import format_duration_ns, format_rate
from bytemlperf.statistics.probability import student_quantile

__all__ = ["SPREAD_NOTE", "spread_table", "spread_view"]

NAMES = ("task", "batch", "figure")
HEADINGS = (*NAMES, "runs", "mean", "95 % of the mean", "least", "most", "spread")
SPREAD_NOTE = (
    "spread: standard deviation between repeats over their mean; the interval is "
    "Student's t of the repeats"
)


def spread_view(result: VariantsResult) -> RenderableType:
    """Lay out the spread between repeats.

    Parameters
    ----------
    result : VariantsResult
        Of two repeats or more; with one there is no spread.

    Returns
    -------
    RenderableType
        For a console of any width.
    """
    return Group(spread_table(result), Text(), Text(SPREAD_NOTE))


def spread_table(result: VariantsResult) -> TextTable:
    """Return the table alone: a row a figure, of every task and batch size."""
    rows: list[list[str]] = []
    for (task, hardware, size), points in _grouped(result).items():
        for name in ("QPS", "mean", *points[0].percentiles_ns):
            values = [
                value for value in (_value(point, name) for point in points)
                if value is not None
            ]  # fmt: skip
            cells = _cells(values, format_rate if name == "QPS" else format_duration_ns)
            where = clean_line(f"{task} on {hardware}")
            rows.append([where, str(size), name, str(len(values)), *cells])
    return TextTable(
        [
            TextColumn(heading, [row[index] for row in rows], is_left=heading in NAMES)
            for index, heading in enumerate(HEADINGS)
        ],
        key_count=len(NAMES),
    )


def _grouped(
    result: VariantsResult,
) -> dict[tuple[str, str, int], list[VariantPoint]]:
    groups: dict[tuple[str, str, int], list[VariantPoint]] = {}
    for variant in result.variants:
        for point in variant.points:
            key = point.task, point.hardware_type, point.batch_size
            groups.setdefault(key, []).append(point)
    return groups


def _value(point: VariantPoint, name: str) -> float | None:
    if name == "QPS":
        return point.throughput_samples_per_s
    return point.mean_ns if name == "mean" else point.percentiles_ns.get(name)


def _cells(values: Sequence[float], show: object) -> list[str]:
    assert callable(show)
    mean = sum(values) / len(values)
    if len(values) < 2:
        return [show(mean), "?", show(mean), show(mean), "?"]
    deviation = math.sqrt(
        sum((value - mean) ** 2 for value in values) / (len(values) - 1)
    )
    half = student_quantile(0.975, len(values) - 1) * deviation / math.sqrt(len(values))
    return [
        show(mean),
        f"[{show(max(0.0, mean - half))}, {show(mean + half)}]",
        show(min(values)),
        show(max(values)),
        f"{deviation / mean:.1%}" if mean else "?",
    ]
