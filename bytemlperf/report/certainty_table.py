"""How sure the figures are: one row a point, each figure with its 95 % interval.

Input: points. Output: a rich renderable that looks at its width when it is drawn: a
column a figure if that fits, else a row a figure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich import box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from bytemlperf.report.schema.point import Point
from bytemlperf.report.units import (
    format_count,
    format_duration_ns,
    format_rate,
)
from bytemlperf.statistics.blocks import Estimate
from bytemlperf.statistics.order import loadgen_min_count
from bytemlperf.statistics.summary import PercentileStatistics, RunStatistics

__all__ = ["CertaintyTable", "format_interval_ns"]

Figure = tuple[str, str, str]


class CertaintyTable:
    """Intervals of points.

    Parameters
    ----------
    points : sequence of Point
        Those with statistics are shown, in this order.
    """

    def __init__(self, points: Sequence[Point]) -> None:
        self._points = points

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> RenderResult:
        """Draw it as wide as fits.

        Yields
        ------
        Table
            One.
        """
        wide = self._wide()
        needed = Measurement.get(console, options.update(max_width=10_000), wide)
        yield wide if needed.maximum <= options.max_width else self._tall()

    def _wide(self) -> Table:
        table = _empty_table()
        named = [
            (point, list(_figures(point, point.statistics)))
            for point in self._points
            if point.statistics is not None
        ]
        table.add_column(Text("batch\nsize"), justify="right", header_style="bold")
        for name, _, _ in max((figures for _, figures in named), key=len, default=[]):
            table.add_column(Text(f"\n{name}"), header_style="bold", no_wrap=True)
        for point, figures in named:
            table.add_row(
                Text(str(point.batch_size)),
                *(
                    Text.assemble(cell, ("\n" + more, "dim"))
                    for _, cell, more in figures
                ),
            )
        return table

    def _tall(self) -> Table:
        table = _empty_table()
        table.add_column(Text("batch\nsize"), justify="right", header_style="bold")
        for heading in ("\nfigure", "\n95 % interval", "\nbeside it"):
            table.add_column(Text(heading), header_style="bold")
        for point in self._points:
            if point.statistics is None:
                continue
            for name, cell, more in _figures(point, point.statistics):
                table.add_row(
                    Text(str(point.batch_size)), Text(name), Text(cell), Text(more)
                )
        return table


def format_interval_ns(low_ns: float | None, high_ns: float | None) -> str:
    """Format the ends of an interval of durations.

    Parameters
    ----------
    low_ns, high_ns : float or None
        None: not bounded on that side.

    Returns
    -------
    str
        Such as ``"[11.9, 13.0 ms]"`` or ``"[850 us, ?]"``.
    """
    low = "?" if low_ns is None else format_duration_ns(low_ns)
    high = "?" if high_ns is None else format_duration_ns(high_ns)
    number, _, unit = low.partition(" ")
    if unit and high.endswith(f" {unit}"):
        low = number
    return f"[{low}, {high}]"


def _empty_table() -> Table:
    return Table(
        box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, collapse_padding=True
    )


def _figures(point: Point, statistics: RunStatistics) -> Iterator[Figure]:
    """Name each figure, its interval, and what to compare it with.

    Yields
    ------
    (str, str, str)
        For one row.
    """
    rate = statistics.throughput_samples_per_s
    yield "QPS", _rate(point.throughput_samples_per_s, rate), _batches(rate)
    mean = statistics.mean_latency_ns
    yield (
        "mean",
        f"{format_duration_ns(mean.value)} {format_interval_ns(mean.low, mean.high)}",
        _batches(mean),
    )
    for each in statistics.percentiles:
        yield f"p{each.percentile:g}", *_percentile(each, point.query_count)


def _rate(value: float, rate: Estimate) -> str:
    """Show the point's own figure; blocks end when answers were observed."""
    low, high = (
        "?" if end is None else format_rate(end) for end in (rate.low, rate.high)
    )
    return f"{format_rate(value)} [{low}, {high}]"


def _batches(estimate: Estimate) -> str:
    if estimate.low is None:
        return f"{estimate.batch_count} blocks: needs 8"
    if estimate.high is None:
        return f"too few independent, {estimate.batch_count} batches"
    half = estimate.high - estimate.value
    share = half / estimate.value if estimate.value else 0.0
    return f"+-{share:.1%}, {estimate.batch_count} batches"


def _percentile(each: PercentileStatistics, count: int) -> tuple[str, str]:
    if each.value_ns is None:
        return f"n={count}: needs {format_count(each.needed_count)}", ""
    interval = format_interval_ns(each.low_ns, each.high_ns)
    if each.loadgen_ns is None:
        needed = format_count(loadgen_min_count(1, each.percentile))
        loadgen = f"LoadGen: n<{needed}"
    else:
        loadgen = f"LoadGen: {format_duration_ns(each.loadgen_ns)}"
    return f"{format_duration_ns(each.value_ns)} {interval}", loadgen
