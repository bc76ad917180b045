"""The curve that decides: how many samples a second, at what latency.

Input: named points, of one run or of several. Output: figures.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from bytemlperf.report.figures.figure import (
    Figure,
    Rows,
    Spec,
    axis_ms,
    bound_lines,
    figure,
    milliseconds,
    missing,
    round_digits,
)
from bytemlperf.report.percentiles import min_count
from bytemlperf.report.schema import Point
from bytemlperf.report.units import format_duration_ns, format_rate

__all__ = ["NamedPoint", "throughput_latency"]

NAME = "throughput-latency"
TITLE = "Throughput against latency"
PERCENTILES = (("p50", 50.0), ("p99", 99.0))
VERDICTS = ("VALID", "INVALID")


class NamedPoint(msgspec.Struct, frozen=True):
    """A point and where it belongs.

    Parameters
    ----------
    run : str
        The curve it is on.
    name : str
        What it is called on that curve.
    point : Point
        Measured.
    """

    run: str
    name: str
    point: Point


def throughput_latency(points: Sequence[NamedPoint]) -> Figure:
    """Draw latency over throughput, a curve for each run and percentile.

    Parameters
    ----------
    points : sequence of NamedPoint
        In the order in which they are joined.

    Returns
    -------
    Figure
        A percentile that a point's queries cannot carry is left out and named.
    """
    measured = [each for each in points if each.point.latency.count]
    if not measured:
        return missing(NAME, TITLE, "No point was measured.")
    runs = list(dict.fromkeys(each.run for each in measured))
    rows: Rows = []
    for order, each in enumerate(measured):
        for name, percentile in PERCENTILES:
            if each.point.latency.count >= min_count(percentile):
                rows.append(_row(each, name, order))
    if not rows:
        return missing(
            NAME,
            TITLE,
            f"No point has the {min_count(50)} queries that a median needs.",
        )
    several = len(runs) > 1
    color = {
        "field": "run" if several else "percentile",
        "type": "nominal",
        "title": None,
        "sort": runs if several else [name for name, _ in PERCENTILES],
    }
    encoding: Spec = {
        "x": {
            "field": "throughput",
            "type": "quantitative",
            "title": "samples per second",
            "scale": {"zero": True, "nice": True},
            "axis": {"tickCount": 6, "format": "~s"},
        },
        "y": axis_ms("latency, ms"),
        "color": color,
        "order": {"field": "order"},
        "detail": [{"field": "run"}, {"field": "percentile"}],
    }
    dash = {
        "field": "percentile",
        "type": "nominal",
        "title": None,
        "scale": {
            "domain": [name for name, _ in PERCENTILES],
            "range": [[1, 0], [5, 3]],
        },
    }
    tooltip = [
        {"field": "run", "title": "run"},
        {"field": "name", "title": "point"},
        {"field": "throughput", "title": "samples/s", "format": ",.4~g"},
        {"field": "percentile", "title": "percentile"},
        {"field": "ms", "title": "ms", "format": ".4~g"},
        {"field": "queries", "title": "queries", "format": ","},
        {"field": "verdict", "title": "verdict"},
    ]
    bounds = _bounds(measured)
    return figure(
        NAME,
        TITLE,
        _summary(measured, several=several)
        + "".join(f" Objective: {row['slo']}." for row in bounds),
        layers=[
            *bound_lines(bounds, encoding["y"]),
            *_whiskers(encoding),
            {
                "mark": {"type": "line", "opacity": 0.6},
                "encoding": encoding | {"strokeDash": dash},
            },
            {
                "mark": {"type": "point", "filled": True, "size": 70, "opacity": 1},
                "encoding": encoding
                | {
                    "tooltip": tooltip,
                    "shape": {
                        "field": "verdict",
                        "type": "nominal",
                        "title": None,
                        "scale": {
                            "domain": list(VERDICTS),
                            "range": ["circle", "cross"],
                        },
                    },
                },
            },
            {
                "transform": [{"filter": "datum.percentile == 'p50'"}],
                "mark": {"type": "text", "dy": 14, "fontSize": 10},
                "encoding": {
                    "x": encoding["x"],
                    "y": encoding["y"],
                    "text": {"field": "size"},
                },
            },
        ],
        rows=rows,
        height=320,
    )


def _row(each: NamedPoint, percentile: str, order: int) -> dict[str, object]:
    point = each.point
    x_low, x_high = _rate_interval(point)
    y_low, y_high = _latency_interval(point, percentile)
    throughput = round_digits(point.throughput_samples_per_s)
    ms = milliseconds(getattr(point.latency, f"{percentile}_ns"))
    return {
        "x_low": throughput if x_low is None else round_digits(x_low),
        "x_high": throughput if x_high is None else round_digits(x_high),
        "y_low": ms if y_low is None else milliseconds(y_low),
        "y_high": ms if y_high is None else milliseconds(y_high),
        "run": each.run,
        "name": each.name,
        "size": str(point.batch_size),
        "order": order,
        "percentile": percentile,
        "throughput": throughput,
        "ms": ms,
        "queries": point.latency.count,
        "verdict": VERDICTS[bool(point.invalid_reasons)],
    }


def _rate_interval(point: Point) -> tuple[float | None, float | None]:
    if point.statistics is None:
        return None, None
    rate = point.statistics.throughput_samples_per_s
    return rate.low, rate.high


def _latency_interval(point: Point, name: str) -> tuple[int | None, int | None]:
    wanted = float(name.removeprefix("p"))
    for each in point.statistics.percentiles if point.statistics else []:
        if each.percentile == wanted:
            return each.low_ns, each.high_ns
    return None, None


def _bounds(measured: Sequence[NamedPoint]) -> Rows:
    """Return the latency bounds that were asked, each once."""
    slos = {
        slo.text: slo.bound
        for each in measured
        if each.point.statistics
        for slo in (judged.slo for judged in each.point.statistics.slos)
        if slo.metric != "qps"
    }
    return [
        {"slo": text, "bound": milliseconds(bound_ns)}
        for text, bound_ns in slos.items()
    ]


def _whiskers(encoding: Spec) -> list[Spec]:
    """Draw both intervals of each mark, one along each axis."""
    shared = {key: encoding[key] for key in ("color", "detail")}
    x, y = encoding["x"], encoding["y"]
    mark = {"type": "rule", "strokeWidth": 1.5, "opacity": 0.8}
    return [
        {
            "mark": mark,
            "encoding": shared
            | {"x": x, "y": y | {"field": "y_low"}, "y2": {"field": "y_high"}},
        },
        {
            "mark": mark,
            "encoding": shared
            | {"y": y, "x": x | {"field": "x_low"}, "x2": {"field": "x_high"}},
        },
    ]


def _summary(measured: Sequence[NamedPoint], *, several: bool) -> str:
    words = []
    for each in measured:
        where = f"{each.run}, {each.name}" if several else each.name
        invalid = " (INVALID)" if each.point.invalid_reasons else ""
        median = (
            f", median {format_duration_ns(each.point.latency.p50_ns)}"
            if each.point.latency.count >= min_count(50)
            else f", {each.point.latency.count} queries"
        )
        words.append(
            f"{where}: {format_rate(each.point.throughput_samples_per_s)} samples/s"
            f"{median}{invalid}"
        )
    left_out = [
        each.name for each in measured if each.point.latency.count < min_count(99)
    ]
    note = (
        f" p99 needs {min_count(99)} queries and is left out at {', '.join(left_out)}."
        if left_out
        else ""
    )
    return (
        f"{'; '.join(words)}. Below a mark: its batch size; lines through it: 95 % "
        f"intervals.{note}"
    )
