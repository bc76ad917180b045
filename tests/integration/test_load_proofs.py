"""The load generator against what is known: queueing theory, a stall, and LoadGen.

Intervals are those that a run states itself, widened for a machine that is shared: what
is asserted is agreement, never a time.
"""

from __future__ import annotations

import asyncio

import pytest

from benchmarks import theory
from benchmarks.contenders import loadgen
from examples import load_test

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("kind", ["M/D/1", "M/M/1"])
def test_queues_wait_as_theory_says(kind):
    """Mean latency within three half-widths of the 95 % interval around it."""
    found = theory.measure_queue(kind, 0.5, mean_ns=2e6, seconds=3, seed=3)
    low, high = found.mean_interval
    margin = 3 * (high - low) / 2
    assert abs(found.measured_mean - found.mean) <= margin


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
def test_loadgen_says_the_same():
    """The same service times in the same order: only Server's arrivals differ."""
    found = theory.agree(300, mean_ns=2e6)
    assert {each.scenario for each in found} == {
        "SingleStream", "MultiStream", "Server", "Offline",
    }  # fmt: skip
    outside = [each for each in found if not each.low <= each.theirs <= each.high]
    assert len(outside) <= 2, outside


def test_the_example_runs(capsys):
    """Every query of both loads is answered, and both are told apart by their hash."""
    asyncio.run(load_test.main())
    server, trace, tasks = capsys.readouterr().out.splitlines()
    assert server.startswith("server: 100 of 100 answered, offered 500/s")
    assert trace.startswith("trace: 4 of 4 answered")
    assert tasks.startswith("3 tasks of our own")
