"""Which run is faster and by how much, for the top of a page of several runs.

Input: collected results. Output: rows, words and a figure; or why there are none.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from bytemlperf.errors import ConfigError
from bytemlperf.report.collect import Collected
from bytemlperf.report.comparing import compare_results
from bytemlperf.report.figures.figure import (
    Figure,
    Rows,
    Spec,
    bars_height,
    figure,
    missing,
    round_digits,
)
from bytemlperf.report.schema.comparison import Comparison, PointComparison
from bytemlperf.report.units import format_duration_ns, format_rate
from bytemlperf.statistics.comparison import MetricComparison

__all__ = ["Compared", "ComparedRow", "compared"]

METRICS = ("qps", "p50", "p99")
HEADINGS = {"qps": "samples/s"}
VERDICT_TONES = {"faster": "good", "slower": "bad", "same": "good"}
VERDICTS = ("faster", "slower", "same", "undecided")
MAX_FIGURE_ROWS = 60


class ComparedRow(msgspec.Struct, frozen=True):
    """One metric of one point, beside the base's.

    Parameters
    ----------
    run, point, metric, base, other, ratio, verdict : str
        For a person.
    value : float or None
        The ratio, other over base.
    tone : str
        How good that is.
    """

    run: str
    point: str
    metric: str
    base: str
    other: str
    ratio: str
    value: float | None
    verdict: str
    tone: str


class Compared(msgspec.Struct, frozen=True):
    """Runs beside the first of them.

    Parameters
    ----------
    base : str
        The first run.
    refused : str
        Why nothing is compared; empty: it is.
    sentences : list of str
        Of each other run, what came out.
    rows : list of ComparedRow
        Point by point.
    notes : list of str
        What else differs, and what the intervals rest on.
    ratios : Figure
        Throughput ratios with their intervals.
    """

    base: str
    refused: str
    sentences: list[str]
    rows: list[ComparedRow]
    notes: list[str]
    ratios: Figure


def compared(collected: Sequence[Collected]) -> Compared | None:
    """Compare runs with the first one.

    Parameters
    ----------
    collected : sequence of Collected
        Any results.

    Returns
    -------
    Compared or None
        None: there is one run only.
    """
    runs = list(dict.fromkeys(each.run for each in collected))
    if len(runs) < 2:
        return None
    measured, invalid_count = _valid(collected)
    try:
        found = compare_results(measured, metrics=METRICS)
    except ConfigError as error:
        nothing = missing("ratios", "Ratios", "Nothing is compared.")
        return Compared(runs[0], error.message, [], [], [], nothing)
    return Compared(
        base=found.base,
        refused="",
        sentences=[_sentence(found, other) for other in found.others],
        rows=[
            _row(point, metric)
            for point in found.points
            for metric in point.metrics
            if metric.ratio is not None
        ],
        notes=[
            *(
                [f"{invalid_count} invalid points are left out"]
                if invalid_count
                else []
            ),
            *_notes(found),
        ],
        ratios=_figure(found),
    )


def _valid(collected: Sequence[Collected]) -> tuple[list[Collected], int]:
    """Return results with their valid points alone, and how many others there are.

    One invalid point of one task would else refuse the comparison of all.
    """
    measured = []
    invalid_count = 0
    for each in collected:
        valid = [point for point in each.result.points if not point.invalid_reasons]
        invalid_count += len(each.result.points) - len(valid)
        if valid:
            result = msgspec.structs.replace(each.result, points=valid)
            measured.append(msgspec.structs.replace(each, result=result))
    return measured, invalid_count


def _sentence(found: Comparison, other: str) -> str:
    """Say of one run how often it is faster, and by how much."""
    rates = [
        metric
        for point in found.points
        if point.run == other
        for metric in point.metrics
        if metric.metric == "qps" and metric.ratio is not None
    ]
    counts = [
        f"{count} {verdict}"
        for verdict in VERDICTS
        if (count := sum(rate.verdict == verdict for rate in rates))
    ]
    spread = sorted(rate.ratio for rate in rates if rate.ratio is not None)
    if not spread:
        return f"{other}: no throughput in common with {found.base}"
    reach = (
        f"{spread[0]:.3f}"
        if len(spread) == 1
        else f"{spread[0]:.3f} to {spread[-1]:.3f}"
    )
    return (
        f"Throughput of {other} is {reach} times that of {found.base}; of "
        f"{len(rates)} points {', '.join(counts)}."
    )


def _row(point: PointComparison, metric: MetricComparison) -> ComparedRow:
    return ComparedRow(
        run=point.run,
        point=f"{point.task} on {point.hardware_type}, {point.point}",
        metric=HEADINGS.get(metric.metric, metric.metric),
        base=_value(metric.metric, metric.base),
        other=_value(metric.metric, metric.other),
        ratio=f"{metric.ratio:.3f} {_interval(metric)}",
        value=metric.ratio,
        verdict=metric.verdict,
        tone=VERDICT_TONES.get(metric.verdict, "unsure"),
    )


def _interval(metric: MetricComparison) -> str:
    low = "?" if metric.low is None else f"{metric.low:.3f}"
    high = "?" if metric.high is None else f"{metric.high:.3f}"
    return f"[{low}, {high}]"


def _value(metric: str, value: float | None) -> str:
    if value is None:
        return "-"
    return format_rate(value) if metric == "qps" else format_duration_ns(value)


def _notes(found: Comparison) -> list[str]:
    notes = [f"also different: {each}" for each in found.differences]
    notes += [f"not in both: {each}" for each in found.left_out]
    if found.is_noise_assumed:
        notes.append(
            "the noise between runs is assumed, because this host was never calibrated "
            "and there are fewer than three runs a side"
        )
    return notes


def _figure(found: Comparison) -> Figure:
    """Draw throughput ratios, a line a point."""
    name, title = "ratios", f"Throughput, as a multiple of {found.base}'s"
    rows: Rows = [
        {
            "point": f"{point.task}, {point.point}",
            "run": point.run,
            "ratio": round_digits(metric.ratio),
            "low": round_digits(metric.ratio if metric.low is None else metric.low),
            "high": round_digits(metric.ratio if metric.high is None else metric.high),
            "interval": _interval(metric),
            "verdict": metric.verdict,
        }
        for point in found.points
        for metric in point.metrics
        if metric.metric == "qps" and metric.ratio is not None
    ][:MAX_FIGURE_ROWS]
    if not rows:
        return missing(name, title, "No throughput is in both runs.")
    y = {
        "field": "point",
        "type": "nominal",
        "title": None,
        "sort": list(dict.fromkeys(row["point"] for row in rows)),
        "axis": {"labelLimit": 200, "grid": True},
    }
    x = {
        "field": "ratio",
        "type": "quantitative",
        "title": "ratio of samples per second",
        "scale": {"type": "log", "nice": False, "padding": 20},
        "axis": {"format": ".3~r", "labelOverlap": "greedy", "tickCount": 6},
    }
    color = {
        "field": "verdict",
        "type": "nominal",
        "title": None,
        "scale": {
            "domain": list(VERDICTS),
            "range": ["#1f9d6b", "#d64545", "#2f7fd6", "#8f8a1f"],
        },
    }
    layers: list[Spec] = [
        {
            "data": {"values": [{"one": 1}]},
            "mark": {"type": "rule", "strokeDash": [4, 3]},
            "encoding": {"x": x | {"field": "one"}},
        },
        {
            "mark": {"type": "rule", "strokeWidth": 2},
            "encoding": {
                "y": y,
                "x": x | {"field": "low"},
                "x2": {"field": "high"},
                "color": color,
            },
        },
        {
            "mark": {"type": "point", "filled": True, "size": 80, "opacity": 1},
            "encoding": {
                "y": y,
                "x": x,
                "color": color,
                "shape": {"field": "run", "type": "nominal", "title": None},
                "tooltip": [
                    {"field": "point", "title": "point"},
                    {"field": "run", "title": "run"},
                    {"field": "ratio", "title": "ratio", "format": ".4~g"},
                    {"field": "interval", "title": "95 %"},
                    {"field": "verdict", "title": "verdict"},
                ],
            },
        },
    ]
    words = [
        f"{row['run']}, {row['point']}: {row['ratio']:.3f} "
        f"{row['interval']}, {row['verdict']}"
        for row in rows
    ]
    return figure(
        name,
        title,
        f"{'; '.join(words)}.",
        layers=layers,
        rows=rows,
        height=bars_height(len({row["point"] for row in rows})),
    )
