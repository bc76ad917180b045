"""Latency over time as a map: two modes, pauses and drifts that percentiles hide.

Input: a point. Output: a figure.
"""

from __future__ import annotations

import numpy as np

from bytemlperf.report.blocks import filled_cells
from bytemlperf.report.figures.figure import (
    Figure,
    Rows,
    axis_ms,
    figure,
    missing,
    round_digits,
)
from bytemlperf.report.schema import Point
from bytemlperf.report.units import format_duration_ns

__all__ = ["latency_heat"]

NAME = "latency-heat"
TITLE = "Latency, over time, by how many"
# Rows of the map; each is a factor of the latency, between the extremes.
MAX_ROWS = 36


def latency_heat(point: Point) -> Figure:
    """Draw how many queries had which latency when.

    Parameters
    ----------
    point : Point
        With blocks of time.

    Returns
    -------
    Figure
        A column for each block, a row for each range of latency.
    """
    blocks = [
        (block, filled_cells(block.hdr_v2_base64, point.latency.max_ns))
        for block in point.blocks
        if block.query_count
    ]
    if not blocks:
        return missing(NAME, TITLE, "The result holds no blocks of time to draw.")
    low_ns = max(1, point.latency.min_ns)
    high_ns = max(point.latency.max_ns, low_ns + 1)
    edges = np.geomspace(low_ns, high_ns * 1.0001, MAX_ROWS + 1)
    rows: Rows = []
    for block, cells in blocks:
        counts, _ = np.histogram(
            np.clip(cells[:, 0], low_ns, high_ns), edges, weights=cells[:, 1]
        )
        begin = round_digits(block.start_ns / 1e9)
        end = round_digits((block.start_ns + block.duration_ns) / 1e9)
        rows += [
            {
                "from": begin,
                "to": end,
                "low": round_digits(edges[row] / 1e6),
                "high": round_digits(edges[row + 1] / 1e6),
                "queries": int(counts[row]),
            }
            for row in np.flatnonzero(counts)
        ]
    layer = {
        "mark": {"type": "rect"},
        "encoding": {
            "x": {
                "field": "from",
                "type": "quantitative",
                "title": "seconds since the measured window began",
                "scale": {"nice": False},
                "axis": {"tickCount": 8, "format": "~r", "grid": False},
            },
            "x2": {"field": "to"},
            "y": axis_ms("latency, ms", field="low"),
            "y2": {"field": "high"},
            "color": {
                "field": "queries",
                "type": "quantitative",
                "title": "queries",
                "scale": {"type": "log"},
                "legend": {"gradientLength": 120, "format": "~s", "tickCount": 3},
            },
            "tooltip": [
                {"field": "from", "title": "from, s"},
                {"field": "to", "title": "to, s"},
                {"field": "low", "title": "ms, from"},
                {"field": "high", "title": "to"},
                {"field": "queries", "title": "queries", "format": ","},
            ],
        },
    }
    block_ns = point.blocks[0].duration_ns
    summary = (
        f"{sum(block.query_count for block, _ in blocks):,} queries in "
        f"{len(point.blocks)} blocks of {format_duration_ns(block_ns)}, latencies from "
        f"{format_duration_ns(point.latency.min_ns)} to "
        f"{format_duration_ns(point.latency.max_ns)}. Two bands are two modes; a dark "
        "column high up is a pause."
    )
    return figure(NAME, TITLE, summary, layers=[layer], rows=rows, height=240)
