"""Where the latency goes, and what the batches looked like.

Input: named points. Output: figures.
"""

from __future__ import annotations

from collections.abc import Sequence

from bytemlperf.report.figures.figure import (
    Figure,
    Rows,
    bars_height,
    figure,
    milliseconds,
    missing,
    round_digits,
)
from bytemlperf.report.schema import Point
from bytemlperf.report.units import format_duration_ns

__all__ = ["batch_sizes", "latency_parts"]

PARTS = ("queue", "gather", "service", "ours")
MAX_BARS = 40


def latency_parts(named: Sequence[tuple[str, Point]]) -> Figure:
    """Draw the shares of the mean round trip.

    Parameters
    ----------
    named : sequence of (str, Point)
        Each with what it is called.

    Returns
    -------
    Figure
        A bar for each point.
    """
    name, title = "latency-parts", "Where the latency goes"
    shown = [(label, point) for label, point in named if point.service.count]
    if not shown:
        return missing(name, title, "No parts of a latency were measured.")
    rows: Rows = []
    words = []
    for label, point in shown:
        parts_ns = dict(zip(PARTS, _parts_ns(point), strict=True))
        total_ns = sum(parts_ns.values())
        for order, (part, mean_ns) in enumerate(parts_ns.items()):
            rows.append(
                {
                    "point": label,
                    "part": part,
                    "order": order,
                    "share": round_digits(mean_ns / total_ns) if total_ns else 0,
                    "ms": milliseconds(mean_ns),
                }
            )
        largest = max(parts_ns, key=lambda part: parts_ns[part])
        words.append(
            f"{label}: {format_duration_ns(total_ns)} on average, of which {largest} "
            f"{parts_ns[largest] / total_ns:.0%} and ours "
            f"{parts_ns['ours'] / total_ns:.2%}"
            if total_ns
            else f"{label}: nothing"
        )
    layer = {
        "mark": {"type": "bar", "cornerRadius": 1},
        "encoding": {
            "y": {
                "field": "point",
                "type": "nominal",
                "title": None,
                "sort": [label for label, _ in shown],
                "axis": {"labelLimit": 160},
            },
            "x": {
                "field": "share",
                "type": "quantitative",
                "title": "share of the mean round trip",
                "axis": {"format": ".0%", "tickCount": 5},
                "scale": {"domain": [0, 1]},
            },
            "color": {
                "field": "part",
                "type": "nominal",
                "title": None,
                "sort": list(PARTS),
                "scale": {"domain": list(PARTS)},
            },
            "order": {"field": "order"},
            "tooltip": [
                {"field": "point", "title": "point"},
                {"field": "part", "title": "part"},
                {"field": "ms", "title": "mean, ms", "format": ".4~g"},
                {"field": "share", "title": "share", "format": ".2%"},
            ],
        },
    }
    return figure(
        name,
        title,
        f"{'; '.join(words)}. queue: waiting for a predict thread; gather: putting the "
        "batch together; service: the backend; ours: the harness.",
        layers=[layer],
        rows=rows,
        height=bars_height(len(shown)),
    )


def _parts_ns(point: Point) -> tuple[float, float, float, float]:
    return (
        point.queue_wait.mean_ns,
        point.gather.mean_ns,
        point.service.mean_ns,
        point.schedule_lag.mean_ns + point.wakeup.mean_ns,
    )


def batch_sizes(named: Sequence[tuple[str, Point]]) -> Figure:
    """Draw how many samples the batches had that were really formed.

    Parameters
    ----------
    named : sequence of (str, Point)
        Each with what it is called.

    Returns
    -------
    Figure
        A line of circles for each point, their area the share of batches.
    """
    name, title = "batch-sizes", "Batch sizes that were formed"
    shown = [(label, point) for label, point in named if point.batch_sample_counts]
    if not shown:
        return missing(name, title, "No batch was formed.")
    rows: Rows = []
    words = []
    for label, point in shown:
        total = sum(point.batch_sample_counts.values())
        sizes = sorted(point.batch_sample_counts.items(), key=lambda item: int(item[0]))
        # More would be a smear, and bytes.
        most = sorted(sizes, key=lambda item: -item[1])[:MAX_BARS]
        rows += [
            {
                "point": label,
                "samples": int(size),
                "share": round_digits(count / total),
                "batches": count,
            }
            for size, count in sizes
            if (size, count) in most
        ]
        words.append(
            f"{label}: {point.mean_batch_samples:.4g} samples on average in "
            f"{total:,} batches of {point.max_batch} at most"
        )
    layer = {
        "mark": {"type": "circle", "opacity": 0.85},
        "encoding": {
            "y": {
                "field": "point",
                "type": "nominal",
                "title": None,
                "sort": [label for label, _ in shown],
                "axis": {"labelLimit": 160, "grid": True},
            },
            "x": {
                "field": "samples",
                "type": "quantitative",
                "title": "samples in the batch",
                "scale": {"type": "log", "nice": False, "padding": 14},
                "axis": {"format": "~s", "tickCount": 6},
            },
            "size": {
                "field": "share",
                "type": "quantitative",
                "title": "share of batches",
                "scale": {"domain": [0, 1], "range": [10, 300]},
                "legend": {"format": ".0%", "values": [0.1, 0.5, 1]},
            },
            "tooltip": [
                {"field": "point", "title": "point"},
                {"field": "samples", "title": "samples in the batch"},
                {"field": "batches", "title": "batches", "format": ","},
                {"field": "share", "title": "share", "format": ".1%"},
            ],
        },
    }
    return figure(
        name,
        title,
        f"{'; '.join(words)}.",
        layers=[layer],
        rows=rows,
        height=bars_height(len(shown)),
    )
