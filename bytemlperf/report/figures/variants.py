"""Runs of one request under other settings: their throughput and latency.

Input: a `VariantsResult` and the objectives. Output: figures.
"""

from __future__ import annotations

from collections.abc import Sequence

from bytemlperf.report.figures.capacity import latency_bounds
from bytemlperf.report.figures.dots import dots
from bytemlperf.report.figures.figure import (
    PALETTE,
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
from bytemlperf.report.units import format_duration_ns, format_rate
from bytemlperf.statistics.slo import Slo

__all__ = ["axis_curve", "variant_latencies", "variant_rates"]

# What is beyond is in the table.
MAX_ROWS = 60
MAX_CURVES = len(PALETTE)


def axis_curve(result: VariantsResult, axis: str) -> Figure | None:
    """Draw throughput over the values of one axis of a sweep.

    Parameters
    ----------
    result : VariantsResult
        Of a sweep or a tuning.
    axis : str
        Its name.

    Returns
    -------
    Figure or None
        A curve for every combination of the others; None: its values are words or
        only one, or there would be more curves than can be told apart.
    """
    rows: Rows = []
    for variant in result.variants:
        value = _number(variant.settings.get(axis, ""))
        if value is None:
            return None
        others = [
            f"{name}={text}" for name, text in variant.settings.items() if name != axis
        ]
        rows += [
            {
                "value": value,
                "curve": ", ".join([*others, *_place(point, result, axis)]),
                **_rate_row(point),
            }
            for point in variant.points
        ]
    curves = list(dict.fromkeys(row["curve"] for row in rows))
    if len({row["value"] for row in rows}) < 2 or len(curves) > MAX_CURVES:
        return None
    x: Spec = {
        "field": "value",
        "type": "quantitative",
        "title": axis,
        "scale": {"zero": False, "nice": True, "padding": 10},
        "axis": {"tickCount": 6, "format": "~s"},
    }
    y: Spec = {
        "field": "rate",
        "type": "quantitative",
        "title": "samples per second",
        "scale": {"zero": True, "nice": True},
        "axis": {"tickCount": 6, "format": "~s"},
    }
    color: Spec = {
        "field": "curve",
        "type": "nominal",
        "title": None,
        "sort": curves,
        "legend": {} if len(curves) > 1 else None,
    }
    tooltip = [
        {"field": "value", "title": axis},
        {"field": "curve", "title": "with"},
        {"field": "rate", "title": "samples/s", "format": ",.4~g"},
        {"field": "verdict", "title": "verdict"},
    ]
    shape = {
        "field": "verdict",
        "type": "nominal",
        "title": None,
        "scale": {"domain": ["VALID", "INVALID"], "range": ["circle", "cross"]},
    }
    told = "; ".join(
        f"{axis}={row['value']:g}{', ' + row['curve'] if row['curve'] else ''}: "
        f"{format_rate(row['rate'])} samples/s"
        f"{' (INVALID)' if row['verdict'] != 'VALID' else ''}"
        for row in rows[:MAX_ROWS]
    )
    return figure(
        f"axis-{_dashed(axis)}",
        f"Throughput over {axis}",
        f"{told}. Lines through marks: 95 % intervals.",
        layers=[
            {
                "mark": {"type": "line", "opacity": 0.6},
                "encoding": {"x": x, "y": y, "color": color},
            },
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
                "mark": {"type": "point", "filled": True, "size": 80, "opacity": 1},
                "encoding": {"x": x, "y": y, "color": color, "shape": shape,
                             "tooltip": tooltip},
            },
        ],
        rows=rows,
        height=280,
    )  # fmt: skip


def variant_rates(result: VariantsResult) -> Figure:
    """Draw each run's throughput with its interval.

    Parameters
    ----------
    result : VariantsResult
        Any.

    Returns
    -------
    Figure
        A row a point.
    """
    name, title = "variant-rates", "Throughput of each run"
    rows: Rows = []
    for place, point in _places(result):
        found = _rate_row(point)
        rows.append(
            {"place": place, "series": found["verdict"], "value": found["rate"],
             "low": found["low"], "high": found["high"]}
        )  # fmt: skip
    if not rows:
        return missing(name, title, "No run measured a point.")
    told = "; ".join(f"{row['place']}: {format_rate(row['value'])}" for row in rows)
    return dots(
        name,
        title,
        f"samples/s: {told}. Lines through marks: 95 % intervals.{_beyond(result)}",
        rows=rows,
        series=("VALID", "INVALID"),
        axis={
            "type": "quantitative",
            "title": "samples per second",
            "scale": {"zero": False, "nice": True},
            "axis": {"tickCount": 6, "format": "~s"},
        },
        unit="samples/s",
    )


def variant_latencies(result: VariantsResult, slos: Sequence[Slo]) -> Figure:
    """Draw each run's latency percentiles, and the objectives.

    Parameters
    ----------
    result : VariantsResult
        Any.
    slos : sequence of Slo
        That were asked.

    Returns
    -------
    Figure
        A row a point, a mark a percentile that has queries enough.
    """
    name, title = "variant-latencies", "Latency of each run"
    series: dict[str, None] = {}
    rows: Rows = []
    words = []
    for place, point in _places(result):
        for percentile, value_ns in point.percentiles_ns.items():
            series[percentile] = None
            rows.append(
                {"place": place, "series": percentile, "value": milliseconds(value_ns)}
            )
        told = ", ".join(
            f"{percentile} {format_duration_ns(value_ns)}"
            for percentile, value_ns in point.percentiles_ns.items()
        )
        words.append(f"{place}: {told or 'too few queries'}")
    if not rows:
        return missing(name, title, "No run has queries enough for a percentile.")
    axis = axis_ms("latency, ms")
    bounds = latency_bounds(slos)
    drawn = dots(
        name,
        title,
        f"{'; '.join(words)}."
        + "".join(f" Objective: {bound['slo']}." for bound in bounds)
        + _beyond(result),
        rows=rows,
        series=list(series),
        axis=axis,
        unit="ms",
    )
    if drawn.spec is not None:
        drawn.spec["layer"] = [*bound_lines(bounds, axis, channel="x"),
                               *drawn.spec["layer"]]  # fmt: skip
    return drawn


def _rate_row(point: VariantPoint) -> dict[str, object]:
    rate = point.throughput_samples_per_s
    low, high = (rate if end is None else end for end in (point.low, point.high))
    return {
        "rate": round_digits(rate),
        "low": round_digits(low),
        "high": round_digits(high),
        "verdict": "INVALID" if point.invalid_reasons else "VALID",
    }


def _places(result: VariantsResult) -> list[tuple[str, VariantPoint]]:
    """Name each point by its run, and by what else tells it apart; the first ones."""
    return [
        (", ".join([variant.name, *_place(point, result)]), point)
        for variant in result.variants
        for point in variant.points
    ][:MAX_ROWS]


def _place(
    point: VariantPoint, result: VariantsResult, axis: str | None = None
) -> list[str]:
    """Say what the settings leave open: task, hardware and batch size, if several."""
    points = [each for variant in result.variants for each in variant.points]
    several = [
        (point.task, {each.task for each in points}),
        (point.hardware_type, {each.hardware_type for each in points}),
    ]
    names = [name for name, all_names in several if len(all_names) > 1]
    varied = {"batch_size", "batch_sizes", axis} & {*result.axes, axis}
    is_told = bool(varied & {"batch_size", "batch_sizes"})
    if not is_told and len({each.batch_size for each in points}) > 1:
        names.append(f"batch {point.batch_size}")
    return names


def _beyond(result: VariantsResult) -> str:
    more = sum(len(each.points) for each in result.variants) - MAX_ROWS
    return f" {more} more are in the table." if more > 0 else ""


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _dashed(name: str) -> str:
    return "".join(mark if mark.isalnum() and mark.isascii() else "-" for mark in name)
