"""A point from second to second: its rate, its latency, and where it was warmed up.

Input: a point. Output: figures.
"""

from __future__ import annotations

from bytemlperf.report.figures.figure import (
    Figure,
    Rows,
    Spec,
    axis_ms,
    figure,
    milliseconds,
    missing,
    round_digits,
)
from bytemlperf.report.schema import Point, SeriesSecond
from bytemlperf.report.units import format_duration_ns, format_rate, format_seconds

__all__ = ["latency_over_time", "rate_over_time"]

# A longer run is drawn in longer steps: a page holds many points.
MAX_STEPS = 600
LINES = ("p50", "p99", "max")


def rate_over_time(point: Point) -> Figure:
    """Draw how many samples were answered in each second.

    Parameters
    ----------
    point : Point
        Measured.

    Returns
    -------
    Figure
        The warm-up shaded, before zero; the last second may be cut short.
    """
    name, title = "rate-over-time", "Samples per second, over time"
    steps = _steps(point)
    if not steps:
        return missing(name, title, "No second was recorded.")
    window_s = point.window_ns / 1e9
    rows: Rows = []
    for begin, length, seconds in steps:
        end = min(begin + length, window_s)
        if end > begin:
            count = sum(second.sample_count for second in seconds)
            # Its share of a second that the window cuts short, not of a whole one.
            rate = round_digits(count / (end - begin))
            rows.append({"from": begin, "to": round_digits(end), "rate": rate})
    rates = [row["rate"] for row in rows]
    layers: list[Spec] = [
        _warm_up(point),
        {
            "mark": {"type": "rect", "opacity": 0.85},
            "encoding": {
                "x": _time("from"),
                "x2": {"field": "to"},
                "y": {
                    "field": "rate",
                    "type": "quantitative",
                    "title": "samples per second",
                    "scale": {"zero": True},
                    "axis": {"format": "~s", "tickCount": 5},
                },
                "y2": {"datum": 0},
                "tooltip": [
                    {"field": "from", "title": "from, s"},
                    {"field": "to", "title": "to, s"},
                    {"field": "rate", "title": "samples/s", "format": ",.4~g"},
                ],
            },
        },
        {
            "data": {"values": [{"mean": point.throughput_samples_per_s}]},
            "mark": {"type": "rule", "strokeDash": [4, 3]},
            "encoding": {"y": {"field": "mean", "type": "quantitative"}},
        },
    ]
    summary = (
        f"Over {format_seconds(window_s)}: {format_rate(min(rates, default=0))} to "
        f"{format_rate(max(rates, default=0))} samples/s, "
        f"{format_rate(point.throughput_samples_per_s)} over all (dashed). "
        f"{_warm_up_words(point)}"
    )
    return figure(name, title, summary, layers=layers, rows=rows, height=170)


def latency_over_time(point: Point) -> Figure:
    """Draw median, 99th percentile and maximum of each second.

    Parameters
    ----------
    point : Point
        Measured.

    Returns
    -------
    Figure
        The warm-up shaded, before zero.
    """
    name, title = "latency-over-time", "Latency, over time"
    steps = [
        (begin, answered)
        for begin, _, seconds in _steps(point)
        if (answered := [second for second in seconds if second.sample_count])
    ]
    if not steps:
        return missing(name, title, "No second was recorded.")
    rows: Rows = [
        {
            "second": begin,
            "line": line,
            # Of several seconds the worst: percentiles cannot be averaged.
            "ms": milliseconds(max(getattr(each, f"{line}_ns") for each in answered)),
        }
        for begin, answered in steps
        for line in LINES
    ]
    medians = [second.p50_ns for _, answered in steps for second in answered]
    worst = max(second.max_ns for _, answered in steps for second in answered)
    layers: list[Spec] = [
        _warm_up(point),
        {
            "mark": {"type": "line", "point": {"size": 20}},
            "encoding": {
                "x": _time("second"),
                "y": axis_ms("latency, ms"),
                "color": {
                    "field": "line",
                    "type": "nominal",
                    "title": None,
                    "sort": list(LINES),
                },
                "strokeDash": {
                    "field": "line",
                    "type": "nominal",
                    "title": None,
                    "sort": list(LINES),
                },
                "tooltip": [
                    {"field": "second", "title": "second"},
                    {"field": "line", "title": "of its queries"},
                    {"field": "ms", "title": "ms", "format": ".4~g"},
                ],
            },
        },
    ]
    summary = (
        f"Medians of single seconds from {format_duration_ns(min(medians))} to "
        f"{format_duration_ns(max(medians))}; slowest query "
        f"{format_duration_ns(worst)}. {_warm_up_words(point)}"
    )
    return figure(name, title, summary, layers=layers, rows=rows, height=200)


def _steps(point: Point) -> list[tuple[int, int, list[SeriesSecond]]]:
    """Return begin, length and seconds of each step."""
    length = 1 + (len(point.series) - 1) // MAX_STEPS if point.series else 1
    grouped: dict[int, list[SeriesSecond]] = {}
    for second in point.series:
        grouped.setdefault(second.second // length * length, []).append(second)
    return [(begin, length, seconds) for begin, seconds in sorted(grouped.items())]


def _time(field: str) -> Spec:
    return {
        "field": field,
        "type": "quantitative",
        "title": "seconds since the measured window began",
        "scale": {"nice": False},
        "axis": {"tickCount": 8, "format": "~r"},
    }


def _warm_up(point: Point) -> Spec:
    """Shade the time before zero."""
    begin = -round_digits(point.warm_up.duration_ns / 1e9)
    return {
        "data": {"values": [{"from": begin, "to": 0, "what": "warm-up"}]},
        "mark": {"type": "rect", "color": "#888", "opacity": 0.25},
        "encoding": {
            "x": _time("from"),
            "x2": {"field": "to"},
            "tooltip": [{"field": "what", "title": "shaded"}],
        },
    }


def _warm_up_words(point: Point) -> str:
    warm_up = point.warm_up
    settled = "settled" if warm_up.settled else "had not settled"
    return (
        f"Shaded: the warm-up of {warm_up.query_count:,} queries in "
        f"{format_duration_ns(warm_up.duration_ns)}, then service time {settled}."
    )
