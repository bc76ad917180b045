"""Searches over a function that can only be measured: capacity, best settings.

Each is a generator: it yields what is to be measured next, is sent what came of it, and
returns an interval, or the best of what was tried. Pure: it neither runs nor waits, so
that it can be tested against queues whose capacity is known, and whoever measures may
wait as they like: `driven` calls a function, the runtime awaits a coroutine.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, Literal, TypeVar

import msgspec

from bytemlperf.errors import ConfigError
from bytemlperf.statistics.blocks import BlockTable, quantile_estimate
from bytemlperf.statistics.comparison import metric_percentile
from bytemlperf.statistics.slo import Verdict

__all__ = [
    "Capacity",
    "Probe",
    "Trial",
    "capacity_steps",
    "driven",
    "goal_score",
    "grid",
    "tuning_steps",
]

Purpose = Literal["bracket", "bisect", "confirm"]
Value = TypeVar("Value")
Asked = TypeVar("Asked")
Came = TypeVar("Came")
Found = TypeVar("Found")
# A lowest rate that is so far below the highest possible says that none will do.
MAX_HALVINGS = 6


class Probe(msgspec.Struct, frozen=True):
    """One rate that was tried.

    Parameters
    ----------
    rate : float
        Queries per second.
    verdict : {"met", "missed", "not shown"}
        Of all objectives: met only if each of them is.
    purpose : {"bracket", "bisect", "confirm"}
        Why it was tried.
    """

    rate: float
    verdict: Verdict
    purpose: Purpose


class Capacity(msgspec.Struct, frozen=True):
    """The highest rate that meets the objectives, as an interval.

    Parameters
    ----------
    rate : float or None
        Highest rate that was shown to meet them, twice, with schedules of their own;
        None: none was.
    missed_rate : float or None
        Lowest rate above it that was shown to miss them; None: none was.
    probes : list of Probe
        In the order tried.
    ended_by : {"precision", "probes", "limit", "nothing"}
        The interval is as narrow as asked; the probes were used up; even the highest
        rate that may be asked meets the objectives; no rate met them.
    """

    rate: float | None
    missed_rate: float | None
    probes: list[Probe]
    ended_by: Literal["precision", "probes", "limit", "nothing"]


class Trial(msgspec.Struct, frozen=True):
    """Settings that were tried, and how good they are.

    Parameters
    ----------
    settings : dict
        Values by name.
    score : float or None
        More is better; None: not usable, because it failed or missed an objective.
    """

    settings: dict[str, Any]
    score: float | None


def driven(
    steps: Generator[Asked, Came, Found], measure: Callable[[Asked], Came]
) -> Found:
    """Run a search to its end with a function that measures.

    Parameters
    ----------
    steps : generator
        One of this module's, or of `bytemlperf.statistics.probing`.
    measure : callable
        Takes what is to be measured, and returns what came of it.

    Returns
    -------
    object
        What the search found.
    """
    try:
        asked = next(steps)
        while True:
            asked = steps.send(measure(asked))
    except StopIteration as end:
        found: Found = end.value
        return found


def capacity_steps(
    *,
    start: float,
    limit: float = math.inf,
    precision: float = 0.05,
    max_probes: int = 12,
) -> Generator[float, Verdict, Capacity]:
    """Find the highest rate at which a probe meets its objectives.

    Rates are doubled from `start` until one is not met, or halved until one is; then
    the ratio between the highest met and the lowest not met is halved, on a logarithmic
    scale, until it is at most 1 + `precision`. A probe that is not shown to be met
    counts as not met, so that the result can be promised. The rate found is tried once
    more; if it does not hold, it counts as not met and the next lower one is tried.

    Parameters
    ----------
    start : float
        First rate, > 0.
    limit : float, optional
        Highest rate that may be tried.
    precision : float, default 0.05
        Width of the interval between met and not met, as a share, > 0.
    max_probes : int, default 12
        Probes at most, >= 2; one is kept for confirming.

    Yields
    ------
    float
        A rate to try, queries per second, with a schedule of its own; to be sent the
        verdict.

    Returns
    -------
    Capacity
        With every probe.

    Raises
    ------
    ConfigError
        A parameter is out of its range.
    """
    if not (start > 0 and limit > 0 and precision > 0 and max_probes >= 2):
        raise ConfigError(
            "a search needs start, limit and precision above 0 and 2 probes or more, "
            f"not {start:g}, {limit:g}, {precision:g} and {max_probes}"
        )
    probes: list[Probe] = []
    met: list[float] = []
    unmet: list[float] = []

    def try_rate(rate: float, purpose: Purpose) -> Generator[float, Verdict, bool]:
        verdict = yield rate
        probes.append(Probe(rate, verdict, purpose))
        return verdict == "met"

    def bracket() -> Generator[float, Verdict, None]:
        rate = min(start, limit)
        for _ in range(max_probes - 1):
            is_met = yield from try_rate(rate, "bracket")
            (met if is_met else unmet).append(rate)
            if (met and unmet) or (met and met[-1] >= limit):
                return
            if not met and len(unmet) > MAX_HALVINGS:
                return
            rate = min(limit, rate * 2) if met else rate / 2

    def bisect(last: int) -> Generator[float, Verdict, None]:
        while met and unmet and len(probes) < last:
            low, high = max(met), min(unmet)
            if high <= low * (1 + precision):
                return
            rate = math.sqrt(low * high)
            is_met = yield from try_rate(rate, "bisect")
            (met if is_met else unmet).append(rate)

    yield from bracket()
    if not met:
        return Capacity(None, _missed(probes, 0.0), probes, "nothing")
    yield from bisect(max_probes - 1)
    while met and len(probes) < max_probes:
        found = max(met)
        if (yield from try_rate(found, "confirm")):
            is_precise = bool(unmet) and min(unmet) <= found * (1 + precision)
            ended: Literal["precision", "limit", "probes"] = "probes"
            if not unmet:
                ended = "limit"
            elif is_precise:
                ended = "precision"
            return Capacity(found, _missed(probes, found), probes, ended)
        # It held once and not again: take the one below.
        met.remove(found)
        unmet.append(found)
        unmet[:] = [rate for rate in unmet if rate > max(met, default=0.0)]
        yield from bisect(max_probes - 1)
    return Capacity(None, _missed(probes, 0.0), probes, "probes")


def _missed(probes: Sequence[Probe], above: float) -> float | None:
    """Return the lowest rate above another that was shown to miss."""
    return min(
        (
            each.rate
            for each in probes
            if each.verdict == "missed" and each.rate > above
        ),
        default=None,
    )


def grid(axes: Mapping[str, Sequence[Value]]) -> list[dict[str, Value]]:
    """Return every combination of the axes' values, the last axis changing fastest.

    Parameters
    ----------
    axes : mapping of str to sequence
        Values by name.

    Returns
    -------
    list of dict
        As many as the product of the axes' lengths.
    """
    return [
        dict(zip(axes, values, strict=True))
        for values in itertools.product(*axes.values())
    ]


def tuning_steps(
    axes: Mapping[str, Sequence[Value]], *, max_trials: int
) -> Generator[dict[str, Value], float | None, list[Trial]]:
    """Look for the best settings, one axis after the other.

    From the first value of every axis, the values of one axis at a time are tried and
    the best is kept, until a whole round over the axes has brought nothing, or the
    trials are used up. Where the product of the axes is within the trials, all of it is
    tried, so that the answer is the true best.

    Parameters
    ----------
    axes : mapping of str to sequence
        Hashable values by name, at least one each.
    max_trials : int
        Settings tried at most, >= 1.

    Yields
    ------
    dict
        Settings to try, none of them twice; to be sent their score, more being better,
        or None if they are not usable.

    Returns
    -------
    list of Trial
        In the order tried.
    """
    trials: dict[tuple[Value, ...], Trial] = {}

    def score(
        settings: dict[str, Value],
    ) -> Generator[dict[str, Value], float | None, float]:
        key = tuple(settings.values())
        if key not in trials:
            if len(trials) >= max_trials:
                return -math.inf
            trials[key] = Trial(settings, (yield settings))
        found = trials[key].score
        return -math.inf if found is None else found

    everything = grid(axes)
    if len(everything) <= max_trials:
        for settings in everything:
            yield from score(settings)
        return list(trials.values())
    best = {name: values[0] for name, values in axes.items()}
    best_score = yield from score(best)
    has_improved = True
    while has_improved and len(trials) < max_trials:
        has_improved = False
        for name, values in axes.items():
            for value in values:
                candidate = best | {name: value}
                candidate_score = yield from score(candidate)
                if candidate_score > best_score:
                    best, best_score, has_improved = candidate, candidate_score, True
    return list(trials.values())


def goal_score(
    goal: str, table: BlockTable, *, samples_per_s: float, mean_ns: float
) -> float:
    """Say how good a run is.

    Parameters
    ----------
    goal : str
        ``"qps"`` (the most samples per second), or the least of a latency: ``"mean"``,
        or such as ``"p99"``.
    table : BlockTable
        The run's blocks, with at least one query.
    samples_per_s, mean_ns : float
        Its throughput, and its mean latency.

    Returns
    -------
    float
        More is better; latencies are negative.

    Raises
    ------
    ConfigError
        It is no goal.
    """
    percentile = metric_percentile(goal)
    if percentile is not None:
        return -float(quantile_estimate(table, percentile).value_ns)
    return -mean_ns if goal == "mean" else samples_per_s
