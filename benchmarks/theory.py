"""Does the load generator tell the truth? Queues with known answers, in three tables.

    python -m benchmarks.theory

1. M/D/1 and M/M/1: Poisson arrivals at a predict of known service time. The mean
   latency must be Pollaczek and Khinchine's, and the p99 that of a simulated queue,
   within the 95 % interval that the run itself states. Both are computed from the times
   that queries really kept the server, those that found it idle apart from the others;
   the column `asked` is the mean for the service time as asked for. (That the recorded
   latencies are the server's own, query by query, and that our schedules make queues
   wait as theory says, is tested exactly in tests/integration/test_load_proofs.py.)
2. The same service times, in the same order, under MLCommons LoadGen in its four
   scenarios. Neither side gets the times it asks for, so each one's report is beside
   the log that its server kept; LoadGen's figure, moved to our server's log, must lie
   in the 95 % interval that our run states.
3. A predict that stands still for a second, seen by an open loop, and by a loop of one
   client that, like most, leaves out what it did not ask meanwhile.

One script, though long: it is one claim, and the first two tables share their server.
"""

from __future__ import annotations

import argparse
import math
import tempfile
import threading
import time
from decimal import Decimal, localcontext
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from benchmarks.contenders import loadgen
from bytemlperf.engine.point import latency_block
from bytemlperf.report.blocks import blocks_table
from bytemlperf.runtime import (
    ArraySamples,
    Batching,
    ClosedLoop,
    ConstantRate,
    MultiStream,
    Offline,
    Recording,
    Scenario,
    Server,
    SingleStream,
    WarmUp,
    run_sync,
)
from bytemlperf.statistics.blocks import mean_estimate, quantile_estimate
from bytemlperf.statistics.order import interval_ranks

__all__ = [
    "Agreement",
    "Queue",
    "Served",
    "SimulatedServer",
    "agree",
    "ideal_latencies",
    "md1_wait_share",
    "measure_queue",
    "serve_and_log",
    "service_times",
    "stalled",
    "theory_ns",
]

_SAMPLES = ArraySamples({"x": np.zeros((64, 16), np.float32)})
_NO_WARM_UP = WarmUp(max_seconds=0)
# The rest of a service time is spun, for sleeping takes longer than asked.
_SPIN_NS = 300_000
_SIMULATED = 300_000

Times = npt.NDArray[np.float64]
Moments = npt.NDArray[np.int64]


class SimulatedServer:
    """A predict that takes given times, one after the other, from the beginning again.

    Parameters
    ----------
    service_ns : ndarray
        Service times, ns.
    """

    def __init__(self, service_ns: Times) -> None:
        self._service_ns = service_ns.astype(np.int64).tolist()
        self._next = 0
        self.log: list[tuple[int, int]] = []

    @property
    def began_ns(self) -> Moments:
        """When each service began, ns of the monotonic clock."""
        return np.array(self.log, np.int64)[:, 0]

    @property
    def ended_ns(self) -> Moments:
        """When each service ended."""
        return np.array(self.log, np.int64)[:, 1]

    def serve(self) -> None:
        """Take the next service time, and write down when."""
        began_ns = time.monotonic_ns()
        until_ns = began_ns + self._service_ns[self._next]
        self._next = (self._next + 1) % len(self._service_ns)
        left_ns = until_ns - time.monotonic_ns() - _SPIN_NS
        if left_ns > 0:
            time.sleep(left_ns / 1e9)
        while (now_ns := time.monotonic_ns()) < until_ns:
            pass
        self.log.append((began_ns, now_ns))

    def __call__(self, feeds: Any) -> dict[str, Any]:
        """Serve a batch."""
        self.serve()
        return {}


class Queue(NamedTuple):
    """A queue as it was measured, beside what theory says of it; times in ns.

    Parameters
    ----------
    utilisation : float
        Share of the time that the server was really kept.
    asked_mean, mean, p99 : float
        Of the latency, by theory: for the service time asked for, and as it was.
    measured_mean, measured_p99 : float
        As recorded.
    mean_interval, p99_interval : tuple of float
        Of the recorded ones; infinite where the run cannot tell.
    """

    utilisation: float
    asked_mean: float
    mean: float
    p99: float
    measured_mean: float
    measured_p99: float
    mean_interval: tuple[float, float]
    p99_interval: tuple[float, float]


def service_times(kind: str, mean_ns: float, seed: int) -> Times:
    """Draw service times: ``"M/D/1"`` all alike, ``"M/M/1"`` exponential."""
    if kind == "M/D/1":
        return np.full(4096, mean_ns)
    return np.random.default_rng(seed).exponential(mean_ns, 65_536)


def latencies(gaps: Times, busy: Times, idle: Times) -> Times:
    """Solve Lindley's recursion for a queue with one server.

    Parameters
    ----------
    gaps : ndarray
        Between arrivals, ns.
    busy, idle : ndarray
        Service time of each, if it finds the server busy, and if it does not, ns.

    Returns
    -------
    ndarray
        Latencies, ns.
    """
    left = 0.0
    found = np.empty(len(gaps))
    for place, (gap, long, first) in enumerate(
        zip(gaps.tolist(), busy.tolist(), idle.tolist(), strict=True)
    ):
        left -= gap
        left = left + long if left > 0 else first
        found[place] = left
    return found


def ideal_latencies(due_ns: Moments, service_ns: Times) -> Times:
    """Latencies of a queue with one server that loses no time, begun empty.

    Parameters
    ----------
    due_ns : ndarray
        When each query is due, ns, never falling.
    service_ns : ndarray
        Service time of each, ns.

    Returns
    -------
    ndarray
        By Lindley's recursion (1952), solved at once: the work that arrived, less the
        time that passed, above its lowest value so far.
    """
    arrived = np.cumsum(service_ns) - service_ns - (due_ns - due_ns[0])
    return arrived - np.minimum.accumulate(arrived) + service_ns


def measure_queue(
    kind: str, utilisation: float, *, mean_ns: float, seconds: float, seed: int
) -> Queue:
    """Bring Poisson arrivals to a simulated server, one query at a time.

    Parameters
    ----------
    kind : str
        ``"M/D/1"`` or ``"M/M/1"``.
    utilisation : float
        Asked for, (0, 1).
    mean_ns : float
        Mean service time, ns.
    seconds : float
        How long.
    seed : int
        Of the schedule and of the service times.

    Returns
    -------
    Queue
        Measured, and by theory.
    """
    rate = utilisation / mean_ns * 1e9
    services = service_times(kind, mean_ns, seed)
    served = serve_and_log(services, Server(rate, seconds), seed=seed)
    recording = served.recording
    # How long each query kept the server from the next: service, and the hand-over.
    free_ns = np.concatenate([[0], served.done_ns[:-1]])
    kept = (served.done_ns - np.maximum(served.scheduled_ns, free_ns)).astype(float)
    found_busy = served.scheduled_ns < free_ns
    busy, idle = kept[found_busy], kept[~found_busy]
    draw = np.random.default_rng(seed)
    gaps = draw.exponential(1e9 / rate, _SIMULATED)
    simulated = latencies(
        gaps, draw.choice(busy, _SIMULATED), draw.choice(idle, _SIMULATED)
    )
    table = _table(recording)
    mean, p99 = mean_estimate(table), quantile_estimate(table, 99)
    return Queue(
        utilisation=rate * kept.mean() / 1e9,
        asked_mean=_mean_latency(rate, services, services),
        mean=_mean_latency(rate, busy, idle),
        p99=float(np.quantile(simulated, 0.99)),
        measured_mean=recording.latency.mean,
        measured_p99=float(recording.latency.percentile(99)),
        mean_interval=(_or(mean.low, 0.0), _or(mean.high, math.inf)),
        p99_interval=(_or(p99.low_ns, 0.0), _or(p99.high_ns, math.inf)),
    )


def _mean_latency(rate: float, busy: Times, idle: Times) -> float:
    """Mean latency, ns; infinite at full utilisation.

    Pollaczek and Khinchine's formula, as Welch (1964) has it for a server that takes
    longer over whoever finds it idle: here, because a thread must be woken.
    """
    per_ns = rate / 1e9
    load, first_load = per_ns * busy.mean(), per_ns * idle.mean()
    if load >= 1:
        return math.inf
    square, first_square = np.mean(busy**2), np.mean(idle**2)
    unlike = 2 * (1 - load + first_load)
    wait_ns = per_ns * square / (2 * (1 - load))
    wait_ns += per_ns * (first_square - square) / unlike
    share_idle = (1 - load) / (1 - load + first_load)
    service_ns = share_idle * idle.mean() + (1 - share_idle) * busy.mean()
    return float(wait_ns + service_ns)


def _table(recording: Recording) -> Any:
    blocks = [latency_block(block) for block in recording.blocks]
    return blocks_table(blocks, recording.latency.max)


def _or(value: float | None, other: float) -> float:
    return other if value is None else value


def md1_wait_share(load: float, waits: float) -> float:
    """Share of an M/D/1 queue's arrivals that wait no longer (Crommelin 1932).

    ``(1 - load) sum_k exp(-y_k) y_k^k / k!`` with ``y_k = load (k - waits)``, over the
    whole k from 0 to `waits` (Tijms, A First Course in Stochastic Models, 9.6.2). Its
    terms alternate and cancel, so it is summed in decimals of 60 digits.

    Parameters
    ----------
    load : float
        Utilisation, (0, 1).
    waits : float
        In service times, >= 0.

    Returns
    -------
    float
        0 to 1.
    """
    with localcontext() as context:
        context.prec = 60
        rho, until = Decimal(load), Decimal(waits)
        total = Decimal(0)
        for k in range(int(waits) + 1):
            y = rho * (k - until)
            total += (-y).exp() * y**k / math.factorial(k) if k or y else 1
        return float((1 - rho) * total)


def theory_ns(kind: str, load: float, service_ns: float) -> tuple[float, float]:
    """Mean and p99 of a queue's latency in the steady state.

    Parameters
    ----------
    kind : str
        ``"M/D/1"``: mean by Pollaczek and Khinchine's formula, p99 by Crommelin's.
        ``"M/M/1"``: the latency is exponential.
    load : float
        Utilisation, (0, 1).
    service_ns : float
        Mean service time, ns.

    Returns
    -------
    tuple of float
        ns.
    """
    if kind == "M/M/1":
        mean = service_ns / (1 - load)
        return mean, math.log(100) * mean
    low, high = 0.0, 1.0
    while md1_wait_share(load, high) < 0.99:
        high *= 2
    while high - low > 1e-6:
        middle = (low + high) / 2
        if md1_wait_share(load, middle) < 0.99:
            low = middle
        else:
            high = middle
    return service_ns * (1 + load / (2 * (1 - load))), service_ns * (1 + high)


class Agreement(NamedTuple):
    """A percentile of the latency as LoadGen and as we tell it, ns.

    Parameters
    ----------
    scenario, percentile : str
        LoadGen's names.
    theirs, ours : float
        As reported.
    their_served, our_served : float
        The same, by the log that the server itself kept: from the moment a query was
        issued (theirs) or due (ours) to the end of its service.
    low, high : float
        95 % interval of ours.
    """

    scenario: str
    percentile: str
    theirs: float
    ours: float
    their_served: float
    our_served: float
    low: float
    high: float

    @property
    def moved(self) -> float:
        """What LoadGen would have reported, had its server been as quick as ours."""
        return self.theirs * self.our_served / self.their_served

    @property
    def is_inside(self) -> bool:
        """Whether that is in our interval."""
        return self.low <= self.moved <= self.high


def agree(queries: int, *, mean_ns: float, seed: int = 1) -> list[Agreement]:
    """Run LoadGen's four scenarios and ours on the same service times in one order.

    Both sides ask for the same times, and neither gets them: a thread that sleeps wakes
    up late, and how late changes from second to second. So the server keeps a log of
    its own, and what is compared is what each generator adds to it.

    Parameters
    ----------
    queries : int
        Of each run.
    mean_ns : float
        Mean service time, ns; lognormal, with a standard deviation of about half.
    seed : int
        Of the service times.

    Returns
    -------
    list of Agreement
        Four scenarios, three percentiles each.
    """
    rate = 0.5 / mean_ns * 1e9
    scenarios: dict[str, Scenario] = {
        "SingleStream": SingleStream(queries),
        "MultiStream": MultiStream(queries, samples_per_query=8),
        "Server": Server(rate, queries / rate),
        "Offline": Offline(queries),
    }
    percentiles = {"50.00": 50.0, "90.00": 90.0, "97.00": 97.0}
    found = []
    for number, (name, scenario) in enumerate(scenarios.items()):
        drawn = np.random.default_rng([seed, number]).lognormal(
            math.log(mean_ns) - 0.125, 0.5, queries
        )
        server, issued_ns = SimulatedServer(drawn), []
        theirs = loadgen.percentiles_ns(
            name,
            server.serve,
            queries,
            tuple(percentiles),
            rate=rate,
            issued_ns=issued_ns,
        )
        their_log = server.ended_ns - np.resize(issued_ns, len(server.log))
        if name == "Offline":
            their_log = server.ended_ns - issued_ns[0]
        served = serve_and_log(drawn, scenario)
        for (written, percentile), their_ns in zip(
            percentiles.items(), theirs, strict=True
        ):
            low, high = served.interval(percentile)
            found.append(
                Agreement(
                    name,
                    written,
                    their_ns,
                    float(served.recording.latency.percentile(percentile)),
                    _nearest_rank(their_log, percentile),
                    _nearest_rank(served.due_to_end_ns, percentile),
                    low,
                    high,
                )
            )
    return found


class Served(NamedTuple):
    """A run of ours beside the log of its server; in the order of service.

    Parameters
    ----------
    recording : Recording
        What was reported.
    scheduled_ns, done_ns : ndarray
        As recorded, ns of the monotonic clock.
    began_ns, ended_ns : ndarray
        As the server saw it, by the same clock.
    """

    recording: Recording
    scheduled_ns: Moments
    done_ns: Moments
    began_ns: Moments
    ended_ns: Moments

    @property
    def due_to_end_ns(self) -> Moments:
        """Latencies by the server's log, but for the moment that a query was due."""
        return self.ended_ns - self.scheduled_ns

    def interval(self, percentile: float) -> tuple[float, float]:
        """Return the 95 % interval of a percentile; infinite where there is none."""
        recording = self.recording
        if recording.load is not None and not recording.load.schedule_ns:
            # Not a steady state: the run's own ranks, were the queries independent.
            low, high = interval_ranks(recording.query_count, percentile)
            ordered = np.sort(self.done_ns - self.scheduled_ns)
            return (
                0.0 if low is None else float(ordered[low - 1]),
                math.inf if high is None else float(ordered[high - 1]),
            )
        estimate = quantile_estimate(_table(recording), percentile)
        return _or(estimate.low_ns, 0.0), _or(estimate.high_ns, math.inf)


def serve_and_log(service_ns: Times, scenario: Scenario, *, seed: int = 0) -> Served:
    """Bring a load to a simulated server, one query at a time.

    Parameters
    ----------
    service_ns : ndarray
        Service times, ns.
    scenario : Scenario
        The load.
    seed : int
        Of its schedule.

    Returns
    -------
    Served
        With one entry for each query.
    """
    server = SimulatedServer(service_ns)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "rows.npy")
        recording = run_sync(
            server,
            _SAMPLES,
            scenario=scenario,
            batching=Batching(max_batch=scenario.samples_per_query),
            schedule_seed=seed,
            warm_up=_NO_WARM_UP,
            timeline_path=path,
        )
        rows = np.sort(np.load(path), order="started_ns")
    return Served(
        recording,
        rows["scheduled_ns"],
        rows["done_ns"],
        server.began_ns,
        server.ended_ns,
    )


def _nearest_rank(values: Moments, percentile: float) -> float:
    return float(np.sort(values)[max(0, math.ceil(percentile * len(values) / 100) - 1)])


class _Stalling:
    """A predict that answers at once, but for a second that begins when it is told."""

    def __init__(self) -> None:
        self.told = threading.Event()

    def __call__(self, feeds: Any) -> dict[str, Any]:
        if self.told.is_set():
            self.told.clear()
            time.sleep(1.0)
        return {}


def stalled(rate: float, seconds: float) -> dict[str, tuple[int, int, int]]:
    """Let a predict stand still for a second, under an open loop and a naive one.

    Parameters
    ----------
    rate : float
        Queries a second of the open loop.
    seconds : float
        Length of both, > 1.2.

    Returns
    -------
    dict of str to tuple of int
        By loop: queries, p50 and p99.9 of the latency, ns.
    """
    found = {}
    for name, scenario in (
        ("open loop", ConstantRate(rate, seconds)),
        # It pauses as long as would bring the same rate to a predict that is quick.
        ("naive loop", ClosedLoop(1, round(rate * seconds), 1, round(1e9 / rate))),
    ):
        predict = _Stalling()
        timer = threading.Timer(0.1, predict.told.set)
        timer.start()
        recording = run_sync(
            predict,
            _SAMPLES,
            scenario=scenario,
            batching=Batching(max_batch=64),
            warm_up=_NO_WARM_UP,
        )
        timer.join()
        histogram = recording.latency
        found[name] = (
            histogram.count,
            histogram.percentile(50),
            histogram.percentile(99.9),
        )
    return found


def main() -> None:
    """Print the three tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--service_us", type=float, default=2000.0)
    parser.add_argument("--queries", type=int, default=2000)
    options = parser.parse_args()
    mean_ns = options.service_us * 1e3
    print("queue   load  asked ms  mean ms: theory  measured [interval]        "
          "p99 ms: theory  measured [interval]")  # fmt: skip
    for kind in ("M/D/1", "M/M/1"):
        for utilisation in (0.3, 0.5, 0.7):
            it = measure_queue(
                kind, utilisation, mean_ns=mean_ns, seconds=options.seconds, seed=1
            )
            print(
                f"{kind}  {it.utilisation:5.1%}  {it.asked_mean / 1e6:8.3f}"
                + _row(it.mean, it.measured_mean, it.mean_interval)
                + _row(it.p99, it.measured_p99, it.p99_interval)
            )
    print()
    if loadgen.is_installed():
        print("ms                        reported         server's log      LoadGen's")
        print("scenario      percentile  LoadGen    ours   LoadGen    ours  moved   "
              "[ours, 95 %]")  # fmt: skip
        for each in agree(options.queries, mean_ns=mean_ns):
            times = (each.theirs, each.ours, each.their_served, each.our_served,
                     each.moved)  # fmt: skip
            print(
                f"{each.scenario:12}  {each.percentile:>10} "
                + "".join(f"{time_ns / 1e6:9.3f}" for time_ns in times)
                + f" [{each.low / 1e6:.3f}, {each.high / 1e6:.3f}]"
                f"{'' if each.is_inside else ' outside'}"
            )
    else:
        print(loadgen.LOADGEN_ABSENT)
    print()
    print("a predict that stands still for 1 s     n    p50 ms  p99.9 ms")
    for name, (count, p50, p999) in stalled(1000, 5).items():
        print(f"{name:34} {count:6} {p50 / 1e6:9.3f} {p999 / 1e6:9.3f}")


def _row(theory: float, measured: float, interval: tuple[float, float]) -> str:
    is_inside = interval[0] <= theory <= interval[1]
    return (
        f"  {theory / 1e6:10.3f} {measured / 1e6:9.3f} [{interval[0] / 1e6:.3f}, "
        f"{interval[1] / 1e6:.3f}] {'inside ' if is_inside else 'outside'}"
    )


if __name__ == "__main__":
    main()
