"""The table of a task's points: one row a batch size, in as few tables as fit.

Input: points. Output: a rich renderable that looks at its width when it is drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
from rich import box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from bytemlperf.report.percentiles import shown_percentile
from bytemlperf.report.schema import Distribution, Point
from bytemlperf.report.units import (
    format_bytes,
    format_count,
    format_duration_ns,
    format_rate,
)

__all__ = ["PointsTable", "verdict"]


class _Column(msgspec.Struct, frozen=True):
    """A heading of two lines, and what stands below it."""

    heading: str
    cell: Callable[[Point], str]


def verdict(point: Point) -> str:
    """Return a point's verdict in one word.

    Parameters
    ----------
    point : Point
        Measured.

    Returns
    -------
    str
        ``"VALID"`` or ``"INVALID"``; the reasons stand elsewhere.
    """
    return "INVALID" if point.invalid_reasons else "VALID"


def _percentile(name: str, percentile: float) -> _Column:
    field = f"p{str(percentile).replace('.', '')}_ns"

    def cell(point: Point) -> str:
        text = format_duration_ns(getattr(point.latency, field))
        return shown_percentile(text, percentile, point.latency.count)

    return _Column(f"\n{name}", cell)


def _mean(heading: str, part: Callable[[Point], Sequence[Distribution]]) -> _Column:
    """Means, because the means of the parts add up to the mean latency."""
    return _Column(
        heading,
        lambda point: format_duration_ns(sum(each.mean_ns for each in part(point))),
    )


COUNT = _Column("\nn", lambda point: format_count(point.latency.count))
BATCH_SIZE = _Column("batch\nsize", lambda point: str(point.batch_size))
VERDICT = _Column("\nverdict", verdict)
SPEED = (
    _Column("\nQPS", lambda point: format_rate(point.throughput_samples_per_s)),
    _percentile("p50", 50),
    _percentile("p90", 90),
    _percentile("p99", 99),
    _percentile("p99.9", 99.9),
    _Column("\nmax", lambda point: format_duration_ns(point.latency.max_ns)),
)
PARTS = (
    _Column("mean\nbatch", lambda point: format_rate(point.mean_batch_samples)),
    _mean("mean\nqueue", lambda point: [point.queue_wait]),
    _mean("mean\ngather", lambda point: [point.gather]),
    _mean("mean\nservice", lambda point: [point.service]),
    _mean("mean\nours", lambda point: [point.schedule_lag, point.wakeup]),
    _Column("\nCPU", lambda point: f"{point.cpu_percent:.0f}%"),
    _Column("peak\nRSS", lambda point: format_bytes(point.peak_rss_bytes)),
)
LAYOUTS = (
    ((BATCH_SIZE, COUNT, *SPEED, *PARTS, VERDICT),),
    ((BATCH_SIZE, COUNT, *SPEED, VERDICT), (BATCH_SIZE, *PARTS)),
    (
        (BATCH_SIZE, SPEED[0], SPEED[1], SPEED[3], VERDICT),
        (BATCH_SIZE, COUNT, SPEED[2], SPEED[4], SPEED[5]),
        (BATCH_SIZE, *PARTS[:4]),
        (BATCH_SIZE, *PARTS[4:]),
    ),
)


class PointsTable:
    """Points, drawn as one table if it fits and as several if not.

    Parameters
    ----------
    points : sequence of Point
        At least one, in the order to show.
    """

    def __init__(self, points: Sequence[Point]) -> None:
        self._points = points

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> RenderResult:
        """Choose the widest layout that fits; the last one is taken in any case.

        Yields
        ------
        Table
            With an empty line between two.
        """
        for layout in LAYOUTS:
            tables = [self._table(columns) for columns in layout]
            widths = [
                Measurement.get(
                    console, options.update(max_width=10_000), table
                ).maximum
                for table in tables
            ]
            if max(widths) <= options.max_width:
                break
        for index, table in enumerate(tables):
            if index:
                yield Text()
            yield table

    def _table(self, columns: Sequence[_Column]) -> Table:
        table = Table(
            box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, collapse_padding=True
        )
        for column in columns:
            table.add_column(
                Text(column.heading),
                justify="left" if column is VERDICT else "right",
                no_wrap=True,
                header_style="bold",
            )
        for point in self._points:
            table.add_row(*(_cell(column, point) for column in columns))
        return table


def _cell(column: _Column, point: Point) -> Text:
    text = column.cell(point)
    if column is VERDICT:
        return Text(text, style="bold red" if point.invalid_reasons else "green")
    return Text(text, style="dim" if text.startswith("n<") else "")
