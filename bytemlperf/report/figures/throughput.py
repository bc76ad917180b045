"""The curve that decides: how many samples a second, at what latency.

Input: named points, of one run or of several. Output: figures.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from bytemlperf.report.figures.figure import (
    Figure,
    Rows,
    axis_ms,
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
    encoding = {
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
    return figure(
        NAME,
        TITLE,
        _summary(measured, several=several),
        layers=[
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
    return {
        "run": each.run,
        "name": each.name,
        "size": str(point.batch_size),
        "order": order,
        "percentile": percentile,
        "throughput": round_digits(point.throughput_samples_per_s),
        "ms": milliseconds(getattr(point.latency, f"{percentile}_ns")),
        "queries": point.latency.count,
        "verdict": VERDICTS[bool(point.invalid_reasons)],
    }


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
    return f"{'; '.join(words)}. The number below a mark is the batch size.{note}"
