"""The table of overhead certificates: what the harness costs, by batch size.

Input: certificates. Output: a rich table.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from bytemlperf.report.percentiles import min_count
from bytemlperf.report.schema import OverheadReport
from bytemlperf.report.units import format_count, format_duration_ns

__all__ = ["overhead_table"]

HEADINGS = (
    "\nn", "harness\na query", "CPU\na query", "null\np50", "null\np99", "lag\np50",
    "lag\np99", "lag\np99.9", "wake-up\np50", "wake-up\np99", "wake-up\np99.9",
)  # fmt: skip


def overhead_table(
    reports: Sequence[tuple[int, OverheadReport, bool]],
) -> Table | None:
    """Lay out certificates.

    Parameters
    ----------
    reports : sequence of tuple
        Batch size, certificate, and whether its load was an open loop.

    Returns
    -------
    Table or None
        None if there are none.
    """
    if not reports:
        return None
    has_share = any(report.share is not None for _, report, _ in reports)
    table = Table(
        box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, collapse_padding=True
    )
    last = ("of the\npoint",) if has_share else ()
    for heading in ("batch\nsize", *HEADINGS, *last):
        table.add_column(
            Text(heading), justify="right", no_wrap=True, header_style="bold"
        )
    for batch_size, report, is_open in reports:
        share = "-" if report.share is None else f"{report.share:.2%}"
        table.add_row(
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
        )
    return table


def _shown(value_ns: int | None, percentile: float) -> str:
    if value_ns is None:
        return f"n<{min_count(percentile)}"
    return format_duration_ns(value_ns)
