"""One load test under many settings: all of them, or the best with few runs.

Input: a coroutine function that runs a load test with settings. Output: a row each.
Which settings are tried is decided by `bytemlperf.statistics.search`, as for the verbs
`sweep` and `tune` of the command line.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import msgspec

from bytemlperf.errors import ConfigError
from bytemlperf.runtime.measured import (
    Measured,
    Told,
    awaited,
    judged,
    parsed_objectives,
    recording_table,
)
from bytemlperf.runtime.recorder import Recording
from bytemlperf.statistics.comparison import metric_percentile
from bytemlperf.statistics.search import goal_score, grid, tuning_steps
from bytemlperf.statistics.slo import Slo
from bytemlperf.statistics.summary import DEFAULT_PERCENTILES

__all__ = ["Tuning", "sweep", "tune"]

RunWith = Callable[[dict[str, Any]], Awaitable[Recording]]
Axes = Mapping[str, Sequence[Any]]


class Tuning(msgspec.Struct, frozen=True):
    """What tuning found.

    Parameters
    ----------
    best : Measured or None
        The best of the usable runs; None: no run was usable.
    runs : tuple of Measured
        All runs, in the order made.
    is_complete : bool
        Whether all combinations were tried, so that the best is surely the best.
    """

    best: Measured | None
    runs: tuple[Measured, ...]
    is_complete: bool


async def sweep(
    run_with: RunWith,
    axes: Axes,
    *,
    objectives: str | Sequence[Slo] = "",
    percentiles: Sequence[float] = DEFAULT_PERCENTILES,
    on_run: Told | None = None,
) -> list[Measured]:
    """Measure every combination of settings.

    Parameters
    ----------
    run_with : coroutine function
        ``await run_with(settings)`` makes a load test with `run`; `settings` is a dict
        with a value for every axis.
    axes : mapping of str to sequence
        Different, hashable values by name; the last axis changes fastest.
    objectives : str or sequence of Slo, default ""
        Judged for each, such as ``"p99<=20ms"``.
    percentiles : sequence of float
        Of the latency, in percent, (0, 100).
    on_run : callable, optional
        Told of each run when it is done.

    Returns
    -------
    list of Measured
        One a combination. Where predict failed, `Measured.faults` says so, and the
        others are measured all the same.

    Raises
    ------
    ConfigError
        An axis, an objective or a percentile is wrong.

    Examples
    --------
    >>> rows = await sweep(run_with, {"max_batch": [1, 8], "max_delay_us": [0, 500]})
    >>> for row in rows:
    ...     print(row.settings, row.statistics.throughput_samples_per_s)
    """
    slos = parsed_objectives(objectives)
    _check_axes(axes)
    rows = []
    for settings in grid(axes):
        recording = await run_with(dict(settings))
        rows.append(judged(recording, settings, slos, percentiles))
        if on_run is not None:
            on_run(rows[-1])
    return rows


async def tune(
    run_with: RunWith,
    axes: Axes,
    *,
    goal: str = "qps",
    objectives: str | Sequence[Slo] = "",
    max_runs: int = 20,
    on_run: Told | None = None,
) -> Tuning:
    """Look for the best settings: most throughput, or least latency, under objectives.

    All combinations are tried if `max_runs` are enough for them. Else one axis at a
    time is improved, from its first value, until a round over all brings nothing.

    Parameters
    ----------
    run_with : coroutine function
        See `sweep`.
    axes : mapping of str to sequence
        See `sweep`; the first values are where it begins.
    goal : str, default "qps"
        The most samples per second, or the least ``"mean"`` or ``"p50"``, ``"p99"`` ...
    objectives : str or sequence of Slo, default ""
        What misses one of them, or is spoilt, is not usable.
    max_runs : int, default 20
        Runs at most, >= 1.
    on_run : callable, optional
        Told of each run when it is done.

    Returns
    -------
    Tuning
        The best, and all runs.

    Raises
    ------
    ConfigError
        An axis, the goal or an objective is wrong.
    """
    slos = parsed_objectives(objectives)
    _check_axes(axes)
    metric_percentile(goal)
    if max_runs < 1:
        raise ConfigError(f"max_runs must be >= 1, not {max_runs}")
    runs: list[Measured] = []

    async def evaluate(settings: dict[str, Any]) -> float | None:
        recording = await run_with(dict(settings))
        run = judged(recording, settings, slos)
        runs.append(run)
        if on_run is not None:
            on_run(run)
        if not run.is_usable:
            return None
        return goal_score(
            goal,
            recording_table(recording),
            samples_per_s=recording.sample_count / (recording.window_ns / 1e9),
            mean_ns=recording.latency.mean,
        )

    trials = await awaited(tuning_steps(axes, max_trials=max_runs), evaluate)
    usable = [
        (trial.score, -place)
        for place, trial in enumerate(trials)
        if trial.score is not None
    ]
    best = runs[-max(usable)[1]] if usable else None
    return Tuning(best, tuple(runs), is_complete=len(runs) == len(grid(axes)))


def _check_axes(axes: Axes) -> None:
    if not axes:
        raise ConfigError("there is nothing to vary: axes are empty")
    for name, values in axes.items():
        if not len(values) or len(set(values)) < len(values):
            raise ConfigError(
                f"the axis {name!r} needs different values, not {list(values)}"
            )
