"""From a workload's words about load to a scenario and a batching of the runtime.

Pure, but for the file of recorded arrivals that one scenario reads.
"""

from __future__ import annotations

from bytemlperf.engine.point_plan import MIN_QUERIES
from bytemlperf.errors import ConfigError
from bytemlperf.runtime import (
    Batching,
    Burst,
    ClosedLoop,
    ConstantRate,
    Gamma,
    MultiStream,
    Offline,
    Ramp,
    Scenario,
    Server,
    SingleStream,
    Trace,
    check_scenario,
    parse_affinity,
    read_trace,
)
from bytemlperf.runtime.affinity import allowed_cpus, check_affinity
from bytemlperf.workloads import Load, Workload

__all__ = [
    "DEFAULT_SECONDS",
    "batching_for",
    "check_load",
    "expected_queries",
    "expected_seconds",
    "point_seconds",
    "scenario_for",
]

# Of an open loop that is given no time.
DEFAULT_SECONDS = 10.0


def point_seconds(workload: Workload, default: float | None) -> float | None:
    """Tell how long a point of a workload is.

    Parameters
    ----------
    workload : Workload
        What is asked for.
    default : float or None
        Of points whose workload sets no time.

    Returns
    -------
    float or None
        s; None: as long as it takes. A trace is only cut if the workload says so.
    """
    if workload.point_seconds is not None:
        return workload.point_seconds
    return None if workload.scenario == "trace" else default


def scenario_for(
    load: Load,
    batch_size: int,
    *,
    clients: int,
    iterations: int,
    seconds: float | None,
    batch_ns: int,
    predict_threads: int,
) -> Scenario:
    """Make the scenario of a point.

    Parameters
    ----------
    load : Load
        Of the workload.
    batch_size : int
        Of the point.
    clients, iterations : int
        Of the workload; of a closed loop.
    seconds : float or None
        Time of the point. Open loops take 10 s for None, a trace all there is.
    batch_ns : int
        How long a batch of `batch_size` samples takes; by it `Offline` is made to fill
        the time.
    predict_threads : int
        Threads that call predict.

    Returns
    -------
    Scenario
        Complete.

    Raises
    ------
    ConfigError
        A value is out of its range, or the trace cannot be read.
    """
    size = load.query_samples(batch_size)
    match load.scenario:
        case "closed_loop":
            return ClosedLoop(
                clients=clients,
                iterations=iterations,
                samples_per_query=size,
                think_time_ns=round(load.think_time_ms * 1e6),
            )
        case "single_stream":
            return SingleStream(iterations, size)
        case "multi_stream":
            return MultiStream(iterations, size)
        case "trace":
            assert load.trace is not None
            return read_trace(load.trace, rate_qps=load.rate, seconds=seconds)
        case "offline":
            query_ns = batch_ns * size / batch_size / predict_threads
            filling = round((seconds or DEFAULT_SECONDS) * 1e9 / max(1.0, query_ns))
            return Offline(load.queries or max(MIN_QUERIES, filling), size)
    assert load.rate is not None
    timed = (load.rate, DEFAULT_SECONDS if seconds is None else seconds)
    match load.scenario:
        case "server":
            return Server(*timed, size)
        case "constant_rate":
            return ConstantRate(*timed, size)
        case "gamma":
            assert load.burstiness is not None
            return Gamma(*timed, load.burstiness, size)
        case "burst":
            assert load.burst_size is not None
            return Burst(*timed, load.burst_size, size)
        case "ramp":
            assert load.end_rate is not None
            return Ramp(load.rate, load.end_rate, timed[1], size)


def batching_for(load: Load, batch_size: int, *, predict_threads: int) -> Batching:
    """Make the batching of a point.

    Parameters
    ----------
    load : Load
        Of the workload.
    batch_size : int
        Of the point.
    predict_threads : int
        As many as the backend has instances.

    Returns
    -------
    Batching
        Complete.
    """
    return Batching(
        max_batch=load.batch_samples(batch_size),
        max_delay_us=load.max_delay_us,
        predict_threads=load.predict_threads or predict_threads,
    )


def expected_queries(scenario: Scenario) -> int:
    """Count the queries that a scenario asks for at most.

    Parameters
    ----------
    scenario : Scenario
        Of a point.

    Returns
    -------
    int
        At least 1; samples, for a `Trace` with sizes.
    """
    match scenario:
        case ClosedLoop():
            return scenario.clients * scenario.iterations
        case SingleStream() | MultiStream() | Offline():
            return scenario.queries
        case Trace():
            sizes = scenario.sizes
            return len(scenario.due_ns) if sizes is None else int(sizes.sum())
        case Ramp():
            mean_qps = (scenario.rate_qps + scenario.end_rate_qps) / 2
            return max(1, round(mean_qps * scenario.seconds))
    return round(scenario.rate_qps * scenario.seconds)


def expected_seconds(
    scenario: Scenario, *, seconds: float | None, query_ns: float
) -> float:
    """Tell how long a point should take, for its deadline.

    Parameters
    ----------
    scenario : Scenario
        Of the point.
    seconds : float or None
        Time limit of a closed loop.
    query_ns : float
        How long a query takes.

    Returns
    -------
    float
        s; an open loop that is overloaded drains for as long again.
    """
    if isinstance(scenario, Trace):
        return 2 * max(1.0, int(scenario.due_ns[-1]) / 1e9)
    if isinstance(scenario, Server | ConstantRate | Gamma | Burst | Ramp):
        return 2 * max(1.0, scenario.seconds)
    everything = expected_queries(scenario) * query_ns / 1e9
    if isinstance(scenario, Offline) or seconds is None:
        return everything
    return max(seconds, min(MIN_QUERIES, expected_queries(scenario)) * query_ns / 1e9)


def check_load(workload: Workload, seconds: float | None, *, where: str) -> None:
    """Refuse a load that no run could bring, before anything is built.

    Parameters
    ----------
    workload : Workload
        What is asked for.
    seconds : float or None
        Time of a point.
    where : str
        Named in the error.

    Raises
    ------
    ConfigError
        A value is out of its range, the trace is not one, the load does not fit into
        memory, or this process may not use the processors of its affinity.
    """
    try:
        check_affinity(parse_affinity(workload.affinity), allowed_cpus())
        for batch_size in workload.batch_sizes:
            scenario = scenario_for(
                workload,
                batch_size,
                clients=workload.clients,
                iterations=workload.iterations,
                seconds=seconds,
                batch_ns=1_000_000_000,
                predict_threads=1,
            )
            check_scenario(scenario)
            count = expected_queries(scenario)
            if workload.is_open and count < workload.processes:
                raise ConfigError(
                    f"{count} queries cannot be shared by {workload.processes} "
                    "processes",
                    hint="ask for a higher rate or a longer time, or for fewer of them",
                )
    except ConfigError as error:
        raise ConfigError(f"{where}: {error.message}", hint=error.hint) from error
