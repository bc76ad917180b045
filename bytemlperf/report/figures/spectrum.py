"""The percentile spectrum: latency as far out as the samples carry it.

Input: points. Output: a figure. The axis is 1 / (1 - percentile), logarithmic, as the
HdrHistogram plotter has it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bytemlperf.report.cells import read_cells
from bytemlperf.report.figures.figure import (
    Figure,
    Rows,
    axis_ms,
    figure,
    milliseconds,
    missing,
    round_digits,
)
from bytemlperf.report.percentiles import CONFIDENCE
from bytemlperf.report.schema import Distribution, Point
from bytemlperf.report.units import format_duration_ns

__all__ = ["spectrum"]

NAME = "spectrum"
TITLE = "Latency by percentile"
STEPS = 72
KINDS = ("latency", "service")
PERCENT_LABELS = (
    "datum.value <= 1 ? '0 %' : datum.value == 2 ? '50 %' : "
    "format(100 - 100 / datum.value, '.6~r') + ' %'"
)


def spectrum(
    named: Sequence[tuple[str, Point]], *, with_service: bool = True
) -> Figure:
    """Draw each point's latency, and the time its answer alone took, by percentile.

    Parameters
    ----------
    named : sequence of (str, Point)
        Each with what it is called here.
    with_service : bool
        Whether service times are drawn as well.

    Returns
    -------
    Figure
        Pale where there are too few queries to carry a percentile.
    """
    shown = [(name, point) for name, point in named if read_cells(point.latency).count]
    if not shown:
        return missing(NAME, TITLE, "No histogram of latencies was kept.")
    rows: Rows = []
    for name, point in shown:
        kinds = [(KINDS[0], point.latency)]
        if with_service:
            kinds.append((KINDS[1], point.service))
        for kind, distribution in kinds:
            rows += _rows(name, kind, distribution)
    words = [
        f"{name}: half of the queries within {format_duration_ns(point.latency.p50_ns)}"
        f", the slowest of {point.latency.count:,} took "
        f"{format_duration_ns(point.latency.max_ns)}"
        for name, point in shown
    ]
    ends = max(point.latency.count for _, point in shown)
    encoding = {
        "x": {
            "field": "inverse",
            "type": "quantitative",
            "title": "percentile",
            "scale": {"type": "log", "nice": False, "domainMin": 1},
            "axis": {
                "values": [1, 2, *(10**power for power in range(1, 7))],
                "labelExpr": PERCENT_LABELS,
                "labelOverlap": "greedy",
            },
        },
        "y": axis_ms("ms"),
        "color": {
            "field": "name",
            "type": "nominal",
            "title": None,
            "sort": [name for name, _ in shown],
        },
        "strokeDash": {
            "field": "kind",
            "type": "nominal",
            "title": None,
            "scale": {"domain": list(KINDS), "range": [[1, 0], [4, 3]]},
        },
        "opacity": {"condition": {"test": "datum.carried", "value": 1}, "value": 0.35},
        "detail": {"field": "carried"},
        "tooltip": [
            {"field": "name", "title": "point"},
            {"field": "kind", "title": "what"},
            {"field": "percent", "title": "percentile", "format": ".6~r"},
            {"field": "ms", "title": "ms", "format": ".4~g"},
        ],
    }
    if not with_service:
        del encoding["strokeDash"]
    return figure(
        NAME,
        TITLE,
        f"{'; '.join(words)}. latency counts from the planned start, service is the "
        "backend's part alone. Pale lines: fewer queries than the percentile needs "
        f"(n of up to {ends:,}; at {CONFIDENCE:.0%} confidence).",
        layers=[{"mark": {"type": "line", "clip": True}, "encoding": encoding}],
        rows=rows,
        height=300,
    )


def _rows(name: str, kind: str, distribution: Distribution) -> Rows:
    """Sample a distribution evenly along the axis, out to its maximum."""
    cells = read_cells(distribution)
    count = cells.count
    if not count:
        return []
    inverse = np.geomspace(1, max(count, 2), min(STEPS, max(count, 2)))
    # Nearest rank; the last is the maximum, which no percentile below 100 has to be.
    ranks = np.clip(np.ceil(count - count / inverse), 1, count).astype(np.int64)
    ranks[-1] = count
    values = cells.at_ranks(ranks)
    # The largest share that so many values carry: count >= ln(1 - c) / ln(share).
    carried_to = 1 / (1 - (1 - CONFIDENCE) ** (1 / count))
    rows = [
        {
            "name": name,
            "kind": kind,
            "inverse": round_digits(float(at)),
            "percent": float(f"{100 - 100 / at:.7g}"),
            "ms": milliseconds(float(value)),
            "carried": bool(at <= carried_to),
        }
        for at, value in zip(inverse, values, strict=True)
    ]
    # Both pieces of the line meet in a point.
    border = next(
        (index for index, row in enumerate(rows) if not row["carried"]), len(rows)
    )
    if 0 < border < len(rows):
        rows.insert(border, rows[border - 1] | {"carried": False})
    return rows
