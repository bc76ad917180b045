"""The load generator against what is known: queueing theory, a stall, and LoadGen.

What is asserted holds on any machine, however busy. A queue is proved in two halves:
every recorded latency is the server's own, by a log that the server keeps (exactly, no
statistics), and the schedules that we draw make an ideal server's queue wait as theory
says (simulated, so no clock). What a real clock shows of both is `python -m
benchmarks.theory`.
"""

from __future__ import annotations

import asyncio
import math

import numpy as np
import pytest

from benchmarks import theory
from benchmarks.contenders import loadgen
from bytemlperf.runtime import MultiStream, Offline, Server, SingleStream
from bytemlperf.runtime.arrivals import due_times
from bytemlperf.statistics.probability import student_quantile
from examples import load_test

pytestmark = pytest.mark.slow

SERVICE_NS = 1e6
REPLICATIONS = 40
QUERIES = 20_000


@pytest.mark.parametrize(
    ("kind", "load"), [("M/D/1", 0.5), ("M/D/1", 0.8), ("M/M/1", 0.5), ("M/M/1", 0.8)]
)
def test_every_latency_is_the_servers_own(kind, load):
    """From the planned moment to between the end of a service and the next begin.

    And no query is quicker than in an ideal queue of the same arrivals and services:
    what a harness does can only add to that.
    """
    services = theory.service_times(kind, SERVICE_NS, seed=5)[:400]
    scenario = Server(load / SERVICE_NS * 1e9, 400 * SERVICE_NS / load / 1e9)
    served = theory.serve_and_log(services, scenario, seed=5)
    planned = due_times(scenario, 5)
    assert len(served.began_ns) == len(planned) == served.recording.query_count
    np.testing.assert_array_equal(np.diff(served.scheduled_ns), np.diff(planned))
    assert (served.scheduled_ns <= served.began_ns).all()
    assert (served.ended_ns <= served.done_ns).all()
    assert (served.done_ns[:-1] <= served.began_ns[1:]).all()
    latencies = served.done_ns - served.scheduled_ns
    ideal = theory.ideal_latencies(planned, np.floor(services))
    assert (latencies >= ideal - 1).all()
    assert served.recording.latency.max == latencies.max()
    assert served.recording.latency.mean == pytest.approx(latencies.mean())


@pytest.mark.parametrize("load", [0.3, 0.5, 0.7, 0.8, 0.9])
@pytest.mark.parametrize("kind", ["M/D/1", "M/M/1"])
def test_schedules_make_queues_wait_as_theory_says(kind, load):
    """Mean, and share below the p99, within the 99.9 % interval of 40 replications.

    Pollaczek and Khinchine's mean, Crommelin's p99 of M/D/1, the exponential law of
    M/M/1. The share, because a percentile of as few independent queries as one
    replication has at high load is biased, and a share is not. Seeds are 0 to 39. A
    queue begins empty, so the first tenth of each replication is left out: 2,000
    services, five times the slowest queue's relaxation time, 1 / (1 - sqrt(load))^2.
    """
    rate = load / SERVICE_NS * 1e9
    scenario = Server(rate, QUERIES / rate)
    mean, p99 = theory.theory_ns(kind, load, SERVICE_NS)
    means, shares = [], []
    for seed in range(REPLICATIONS):
        services = np.full(QUERIES, SERVICE_NS)
        if kind == "M/M/1":
            services = np.random.default_rng([9, seed]).exponential(SERVICE_NS, QUERIES)
        found = theory.ideal_latencies(due_times(scenario, seed), services)
        kept = found[QUERIES // 10 :]
        means.append(kept.mean())
        shares.append(np.mean(kept <= p99))
    for values, truth, narrow in ((means, mean, 0.1 * mean), (shares, 0.99, 0.01)):
        error = np.std(values, ddof=1) / math.sqrt(REPLICATIONS)
        half = student_quantile(0.9995, REPLICATIONS - 1) * error
        assert abs(np.mean(values) - truth) <= half
        # And that says something.
        assert half < narrow


def test_crommelins_formula_by_hand():
    """Nobody who waits no time: P = 1 - load; one service time: (1 - load) e^load."""
    assert theory.md1_wait_share(0.9, 0) == pytest.approx(0.1)
    assert theory.md1_wait_share(0.5, 0.5) == pytest.approx(0.5 * math.exp(0.25))
    # Two terms: e^(load x) - load (x - 1) e^(load (x - 1)).
    two = 0.5 * (math.exp(0.75) - 0.25 * math.exp(0.25))
    assert theory.md1_wait_share(0.5, 1.5) == pytest.approx(two)
    # Where the terms are a million times their sum.
    assert 0.999 < theory.md1_wait_share(0.9, 60) < 1


def test_an_ideal_queue_by_hand():
    """Three services of 10: the second arrives in the first, the third long after."""
    found = theory.ideal_latencies(np.array([5, 9, 100]), np.full(3, 10.0))
    assert found.tolist() == [10, 16, 10]


def test_a_stall_is_seen_by_who_was_due_in_it():
    """One second at a standstill: in the open loop's p99.9, not in the naive one's.

    What is due while predict stands still cannot be answered before it ends: the open
    loop's figure holds on any machine. The naive loop asks nothing meanwhile.
    """
    found = theory.stalled(2500, 2)
    count, _, p999_ns = found["open loop"]
    assert count == 5000
    assert p999_ns > 0.95e9
    assert found["naive loop"][2] < 0.5e9


@pytest.mark.skipif(not loadgen.is_installed(), reason=loadgen.LOADGEN_ABSENT)
def test_loadgen_measures_the_same_thing():
    """Neither reports less than its server's log says, at any percentile.

    A latency lasts from issue, or due, to at least the end of its service, so that its
    percentiles are at least the log's: exact, without statistics. From above nothing is
    asserted here: what handing over adds depends on the machine, and is shown by
    `python -m benchmarks.theory`. Our rows are bounded from above one by one in
    `test_every_latency_is_the_servers_own`; LoadGen's are not read.
    """
    found = theory.agree(150, mean_ns=SERVICE_NS)
    assert {each.scenario for each in found} == {
        "SingleStream", "MultiStream", "Server", "Offline",
    }  # fmt: skip
    assert len(found) == 12
    for each in found:
        assert each.their_served <= each.theirs
        # A histogram's cell is good to a thousandth.
        assert each.our_served <= each.ours * 1.001


@pytest.mark.parametrize(
    "scenario", [SingleStream(100), MultiStream(50, samples_per_query=8), Offline(100)]
)
def test_loads_that_wait_or_come_at_once_are_the_servers_own_too(scenario):
    """As for an open loop: between the end of a service and the next begin."""
    services = theory.service_times("M/M/1", SERVICE_NS, seed=6)[:100]
    served = theory.serve_and_log(services, scenario)
    assert (served.scheduled_ns <= served.began_ns).all()
    assert (served.ended_ns <= served.done_ns).all()
    assert (served.done_ns[:-1] <= served.began_ns[1:]).all()
    if not isinstance(scenario, Offline):
        # A client asks again when it has its answer, never before.
        assert (served.scheduled_ns[1:] >= served.done_ns[:-1]).all()


def test_the_example_runs(capsys):
    """Every query of both loads is answered, and both are told apart by their hash."""
    asyncio.run(load_test.main())
    server, trace, tasks = capsys.readouterr().out.splitlines()
    assert server.startswith("server: 100 of 100 answered, offered 500/s")
    assert trace.startswith("trace: 4 of 4 answered")
    assert tasks.startswith("3 tasks of our own")
