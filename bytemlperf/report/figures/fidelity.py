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
from bytemlperf.report.schema import NumericOutput, NumericReport
from bytemlperf.report.units import format_ratio

__all__ = ["differences"]

NAME = "numeric-differences"
TITLE = "Differences from the reference"
LADDER = ("p50", "p90", "p99", "p999", "max")
HEADINGS = {"p999": "p99.9"}
MAX_OUTPUTS = 12


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
    outputs = numeric.outputs[:MAX_OUTPUTS] or [numeric.overall]
    rows: Rows = [row for output in outputs for row in _rows(output)]
    overall = numeric.overall
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
