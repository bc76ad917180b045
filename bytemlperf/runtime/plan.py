"""Which samples a run asks for, and when: drawn from seeds, before the clock starts.

The order of samples is a function of (sample count, samples per query, alignment, seed)
alone, and the schedule one of (scenario, seed): two runs with the same seeds ask for
the same samples in the same order at the same moments.
"""

from __future__ import annotations

import msgspec
import numpy as np
import numpy.typing as npt

from bytemlperf.errors import ConfigError
from bytemlperf.runtime.arrivals import due_times, schedule_seconds, schedule_sha256
from bytemlperf.runtime.memory import check_memory
from bytemlperf.runtime.open_scenario import (
    Offline,
    OpenScenario,
    Ramp,
    Timed,
    Trace,
)
from bytemlperf.runtime.scenario import Scenario, as_closed_loop

__all__ = [
    "RNG_NAME",
    "LoadPlan",
    "SampleOrder",
    "check_scenario",
    "plan_load",
    "share_plan",
]

RNG_NAME = "numpy.PCG64"
_DRAWS_AT_ONCE = 8192  # about 50 us of work on the loop, every 8192 queries


class SampleOrder:
    """First samples of queries, without end.

    Parameters
    ----------
    sample_count : int
        Samples loaded.
    samples_per_query : int
        Samples of a query; they are neighbours.
    step : int
        Apart from each other by how many samples queries may begin so that their data
        is aligned. It is used if every sample can still be drawn, that is if it is not
        larger than `samples_per_query`; otherwise queries begin anywhere.
    seed : int
        Seed of the generator, >= 0.

    Raises
    ------
    ConfigError
        Fewer samples are loaded than a query takes, or the seed is negative.
    """

    def __init__(
        self, sample_count: int, samples_per_query: int, *, step: int, seed: int
    ) -> None:
        if sample_count < samples_per_query:
            raise ConfigError(
                f"a query takes {samples_per_query} samples, but only {sample_count} "
                "are loaded",
                hint="load more samples, or lower samples_per_query",
            )
        if seed < 0:
            raise ConfigError(f"a seed must be >= 0, not {seed}")
        self._samples_per_query = samples_per_query
        self.step = step if step <= samples_per_query else 1
        self._starts = (sample_count - samples_per_query) // self.step + 1
        self._generator = np.random.Generator(np.random.PCG64(seed))

    def draw(self) -> npt.NDArray[np.int64]:
        """Draw the next queries.

        Returns
        -------
        ndarray
            First sample of each, int64, shape (8192,).
        """
        drawn = self._generator.integers(
            0, self._starts, size=_DRAWS_AT_ONCE, dtype=np.int64
        )
        return drawn * self.step

    def take(self, count: int) -> npt.NDArray[np.int64]:
        """Draw so many queries at once.

        Parameters
        ----------
        count : int
            How many, >= 0.

        Returns
        -------
        ndarray
            First sample of each, int64, shape (count,).
        """
        drawn = [self.draw() for _ in range(-(-count // _DRAWS_AT_ONCE))]
        return np.concatenate([np.empty(0, np.int64), *drawn])[:count]

    def cycle(self, count: int) -> npt.NDArray[np.int64]:
        """Go through the loaded samples in order, again and again.

        Parameters
        ----------
        count : int
            How many queries, >= 0.

        Returns
        -------
        ndarray
            First sample of each, int64, shape (count,).
        """
        queries = (self._starts - 1) * self.step // self._samples_per_query + 1
        return np.arange(count, dtype=np.int64) % queries * self._samples_per_query


class LoadPlan(msgspec.Struct, frozen=True, eq=False):
    """A schedule: what is issued when, whatever the answers do.

    Parameters
    ----------
    due_ns : ndarray
        When each row is due, ns since the start, int64, never falling.
    samples : ndarray
        First sample of each row, int64, of the same shape.
    queries : ndarray or None
        Query that each row belongs to, int32; None: each is a query of its own.
    query_count : int
        Queries.
    seconds : float
        Length of the schedule, s; 0 if everything is due at once.
    requested_qps : float or None
        Rate that was asked for; None: the scenario has none.
    offered_qps : float or None
        Queries over `seconds`.
    schedule_seed : int
        Seed of the moments.
    sha256 : str
        Of the moments; see `bytemlperf.runtime.arrivals.schedule_sha256`.
    """

    due_ns: npt.NDArray[np.int64]
    samples: npt.NDArray[np.int64]
    queries: npt.NDArray[np.int32] | None
    query_count: int
    seconds: float
    requested_qps: float | None
    offered_qps: float | None
    schedule_seed: int
    sha256: str


# Moment, sample, and query of a row, and what drawing them needs besides.
_PLANNED_BYTES_PER_ROW = 40
# A task with its coroutine, an answer and a row; rounded up.
_CLIENT_BYTES = 2048


def check_scenario(scenario: Scenario) -> None:
    """Refuse a load that does not fit into memory.

    Parameters
    ----------
    scenario : Scenario
        The load.

    Raises
    ------
    ConfigError
        With what is allowed.
    """
    if isinstance(scenario, OpenScenario):
        rows = _row_count(scenario)
        check_memory(
            rows * _PLANNED_BYTES_PER_ROW,
            f"a schedule of {rows:,} queries",
            hint="ask for a lower rate or a shorter time",
        )
        return
    clients = as_closed_loop(scenario).clients
    check_memory(
        clients * _CLIENT_BYTES, f"{clients:,} clients", hint="ask for fewer clients"
    )


def _row_count(scenario: OpenScenario) -> int:
    if isinstance(scenario, Trace):
        sizes = scenario.sizes
        return len(scenario.due_ns) if sizes is None else int(sizes.sum())
    if isinstance(scenario, Offline):
        return scenario.queries
    return max(1, round(_requested_qps(scenario) * scenario.seconds))


def _requested_qps(scenario: Timed) -> float:
    if isinstance(scenario, Ramp):
        return (scenario.rate_qps + scenario.end_rate_qps) / 2
    return scenario.rate_qps


def plan_load(
    scenario: OpenScenario, order: SampleOrder, *, schedule_seed: int
) -> LoadPlan:
    """Draw a schedule.

    Parameters
    ----------
    scenario : OpenScenario
        The load.
    order : SampleOrder
        Where samples are drawn from.
    schedule_seed : int
        Of the moments, >= 0.

    Returns
    -------
    LoadPlan
        Complete.

    Raises
    ------
    ConfigError
        The seed is negative, or the schedule does not fit into memory.
    """
    if schedule_seed < 0:
        raise ConfigError(f"a seed must be >= 0, not {schedule_seed}")
    check_scenario(scenario)
    seconds = schedule_seconds(scenario)
    due_ns = due_times(scenario, schedule_seed)
    queries = None
    requested_qps = None
    query_count = len(due_ns)
    if isinstance(scenario, Trace):
        query_count = len(scenario.due_ns)
        if scenario.sizes is not None:
            numbers = np.arange(query_count, dtype=np.int32)
            queries = np.repeat(numbers, scenario.sizes)
    elif not isinstance(scenario, Offline):
        requested_qps = _requested_qps(scenario)
    take = order.cycle if isinstance(scenario, Offline) else order.take
    return LoadPlan(
        due_ns=due_ns,
        samples=take(len(due_ns)),
        queries=queries,
        query_count=query_count,
        seconds=seconds,
        requested_qps=requested_qps,
        offered_qps=query_count / seconds if seconds else None,
        schedule_seed=schedule_seed,
        sha256=schedule_sha256(due_ns),
    )


def share_plan(plan: LoadPlan, part: int, parts: int) -> LoadPlan:
    """Take one process's share of a schedule: every so many queries, from its first.

    All shares together are the schedule, moment for moment and sample for sample.

    Parameters
    ----------
    plan : LoadPlan
        Of all processes.
    part, parts : int
        Which of how many, from 0.

    Returns
    -------
    LoadPlan
        With the whole schedule's hash and length; its rates are the share's.

    Raises
    ------
    ConfigError
        There are fewer queries than processes, or no such part.
    """
    if parts == 1 and part == 0:
        return plan
    if not 0 <= part < parts:
        raise ConfigError(f"there is no part {part} of {parts}")
    if plan.query_count < parts:
        raise ConfigError(
            f"{plan.query_count} queries cannot be shared by {parts} processes",
            hint="ask for a higher rate or a longer time, or for fewer processes",
        )
    numbers = (
        np.arange(len(plan.due_ns), dtype=np.int32)
        if plan.queries is None
        else plan.queries
    )
    mine = numbers % parts == part
    count = len(range(part, plan.query_count, parts))
    return msgspec.structs.replace(
        plan,
        due_ns=np.ascontiguousarray(plan.due_ns[mine]),
        samples=np.ascontiguousarray(plan.samples[mine]),
        # A row keeps the place that it has in the whole schedule.
        queries=np.ascontiguousarray(numbers[mine]),
        query_count=count,
        requested_qps=None
        if plan.requested_qps is None
        else plan.requested_qps / parts,
        offered_qps=count / plan.seconds if plan.seconds else None,
    )
