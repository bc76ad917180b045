"""The highest rate that a predict function serves within its objectives.

Input: a coroutine function that runs a load test at a rate. Output: an interval, and
every probe. What is tried next, and what a probe shows, is decided by
`bytemlperf.statistics.probing`, as for the verb `search` of the command line.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from bytemlperf.errors import ConfigError
from bytemlperf.runtime.measured import (
    Measured,
    Told,
    awaited,
    judged,
    outcome_of,
    parsed_objectives,
)
from bytemlperf.runtime.recorder import Recording
from bytemlperf.statistics.probing import ProbeOutcome, ProbeRequest, probe_steps
from bytemlperf.statistics.search import Capacity
from bytemlperf.statistics.slo import Slo

__all__ = ["RateSearch", "search"]


class RateSearch(msgspec.Struct, frozen=True):
    """What a search found.

    Parameters
    ----------
    objectives : tuple of Slo
        What had to be met.
    capacity : Capacity
        `Capacity.rate` is the highest rate that met them, twice, queries per second, or
        None; `Capacity.missed_rate` the lowest above it that was shown to miss.
    runs : tuple of Measured
        Every run, repeated ones too, in their order; their settings are ``rate_qps``,
        ``seconds`` and ``schedule_seed``. All together: the throughput-latency curve.
    """

    objectives: tuple[Slo, ...]
    capacity: Capacity
    runs: tuple[Measured, ...]


async def search(
    run_at: Callable[[float, float, int], Awaitable[Recording]],
    objectives: str | Sequence[Slo],
    *,
    start_rate: float,
    max_rate: float = math.inf,
    seconds: float = 10.0,
    precision: float = 0.05,
    max_probes: int = 12,
    on_run: Told | None = None,
) -> RateSearch:
    """Find the highest rate of an open loop that meets objectives.

    A rate is met only if it is shown with 99 % confidence, and the result is shown
    twice, with schedules of their own. See *Searching* in ``docs/measurement.md``.

    Parameters
    ----------
    run_at : coroutine function
        ``await run_at(rate_qps, seconds, schedule_seed)`` makes a load test: `run` with
        a scenario that has a rate, such as ``Server(rate_qps, seconds)``, and with that
        schedule seed.
    objectives : str or sequence of Slo
        Such as ``"p99<=20ms"``; several are divided by commas.
    start_rate : float
        First rate, queries per second, > 0; half of what a closed loop reaches saves
        probes.
    max_rate : float, optional
        Highest rate that may be tried, > 0.
    seconds : float, default 10
        Length of a probe, > 0. Where a percentile needs more queries it is as long as
        they take, 6 times as long at most; one that is not shown to be met, but may be,
        is repeated 3 times as long.
    precision : float, default 0.05
        Width of the interval between met and not met, as a share, > 0.
    max_probes : int, default 12
        Probes at most, >= 2; a repeated one counts once.
    on_run : callable, optional
        Told of each run when it is done.

    Returns
    -------
    RateSearch
        Without a rate if none met the objectives.

    Raises
    ------
    ConfigError
        A parameter is out of its range or an objective malformed; or `run_at` did not
        run at the rate, or with the schedule seed, that it was given.
    PredictError
        Predict failed before it answered a single query.

    Examples
    --------
    >>> async def run_at(rate_qps, seconds, schedule_seed):
    ...     return await run(
    ...         predict,
    ...         samples,
    ...         scenario=Server(rate_qps, seconds),
    ...         batching=Batching(max_batch=16),
    ...         schedule_seed=schedule_seed,
    ...     )
    >>> found = await search(run_at, "p99<=20ms", start_rate=500)
    >>> found.capacity.rate, found.capacity.missed_rate
    """
    slos = parsed_objectives(objectives)
    if not slos:
        raise ConfigError("search needs an objective", hint="for example 'p99<=20ms'")
    if not 0 < seconds < math.inf:
        raise ConfigError(f"seconds must be above 0, not {seconds:g}")
    runs: list[Measured] = []

    async def probe(asked: ProbeRequest) -> ProbeOutcome:
        recording = await run_at(asked.rate_qps, asked.seconds, asked.number)
        _check_load(recording, asked)
        if recording.error is not None and not recording.query_count:
            raise recording.error
        settings = {
            "rate_qps": asked.rate_qps,
            "seconds": asked.seconds,
            "schedule_seed": asked.number,
        }
        runs.append(judged(recording, settings, slos))
        if on_run is not None:
            on_run(runs[-1])
        return outcome_of(runs[-1])

    capacity = await awaited(
        probe_steps(
            slos,
            seconds=seconds,
            start=start_rate,
            limit=max_rate,
            precision=precision,
            max_probes=max_probes,
        ),
        probe,
    )
    return RateSearch(slos, capacity, tuple(runs))


def _check_load(recording: Recording, asked: ProbeRequest) -> None:
    """Refuse a run that was not the one asked for: its verdict would be of another."""
    load = recording.load
    if load is None:
        raise ConfigError(
            "search was given the recording of a closed loop, which has no rate",
            hint="a scenario such as Server(rate_qps, seconds)",
        )
    if load.requested_qps is None or not math.isclose(
        load.requested_qps, asked.rate_qps, rel_tol=1e-6
    ):
        raise ConfigError(
            f"search asked for {asked.rate_qps:g} queries/s, but the run was one of "
            f"{load.requested_qps or 0:g}",
            hint="pass rate_qps on to the scenario",
        )
    if load.schedule_seed != asked.number:
        raise ConfigError(
            f"search asked for the schedule seed {asked.number}, but the run used "
            f"{load.schedule_seed}: a rate is confirmed by another schedule only",
            hint="pass schedule_seed on to run",
        )
