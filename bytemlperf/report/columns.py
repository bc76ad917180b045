"""What is told of a point in a table: a name, a raw value and a text, once for all.

Input: a point. Output: cells for a page, a document or a file of rows. Pure.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from bytemlperf.report.percentiles import shown_percentile
from bytemlperf.report.points_table import verdict
from bytemlperf.report.schema import Point
from bytemlperf.report.units import (
    format_bytes,
    format_count,
    format_duration_ns,
    format_rate,
)

__all__ = ["POINT_COLUMNS", "Cell", "PointColumn"]

Value = float | int | str | None


class Cell(msgspec.Struct, frozen=True):
    """A value as it is sorted, and as it is read.

    Parameters
    ----------
    value : float, int, str or None
        Raw, in the unit of the column's key; None: there is none worth having.
    text : str
        For a person.
    """

    value: Value
    text: str


class PointColumn(msgspec.Struct, frozen=True):
    """A column of a table of points.

    Parameters
    ----------
    key : str
        With its unit, as in files.
    heading : str
        For a person.
    cell : callable
        From a point to what stands in its row.
    """

    key: str
    heading: str
    cell: Callable[[Point], Cell]


def _plain(key: str, heading: str) -> PointColumn:
    def cell(point: Point) -> Cell:
        value: int = getattr(point, key)
        return Cell(value, format_count(value))

    return PointColumn(key, heading, cell)


def _percentile(name: str, percentile: float) -> PointColumn:
    field = f"p{str(percentile).replace('.', '')}_ns"

    def cell(point: Point) -> Cell:
        value: int = getattr(point.latency, field)
        text = shown_percentile(
            format_duration_ns(value), percentile, point.latency.count
        )
        # What too few queries cannot carry is no number, in a file either.
        return Cell(None if text.startswith(("n<", "-")) else value, text)

    return PointColumn(f"latency_{field}", name, cell)


def _mean(key: str, heading: str, *parts: str) -> PointColumn:
    def cell(point: Point) -> Cell:
        found = [getattr(point, part) for part in parts]
        if not any(each.count for each in found):
            return Cell(None, "-")
        value = sum(each.mean_ns for each in found)
        return Cell(value, format_duration_ns(value))

    return PointColumn(key, heading, cell)


def _rate(point: Point) -> Cell:
    value = point.throughput_samples_per_s
    return Cell(value, format_rate(value))


def _rate_end(key: str, heading: str) -> PointColumn:
    """Name an end of the rate's 95 % interval."""

    def cell(point: Point) -> Cell:
        statistics = point.statistics
        value = (
            getattr(statistics.throughput_samples_per_s, key) if statistics else None
        )
        return Cell(value, "-" if value is None else format_rate(value))

    return PointColumn(f"throughput_{key}_samples_per_s", heading, cell)


POINT_COLUMNS = (
    _plain("batch_size", "batch size"),
    _plain("clients", "clients"),
    _plain("query_count", "queries"),
    PointColumn("throughput_samples_per_s", "samples/s", _rate),
    _rate_end("low", "95 % from"),
    _rate_end("high", "to"),
    _percentile("p50", 50),
    _percentile("p90", 90),
    _percentile("p99", 99),
    _percentile("p99.9", 99.9),
    PointColumn(
        "latency_max_ns",
        "max",
        lambda point: (
            Cell(point.latency.max_ns, format_duration_ns(point.latency.max_ns))
            if point.latency.count
            else Cell(None, "-")
        ),
    ),
    _mean("queue_wait_mean_ns", "mean queue", "queue_wait"),
    _mean("gather_mean_ns", "mean gather", "gather"),
    _mean("service_mean_ns", "mean service", "service"),
    _mean("ours_mean_ns", "mean ours", "schedule_lag", "wakeup"),
    PointColumn(
        "mean_batch_samples",
        "mean batch",
        lambda point: (
            Cell(point.mean_batch_samples, format_rate(point.mean_batch_samples))
            if point.mean_batch_samples
            else Cell(None, "-")
        ),
    ),
    PointColumn(
        "cpu_percent",
        "CPU",
        lambda point: (
            Cell(point.cpu_percent, f"{point.cpu_percent:.0f} %")
            if point.cpu_percent
            else Cell(None, "-")
        ),
    ),
    PointColumn(
        "peak_rss_bytes",
        "peak memory",
        lambda point: (
            Cell(point.peak_rss_bytes, format_bytes(point.peak_rss_bytes))
            if point.peak_rss_bytes
            else Cell(None, "-")
        ),
    ),
    PointColumn(
        "verdict", "verdict", lambda point: Cell(verdict(point), verdict(point))
    ),
)
