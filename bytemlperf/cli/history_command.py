"""The verb `history`: how figures went over time, on this machine's own store."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from bytemlperf.cli.options import WHAT, WHERE

__all__ = ["history"]

Metric = Literal[
    "throughput_samples_per_s", "latency_p50_ns", "latency_p90_ns", "latency_p99_ns",
    "service_mean_ns", "peak_rss_bytes",
]  # fmt: skip


def history(
    *,
    tasks: Annotated[str, Parameter(name=["--tasks", "--task"], group=WHAT)] = "*",
    hardware_type: Annotated[str, Parameter(group=WHAT)] = "*",
    metric: Annotated[Metric, Parameter(group=WHAT)] = "throughput_samples_per_s",
    last: Annotated[int, Parameter(group=WHAT)] = 20,
    add: Annotated[
        list[Path], Parameter(group=WHERE, negative=(), consume_multiple=True)
    ] = [],  # noqa: B006 - read only
    html: Annotated[Path | None, Parameter(group=WHERE)] = None,
) -> int:
    """Show a figure of earlier runs, and where its level changed.

    Every run adds its results to a store in the user's data folder, or where
    BYTEMLPERF_HISTORY says (off: nowhere).

    Parameters
    ----------
    tasks
        Glob pattern of tasks.
    hardware_type
        Glob pattern of hardware types.
    metric
        The figure.
    last
        How many runs of each point are shown.
    add
        Results to add first: result.json, index.json, or folders of runs.
    html
        Also draw it into this file.
    """
    from bytemlperf.cli.history_display import show_history

    return show_history(
        task=tasks,
        hardware_type=hardware_type,
        metric=metric,
        last=last,
        add=add,
        html=html,
    )
