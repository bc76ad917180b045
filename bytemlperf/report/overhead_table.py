"""The table of overhead certificates: what the harness costs, by batch size.

Input: certificates. Output: a table.
"""

from __future__ import annotations

from collections.abc import Sequence

from bytemlperf.report.percentiles import min_count
from bytemlperf.report.schema import OverheadReport, Point
from bytemlperf.report.text_table import TextColumn, TextTable
from bytemlperf.report.units import format_count, format_duration_ns

__all__ = ["overhead_table", "point_overheads"]

HEADINGS = (
    "\nn", "harness\na query", "CPU\na query", "null\np50", "null\np99", "lag\np50",
    "lag\np99", "lag\np99.9", "wake-up\np50", "wake-up\np99", "wake-up\np99.9",
)  # fmt: skip


def overhead_table(
    reports: Sequence[tuple[int, OverheadReport, bool]],
) -> TextTable | None:
    """Lay out certificates.

    Parameters
    ----------
    reports : sequence of tuple
        Batch size, certificate, and whether its load was an open loop.

    Returns
    -------
    TextTable or None
        None if there are none.
    """
    if not reports:
        return None
    has_share = any(report.share is not None for _, report, _ in reports)
    headings = ("batch\nsize", *HEADINGS, *(("of the\npoint",) if has_share else ()))
    rows = [
        _cells(batch_size, report, is_open=is_open, has_share=has_share)
        for batch_size, report, is_open in reports
    ]
    return TextTable(
        [
            TextColumn(heading, list(cells))
            for heading, cells in zip(headings, zip(*rows, strict=True), strict=True)
        ]
    )


def _cells(
    batch_size: int, report: OverheadReport, *, is_open: bool, has_share: bool
) -> list[str]:
    share = "-" if report.share is None else f"{report.share:.2%}"
    return [
        str(batch_size),
        format_count(report.query_count),
        # The gap of a schedule is not ours.
        "-" if is_open else format_duration_ns(report.per_query_ns),
        format_duration_ns(report.cpu_per_query_ns),
        *(
            _shown(value, percentile)
            for value, percentile in (
                (report.latency_p50_ns, 50),
                (report.latency_p99_ns, 99),
                (report.lag_p50_ns, 50),
                (report.lag_p99_ns, 99),
                (report.lag_p999_ns, 99.9),
            )
        ),
        *(
            # Nobody waits in an open loop.
            "-" if is_open else _shown(value, percentile)
            for value, percentile in (
                (report.wakeup_p50_ns, 50),
                (report.wakeup_p99_ns, 99),
                (report.wakeup_p999_ns, 99.9),
            )
        ),
        *((share,) if has_share else ()),
    ]


def _shown(value_ns: int | None, percentile: float) -> str:
    if value_ns is None:
        return f"n<{min_count(percentile)}"
    return format_duration_ns(value_ns)


def point_overheads(points: Sequence[Point]) -> list[tuple[int, OverheadReport, bool]]:
    """Return what `overhead_table` lays out, of those points that have it."""
    return [
        (
            point.batch_size,
            point.overhead,
            point.load is not None and point.load.is_open,
        )
        for point in points
        if point.overhead is not None
    ]
