"""How far the outputs are from the reference's.

Input: a comparison. Output: a figure.
"""

from __future__ import annotations

from bytemlperf.report.figures.figure import (
    Figure,
    Rows,
    figure,
    missing,
    round_digits,
)
from bytemlperf.report.schema import DifferenceBins, NumericOutput, NumericReport
from bytemlperf.report.units import format_ratio

__all__ = ["differences"]

NAME = "numeric-differences"
TITLE = "Differences from the reference"
LADDER = ("p50", "p90", "p99", "p999", "max")
HEADINGS = {"p999": "p99.9"}
MAX_OUTPUTS = 12
SIDES = ("above the reference", "below the reference")


def differences(numeric: NumericReport | None) -> Figure:
    """Draw percentiles of the absolute difference, output by output.

    Parameters
    ----------
    numeric : NumericReport or None
        None: it was not asked for.

    Returns
    -------
    Figure
        On a logarithmic axis; an exact zero cannot stand on it and is told in words.
    """
    if numeric is None:
        return missing(NAME, TITLE, "The outputs were not compared with a reference.")
    if numeric.status != "compared" or numeric.overall is None:
        return missing(NAME, TITLE, f"Not compared: {numeric.reason or 'no reason'}.")
    if numeric.overall.bins is not None:
        return _spread(numeric, numeric.overall, numeric.overall.bins)
    outputs = numeric.outputs[:MAX_OUTPUTS] or [numeric.overall]
    rows: Rows = [row for output in outputs for row in _rows(output)]
    summary = _words(numeric, numeric.overall)
    if len(numeric.outputs) > MAX_OUTPUTS:
        summary += f" The first {MAX_OUTPUTS} of {len(numeric.outputs)} outputs."
    if not rows:
        return missing(
            NAME, TITLE, f"{summary} Every difference is exactly zero or undefined."
        )
    layer = {
        "mark": {"type": "line", "point": {"filled": True, "size": 60}},
        "encoding": {
            "x": {
                "field": "step",
                "type": "ordinal",
                "sort": [HEADINGS.get(step, step) for step in LADDER],
                "title": "percentile of the absolute difference",
                "axis": {"labelAngle": 0},
            },
            "y": {
                "field": "difference",
                "type": "quantitative",
                "title": "absolute difference",
                "scale": {"type": "log"},
                "axis": {"format": ".0e", "labelOverlap": "greedy", "tickCount": 6},
            },
            "color": {
                "field": "output",
                "type": "nominal",
                "title": None,
                "sort": [output.name for output in outputs],
                "legend": {"labelLimit": 220},
            },
            "tooltip": [
                {"field": "output", "title": "output"},
                {"field": "step", "title": "percentile"},
                {"field": "difference", "title": "difference", "format": ".3~e"},
            ],
        },
    }
    return figure(NAME, TITLE, summary, layers=[layer], rows=rows)


def _words(numeric: NumericReport, overall: NumericOutput) -> str:
    summary = (
        f"Over {numeric.sample_count:,} samples and {overall.compared_count:,} values, "
        f"against {numeric.reference}: half of the absolute differences are at most "
        f"{format_ratio(overall.p50_diff)}, 99 % at most "
        f"{format_ratio(overall.p99_diff)}, the largest is "
        f"{format_ratio(overall.max_diff)}; cosine similarity "
        f"{'-' if overall.cosine_similarity is None else overall.cosine_similarity:.9}."
    )
    if overall.actual_nonfinite_count:
        summary += f" {overall.actual_nonfinite_count:,} values are not finite."
    return summary


def _spread(
    numeric: NumericReport, overall: NumericOutput, bins: DifferenceBins
) -> Figure:
    """Draw how many values lie how far above and below the reference."""
    rows: Rows = [
        {
            "from": round_digits(2.0**exponent),
            "to": round_digits(2.0 ** (exponent + 1)),
            "values": count * sign,
            "count": count,
            "side": side,
        }
        for side, sign, octaves in (
            (SIDES[0], 1, bins.above),
            (SIDES[1], -1, bins.below),
        )
        for exponent, count in octaves
    ]
    total = bins.zero_count + sum(row["count"] for row in rows)
    summary = (
        f"{_words(numeric, overall)} {bins.zero_count:,} of {total:,} values are equal."
    )
    if not rows:
        return missing(NAME, TITLE, summary)
    layer = {
        "mark": {"type": "rect"},
        "encoding": {
            "x": {
                "field": "from",
                "type": "quantitative",
                "title": "absolute difference, in octaves",
                "scale": {"type": "log", "nice": False},
                "axis": {"format": ".0e", "labelOverlap": "greedy", "tickCount": 8},
            },
            "x2": {"field": "to"},
            "y": {
                "field": "values",
                "type": "quantitative",
                "title": "values",
                "axis": {"format": "~s", "tickCount": 6},
            },
            "y2": {"datum": 0},
            "color": {
                "field": "side",
                "type": "nominal",
                "title": None,
                "scale": {"domain": list(SIDES)},
            },
            "tooltip": [
                {"field": "side", "title": "where"},
                {"field": "from", "title": "difference from", "format": ".2~e"},
                {"field": "to", "title": "to", "format": ".2~e"},
                {"field": "count", "title": "values", "format": ","},
            ],
        },
    }
    return figure(NAME, TITLE, summary, layers=[layer], rows=rows)


def _rows(output: NumericOutput) -> Rows:
    return [
        {
            "output": "all outputs" if output.name == "*" else output.name,
            "step": HEADINGS.get(step, step),
            "difference": round_digits(difference),
        }
        for step in LADDER
        if (difference := getattr(output, f"{step}_diff"))
    ]
