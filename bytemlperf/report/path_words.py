"""How queries and their data reached `predict`, in a line each.

Input: points. Output: words, or None where nothing is known.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bytemlperf.report.schema import Point
from bytemlperf.report.schema.hand_over import HandOverReport, WaitReport
from bytemlperf.report.units import format_bytes, format_count

__all__ = ["input_words", "path_words"]


def path_words(points: Sequence[Point]) -> str | None:
    """Say how queries reached predict, by which rule, and what waiting took.

    Parameters
    ----------
    points : sequence of Point
        Of a task.

    Returns
    -------
    str or None
        Such as ``"lane, because clients that only ask ..."``; None in results that do
        not say it.
    """
    told = [point for point in points if point.predict_path]
    if not told:
        return None
    first = told[0]
    words = f"{first.predict_path}, because {first.path_reason}"
    waited = [(p.hand_over, p.window_ns) for p in told if p.hand_over is not None]
    if not waited:
        return words
    reports = [report for report, _ in waited]
    window_ns = sum(window for _, window in waited)
    return (
        f"{words}; waits for answers: {_waits(reports, lambda r: r.clients)}; for "
        f"queries: {_waits(reports, lambda r: r.predict)}" + _spun(reports, window_ns)
    )


def _waits(
    reports: Sequence[HandOverReport], side: Callable[[HandOverReport], WaitReport]
) -> str:
    spun = sum(side(report).spun_count for report in reports)
    slept = sum(side(report).slept_count for report in reports)
    return f"{format_count(spun)} spun, {format_count(slept)} slept"


def _spun(reports: Sequence[HandOverReport], window_ns: int) -> str:
    sides = [side for report in reports for side in (report.clients, report.predict)]
    spun_ns = sum(side.spun_ns for side in sides)
    preempted = sum(side.preempted_count for side in sides)
    if not spun_ns or not window_ns:
        return ""
    lost = f", {format_count(preempted)} times cut short" if preempted else ""
    return f" ({spun_ns / window_ns:.1%} of a processor spun{lost})"


def input_words(points: Sequence[Point]) -> str | None:
    """Say how many batches were laid out without a copy, and what backends copied.

    Parameters
    ----------
    points : sequence of Point
        Of a task.

    Returns
    -------
    str or None
        Such as ``"12 of 12 batches are views of the samples"``; None without batches.
    """
    views = sum(point.view_count for point in points)
    batches = views + sum(point.gather_count for point in points)
    if not batches:
        return None
    words = (
        f"{format_count(views)} of {format_count(batches)} batches are views of the "
        "samples"
    )
    if views < batches:
        words += ", the others were gathered"
    told = [point.inputs for point in points if point.inputs is not None]
    if not told:
        return words
    copied = sum(report.copied_count for report in told)
    if not copied:
        return f"{words}; the framework reads them in place"
    copied_bytes = sum(report.copied_bytes for report in told)
    return (
        f"{words}; the backend copied {format_count(copied)} arrays "
        f"({format_bytes(copied_bytes)}) for its framework"
    )
