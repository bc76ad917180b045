"""How much of a model was compiled, and how long it took.

Input: a compile report. Output: a figure.
"""

from __future__ import annotations

from bytemlperf.report.figures.figure import (
    Figure,
    Rows,
    bars_height,
    figure,
    milliseconds,
    missing,
)
from bytemlperf.report.schema import CompileReport
from bytemlperf.report.units import format_duration_ns

__all__ = ["compile_times"]

NAME = "compile"
TITLE = "Compile and coverage"
STAGES = ("compile", "load", "first answer")


def compile_times(compiled: CompileReport | None) -> Figure:
    """Draw how long it took until the model answered.

    Parameters
    ----------
    compiled : CompileReport or None
        None: it did not come to that.

    Returns
    -------
    Figure
        A bar for each stage; coverage in words.
    """
    if compiled is None:
        return missing(NAME, TITLE, "The model was not compiled.")
    stages_ns = dict(
        zip(
            STAGES,
            (compiled.duration_ns, compiled.load_ns, compiled.first_predict_ns),
            strict=True,
        )
    )
    fallback = (
        f"{compiled.fallback_count} of {compiled.segment_count} segments fall back to "
        "the CPU"
        if compiled.fallback_count
        else f"no fallback among {compiled.segment_count} "
        f"{'segment' if compiled.segment_count == 1 else 'segments'}"
    )
    summary = (
        f"{compiled.status}; {compiled.sg_percent:g} % of the operators are compiled, "
        f"as the backend claims, {fallback}; precision {compiled.precision}. "
        + ", ".join(
            f"{stage} {format_duration_ns(duration_ns)}"
            for stage, duration_ns in stages_ns.items()
        )
        + "."
    )
    rows: Rows = [
        {"stage": stage, "ms": milliseconds(duration_ns)}
        for stage, duration_ns in stages_ns.items()
        if duration_ns
    ]
    if not rows:
        return missing(NAME, TITLE, summary)
    encoding = {
        "y": {
            "field": "stage",
            "type": "nominal",
            "title": None,
            "sort": list(STAGES),
        },
        "x": {
            "field": "ms",
            "type": "quantitative",
            "title": "ms",
            "scale": {"zero": True},
            "axis": {"tickCount": 5, "format": ",~r"},
        },
        "tooltip": [
            {"field": "stage", "title": "stage"},
            {"field": "ms", "title": "ms", "format": ",.4~g"},
        ],
    }
    return figure(
        NAME,
        TITLE,
        summary,
        layers=[{"mark": "bar", "encoding": encoding}],
        rows=rows,
        height=bars_height(len(rows)),
    )
