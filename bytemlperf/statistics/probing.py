"""Probes of a rate: how long each lasts, what it shows, and when it is repeated.

Input: objectives, and what each probe measured. Output: the highest rate that meets
them. Pure; the command line and the runtime both drive it, so that a rate found by
either is as good.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence

import msgspec

from bytemlperf.statistics.order import loadgen_min_count
from bytemlperf.statistics.search import Capacity, capacity_steps
from bytemlperf.statistics.slo import Slo, Verdict
from bytemlperf.statistics.summary import RunStatistics

__all__ = ["ProbeOutcome", "ProbeRequest", "judge_probe", "probe_steps"]

# A probe that is not shown to meet its objectives, but may, is repeated so much longer.
LONGER = 3.0
# A probe may take so many times the time of a point to see enough queries.
MAX_STRETCH = 6.0
# Queries over a bound that a probe's length leaves room for.
SPARE_QUERIES = 3


class ProbeRequest(msgspec.Struct, frozen=True):
    """A run that a search asks for.

    Parameters
    ----------
    number : int
        Which one, from 1; also the seed of its schedule, so that each has its own.
    rate_qps : float
        Queries per second.
    seconds : float
        Length of its schedule.
    """

    number: int
    rate_qps: float
    seconds: float


class ProbeOutcome(msgspec.Struct, frozen=True):
    """What a run shows.

    Parameters
    ----------
    verdict : {"met", "missed", "not shown"}
        Of all objectives.
    may_be_met : bool, default False
        Whether a longer run might show that they are.
    """

    verdict: Verdict
    may_be_met: bool = False


def judge_probe(
    statistics: RunStatistics | None,
    *,
    failed_count: int = 0,
    lost_count: int = 0,
    is_unstable: bool = False,
    is_invalid: bool = False,
) -> ProbeOutcome:
    """Judge a run at a rate.

    Parameters
    ----------
    statistics : RunStatistics or None
        With the objectives' judgements; None: no query was answered.
    failed_count : int, default 0
        Queries that predict failed to answer.
    lost_count : int, default 0
        Queries that found the queue full, or were still queued at the end.
    is_unstable : bool, default False
        Whether the backlog grew all along.
    is_invalid : bool, default False
        Whether it is no measurement, for another reason than these.

    Returns
    -------
    ProbeOutcome
        Its verdict.
    """
    if statistics is None or failed_count or lost_count or is_unstable:
        return ProbeOutcome("missed")
    if statistics.steadiness.verdict == "unstable":
        return ProbeOutcome("missed")
    verdicts = {judgement.verdict for judgement in statistics.slos}
    if "missed" in verdicts:
        return ProbeOutcome("missed")
    if "not shown" not in verdicts:
        # What is no measurement shows nothing; repeated, it may be one.
        return ProbeOutcome("not shown" if is_invalid else "met", may_be_met=True)
    may_be_met = all(
        judgement.verdict == "met"
        or (
            judgement.value >= judgement.slo.bound
            if judgement.slo.metric == "qps"
            else judgement.value <= judgement.slo.bound
        )
        for judgement in statistics.slos
    )
    return ProbeOutcome("not shown", may_be_met)


def probe_steps(
    slos: Sequence[Slo],
    *,
    seconds: float,
    start: float,
    limit: float = math.inf,
    precision: float = 0.05,
    max_probes: int = 12,
) -> Generator[ProbeRequest, ProbeOutcome, Capacity]:
    """Find the highest rate that meets objectives; see `capacity_steps`.

    Parameters
    ----------
    slos : sequence of Slo
        The objectives, at least one.
    seconds : float
        Length of a probe, > 0; where a percentile needs more queries, as long as they
        take, at most 6 times as long. One that is not shown to be met, but may be, is
        repeated 3 times as long.
    start, limit, precision, max_probes
        See `capacity_steps`; a repeated probe counts once.

    Yields
    ------
    ProbeRequest
        A run to make; to be sent what it shows.

    Returns
    -------
    Capacity
        With every probe.

    Raises
    ------
    ConfigError
        A parameter is out of its range.
    """
    steps = capacity_steps(
        start=start, limit=limit, precision=precision, max_probes=max_probes
    )
    number = 0
    try:
        rate = next(steps)
        while True:
            length = _probe_seconds(slos, rate, seconds)
            number += 1
            outcome = yield ProbeRequest(number, rate, length)
            if outcome.verdict == "not shown" and outcome.may_be_met:
                number += 1
                outcome = yield ProbeRequest(number, rate, length * LONGER)
            rate = steps.send(outcome.verdict)
    except StopIteration as end:
        found: Capacity = end.value
        return found


def _probe_seconds(slos: Sequence[Slo], rate: float, seconds: float) -> float:
    """Return how long a probe must be to be able to show its objectives."""
    needed = [
        loadgen_min_count(SPARE_QUERIES, slo.percentile) / rate
        for slo in slos
        if slo.percentile is not None
    ]
    return min(seconds * MAX_STRETCH, max([seconds, *needed]))
