"""How well load was brought, and what bringing it costs.

Input: named points. Output: figures; None where a point has nothing of the kind.
"""

from __future__ import annotations

from collections.abc import Sequence

from bytemlperf.report.figures.dots import dots
from bytemlperf.report.figures.figure import (
    Figure,
    Rows,
    axis_ms,
    milliseconds,
    missing,
    round_digits,
)
from bytemlperf.report.percentiles import min_count
from bytemlperf.report.schema import Distribution, LoadReport, Point
from bytemlperf.report.units import format_duration_ns, format_rate

__all__ = ["offered_achieved", "overhead_latency", "schedule_lag"]

RATES = ("offered", "issued", "achieved")
LATENCIES = ("lag p50", "lag p99", "latency p50", "latency p99")
NULL_LATENCIES = ("null p50", "null p99", "latency p50", "latency p99")
PERCENTILES = (50, 99)


def offered_achieved(named: Sequence[tuple[str, Point]]) -> Figure | None:
    """Draw the rates of open loops: of the schedule, as issued, and as answered.

    Parameters
    ----------
    named : sequence of (str, Point)
        Each with what it is called.

    Returns
    -------
    Figure or None
        None: there is no open loop with a rate.
    """
    rows: Rows = []
    words = []
    for label, load in _open_loops(named):
        rates = (load.offered_qps, load.issued_qps, load.achieved_qps)
        if load.offered_qps is None:
            continue
        rows += [
            {"place": label, "series": series, "value": round_digits(rate)}
            for series, rate in zip(RATES, rates, strict=True)
            if rate is not None
        ]
        lost = sum(
            count or 0
            for count in (
                load.refused_count, load.starved_count, load.unissued_count,
                load.dropped_count,
            )
        )  # fmt: skip
        words.append(
            f"{label}: {format_rate(load.offered_qps)} queries/s offered, "
            f"{format_rate(load.achieved_qps)} answered"
            + (f", {lost:,} of {load.scheduled_count or 0:,} lost" if lost else "")
            + ("; unstable" if load.is_unstable else "")
        )
    if not rows:
        return None
    return dots(
        "offered-achieved",
        "Offered against achieved load",
        f"{'; '.join(words)}. Three marks on each other: all that was offered was "
        "answered.",
        rows=rows,
        series=RATES,
        axis={
            "type": "quantitative",
            "title": "queries per second",
            "scale": {"zero": True, "nice": True},
            "axis": {"tickCount": 6, "format": "~s"},
        },
        unit="queries/s",
    )


def schedule_lag(named: Sequence[tuple[str, Point]]) -> Figure | None:
    """Draw how late queries of open loops were issued, beside their latency.

    Parameters
    ----------
    named : sequence of (str, Point)
        Each with what it is called.

    Returns
    -------
    Figure or None
        None: there is no open loop that kept it.
    """
    points = dict(named)
    rows: Rows = []
    words = []
    for label, load in _open_loops(named):
        if load.lag is None or not load.lag.count:
            continue
        latency = points[label].latency
        rows += _percentile_rows(label, "lag", load.lag)
        rows += _percentile_rows(label, "latency", latency)
        told = [
            f"p{percentile} {format_duration_ns(_percentile(load.lag, percentile))}"
            for percentile in PERCENTILES
            if load.lag.count >= min_count(percentile)
        ]
        words.append(f"{label}: {', '.join(told) or 'too few queries'}")
    if not words:
        return None
    name, title = "schedule-lag", "Schedule lag"
    summary = (
        f"{'; '.join(words)}. How much later than scheduled a query was issued, which "
        "is our fault and part of its latency."
    )
    if not rows:
        return missing(name, title, summary)
    return dots(
        name, title, summary, rows=rows, series=LATENCIES, axis=axis_ms("ms"), unit="ms"
    )


def overhead_latency(named: Sequence[tuple[str, Point]]) -> Figure | None:
    """Draw the latency of a predict that does nothing beside the point's own.

    Parameters
    ----------
    named : sequence of (str, Point)
        Each with what it is called.

    Returns
    -------
    Figure or None
        None: there is no overhead certificate.
    """
    rows: Rows = []
    words = []
    for label, point in named:
        report = point.overhead
        if report is None:
            continue
        null = zip(PERCENTILES, (report.latency_p50_ns, report.latency_p99_ns),
                   strict=True)  # fmt: skip
        rows += [
            {"place": label, "series": f"null p{percentile}",
             "value": milliseconds(value)}
            for percentile, value in null if value
        ]  # fmt: skip
        rows += _percentile_rows(label, "latency", point.latency)
        share = "unknown" if report.share is None else f"{report.share:.2%}"
        words.append(f"{label}: our share {share}, {report.verdict}")
    if not words:
        return None
    name, title = "overhead", "What the harness costs"
    summary = (
        f"{'; '.join(words)}. null: the same load on a predict that does nothing, so "
        "that all of it is ours."
    )
    if not rows:
        return missing(name, title, summary)
    return dots(
        name, title, summary, rows=rows, series=NULL_LATENCIES, axis=axis_ms("ms"),
        unit="ms",
    )  # fmt: skip


def _open_loops(named: Sequence[tuple[str, Point]]) -> list[tuple[str, LoadReport]]:
    return [
        (label, point.load)
        for label, point in named
        if point.load is not None and point.load.is_open
    ]


def _percentile(distribution: Distribution, percentile: int) -> int:
    value: int = getattr(distribution, f"p{percentile}_ns")
    return value


def _percentile_rows(label: str, what: str, distribution: Distribution) -> Rows:
    """Return what there are queries enough for; zero has no place on a log axis."""
    return [
        {
            "place": label,
            "series": f"{what} p{percentile}",
            "value": milliseconds(_percentile(distribution, percentile)),
        }
        for percentile in PERCENTILES
        if distribution.count >= min_count(percentile)
        and _percentile(distribution, percentile) > 0
    ]
