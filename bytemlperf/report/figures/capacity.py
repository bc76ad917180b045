"""A search for the highest rate: every probe, the objectives, and what was found.

Input: a `VariantsResult` of a search, and its objectives. Output: a figure.
"""

from __future__ import annotations

from collections.abc import Sequence

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
from bytemlperf.report.schema.variants import VariantPoint, VariantsResult
from bytemlperf.report.units import format_rate
from bytemlperf.statistics.search import Capacity
from bytemlperf.statistics.slo import Slo

__all__ = ["latency_bounds", "probe_verdict", "rate_latency"]

VERDICTS = ("met", "not shown", "missed", "INVALID")
VERDICT_COLORS = ("#1f9d6b", "#d9730d", "#d64545", "#8a63d2")
VERDICT_SHAPES = ("circle", "triangle-up", "cross", "square")


def rate_latency(result: VariantsResult, slos: Sequence[Slo]) -> Figure:
    """Draw each probe's latency over its rate, with the objectives and the capacity.

    Parameters
    ----------
    result : VariantsResult
        Of a search.
    slos : sequence of Slo
        That were asked; of the percentiles of the first one that bounds one the
        latency is drawn, else of p50.

    Returns
    -------
    Figure
        A mark a probe, numbered in the order tried.
    """
    name, title = "rate-latency", "Rate against latency"
    bounds = latency_bounds(slos)
    percentile = next((slo.percentile for slo in slos if slo.percentile), 50.0)
    wanted = f"p{percentile:g}"
    rows: Rows = []
    without = []
    for number, variant in enumerate(result.variants, start=1):
        for point in variant.points:
            value = point.percentiles_ns.get(wanted)
            if point.offered_qps is None:
                continue
            if value is None:
                without.append(str(number))
                continue
            low, high = point.intervals_ns.get(wanted, (None, None))
            rows.append(
                {
                    "probe": number,
                    "rate": round_digits(point.offered_qps),
                    "ms": milliseconds(value),
                    "low": milliseconds(value if low is None else low),
                    "high": milliseconds(value if high is None else high),
                    "verdict": probe_verdict(point),
                    "qps": round_digits(point.throughput_samples_per_s),
                }
            )
    too_few = (
        f" Too few queries for {wanted}: probe {', '.join(without)}." if without else ""
    )
    if not rows:
        return missing(name, title, f"No probe has a {wanted}.{too_few}")
    x: Spec = {
        "field": "rate",
        "type": "quantitative",
        "title": "offered queries per second",
        "scale": {"zero": False, "nice": True, "padding": 14},
        "axis": {"tickCount": 6, "format": "~s"},
    }
    y = axis_ms(f"{wanted} of the latency, ms")
    color: Spec = {
        "field": "verdict",
        "type": "nominal",
        "title": None,
        "scale": {"domain": list(VERDICTS), "range": list(VERDICT_COLORS)},
    }
    shape = color | {"scale": {"domain": list(VERDICTS), "range": list(VERDICT_SHAPES)}}
    tooltip = [
        {"field": "probe", "title": "probe"},
        {"field": "rate", "title": "queries/s", "format": ",.4~g"},
        {"field": "ms", "title": f"{wanted}, ms", "format": ".4~g"},
        {"field": "qps", "title": "samples/s answered", "format": ",.4~g"},
        {"field": "verdict", "title": "verdict"},
    ]
    layers: list[Spec] = [
        *_capacity_band(result.capacity, x),
        *bound_lines(bounds, y),
        {
            "mark": {"type": "rule", "strokeWidth": 1.5},
            "encoding": {
                "x": x,
                "y": y | {"field": "low"},
                "y2": {"field": "high"},
                "color": color,
            },
        },
        {
            "mark": {"type": "point", "filled": True, "size": 90, "opacity": 1},
            "encoding": {"x": x, "y": y, "color": color, "shape": shape,
                         "tooltip": tooltip},
        },
        {
            "mark": {"type": "text", "dy": -11, "fontSize": 10},
            "encoding": {"x": x, "y": y, "text": {"field": "probe"}},
        },
    ]  # fmt: skip
    told = "; ".join(
        f"probe {row['probe']}: {format_rate(row['rate'])} queries/s, {wanted} "
        f"{row['ms']:g} ms, {row['verdict']}"
        for row in rows
    )
    asked = "".join(f" Objective: {bound['slo']}." for bound in bounds)
    return figure(
        name,
        title,
        f"{told}.{asked} Above a mark: the order of the probes; lines through them: "
        f"95 % intervals; shaded: the capacity lies in between.{too_few}",
        layers=layers,
        rows=rows,
        height=320,
    )


def probe_verdict(point: VariantPoint) -> str:
    """Return what a probe says of its objectives, in a word."""
    verdicts = {text.rpartition(": ")[2] for text in point.unmet_slos}
    if "missed" in verdicts:
        return "missed"
    if point.invalid_reasons:
        return "INVALID"
    return "not shown" if verdicts else "met"


def _capacity_band(capacity: Capacity | None, x: Spec) -> list[Spec]:
    """Shade the interval in which the capacity lies."""
    if capacity is None or capacity.rate is None or capacity.missed_rate is None:
        return []
    row = {"from": capacity.rate, "to": capacity.missed_rate}
    return [
        {
            "data": {"values": [row]},
            "mark": {"type": "rect", "opacity": 0.15, "color": VERDICT_COLORS[0]},
            "encoding": {"x": x | {"field": "from"}, "x2": {"field": "to"}},
        }
    ]


def latency_bounds(slos: Sequence[Slo]) -> Rows:
    """Return the objectives that bound a latency."""
    return [
        {"slo": slo.text, "bound": milliseconds(slo.bound)}
        for slo in slos
        if slo.metric != "qps"
    ]
