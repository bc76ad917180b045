"""Several tasks in one picture: how fast each is, and what accuracy that speed buys.

Input: results with their names. Output: figures.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from bytemlperf.report.figures.figure import (
    Figure,
    Rows,
    Spec,
    bars_height,
    figure,
    missing,
    round_digits,
)
from bytemlperf.report.schema import Point, TaskResult
from bytemlperf.report.units import format_rate

__all__ = ["NamedResult", "accuracy_speed", "best_point", "best_throughput"]


class NamedResult(msgspec.Struct, frozen=True):
    """A result and what it is called among the others.

    Parameters
    ----------
    run : str
        Which run it belongs to; the same for all results of one run.
    result : TaskResult
        Of one task.
    """

    run: str
    result: TaskResult


def best_point(result: TaskResult) -> Point | None:
    """Return the valid point with the highest throughput, or None."""
    valid = [point for point in result.points if not point.invalid_reasons]
    return max(valid, key=lambda point: point.throughput_samples_per_s, default=None)


def best_throughput(results: Sequence[NamedResult]) -> Figure:
    """Draw each task's best valid throughput, on a logarithmic axis.

    Parameters
    ----------
    results : sequence of NamedResult
        In order.

    Returns
    -------
    Figure
        A dot for each; tasks without a valid point are named.
    """
    name, title = "best-throughput", "Best valid throughput"
    rows: Rows = []
    without = []
    for each in results:
        best = best_point(each.result)
        if best is None:
            without.append(each.result.task)
            continue
        rows.append(
            {
                "task": each.result.task,
                "run": each.run,
                "throughput": round_digits(best.throughput_samples_per_s),
                "batch": best.batch_size,
            }
        )
    note = f" No valid point: {', '.join(without)}." if without else ""
    if not rows:
        return missing(name, title, f"No task has a valid point.{note}")
    runs = list(dict.fromkeys(each.run for each in results))
    words = [
        f"{row['task']}{', ' + row['run'] if len(runs) > 1 else ''}: "
        f"{format_rate(row['throughput'])} samples/s at batch {row['batch']}"
        for row in rows
    ]
    encoding = {
        "y": {
            "field": "task",
            "type": "nominal",
            "title": None,
            "sort": list(dict.fromkeys(row["task"] for row in rows)),
            "axis": {"labelLimit": 180, "grid": True},
        },
        "x": {
            "field": "throughput",
            "type": "quantitative",
            "title": "samples per second",
            "scale": {"type": "log", "nice": True},
            "axis": {"format": "~s", "labelOverlap": "greedy"},
        },
        "tooltip": [
            {"field": "task", "title": "task"},
            {"field": "run", "title": "run"},
            {"field": "throughput", "title": "samples/s", "format": ",.4~g"},
            {"field": "batch", "title": "batch size"},
        ],
    }
    if len(runs) > 1:
        encoding["color"] = encoding["shape"] = {
            "field": "run",
            "type": "nominal",
            "title": None,
            "sort": runs,
        }
    mark = {"type": "point", "filled": True, "size": 110, "opacity": 1}
    return figure(
        name,
        title,
        f"{'; '.join(words)}.{note}",
        layers=[{"mark": mark, "encoding": encoding}],
        rows=rows,
        height=bars_height(len({row["task"] for row in rows})),
    )


def accuracy_speed(results: Sequence[NamedResult]) -> Figure:
    """Draw accuracy over best valid throughput, a mark for each scored result.

    Parameters
    ----------
    results : sequence of NamedResult
        Of any tasks; scores of different metrics have different colours, because they
        cannot be compared.

    Returns
    -------
    Figure
        With 95 % intervals, and a line along the results that none of the same metric
        beats in both.
    """
    name, title = "accuracy-speed", "Accuracy against speed"
    rows: Rows = []
    for each in results:
        accuracy, best = each.result.accuracy, best_point(each.result)
        if accuracy is None or accuracy.status != "scored" or best is None:
            continue
        metric, score = next(iter(accuracy.values.items()))
        low, high = accuracy.interval_95.get(metric, (score, score))
        model = each.result.model
        rows.append(
            {
                "task": each.result.task,
                "run": each.run,
                "metric": metric,
                "precision": model.precision if model else "",
                "throughput": round_digits(best.throughput_samples_per_s),
                "score": round_digits(score),
                "low": round_digits(low),
                "high": round_digits(high),
            }
        )
    if not rows:
        return missing(
            name,
            title,
            "No result has both a score and a valid point. Models with seeded weights "
            "have no accuracy.",
        )
    for row in rows:
        row["frontier"] = not any(
            other["metric"] == row["metric"]
            and other["throughput"] >= row["throughput"]
            and other["score"] >= row["score"]
            and (other["throughput"], other["score"])
            != (row["throughput"], row["score"])
            for other in rows
        )
    x = {
        "field": "throughput",
        "type": "quantitative",
        "title": "best valid throughput, samples per second",
        "scale": {"type": "log", "nice": True, "padding": 20},
        "axis": {"format": "~s", "labelOverlap": "greedy"},
    }
    y = {
        "field": "score",
        "type": "quantitative",
        "title": "score",
        "scale": {"zero": False, "padding": 12},
    }
    color = {"field": "metric", "type": "nominal", "title": None}
    tooltip = [
        {"field": "task", "title": "task"},
        {"field": "run", "title": "run"},
        {"field": "precision", "title": "precision"},
        {"field": "throughput", "title": "samples/s", "format": ",.4~g"},
        {"field": "metric", "title": "metric"},
        {"field": "score", "title": "score", "format": ".4f"},
        {"field": "low", "title": "95 % from", "format": ".4f"},
        {"field": "high", "title": "to", "format": ".4f"},
    ]
    layers: list[Spec] = [
        {
            "transform": [{"filter": "datum.frontier"}],
            "mark": {"type": "line", "strokeDash": [4, 3], "opacity": 0.6},
            "encoding": {"x": x, "y": y, "color": color},
        },
        {
            "mark": {"type": "rule"},
            "encoding": {
                "x": x,
                "y": y | {"field": "low"},
                "y2": {"field": "high"},
                "color": color,
            },
        },
        {
            "mark": {"type": "point", "filled": True, "size": 90, "opacity": 1},
            "encoding": {
                "x": x,
                "y": y,
                "color": color,
                "tooltip": tooltip,
            },
        },
        {
            "mark": {"type": "text", "dy": -10, "fontSize": 10, "limit": 160},
            "encoding": {"x": x, "y": y, "text": {"field": "task"}},
        },
    ]
    words = [
        f"{row['task']}: {row['metric']} {row['score']:.4f} "
        f"[{row['low']:.4f}, {row['high']:.4f}] at "
        f"{format_rate(row['throughput'])} samples/s"
        for row in rows
    ]
    return figure(
        name,
        title,
        f"{'; '.join(words)}. Dashed: beaten in both by no other "
        "result of that metric.",
        layers=layers,
        rows=rows,
        height=280,
    )
