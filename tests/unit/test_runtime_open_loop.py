"""Open loops as a whole: every row is issued as planned, and each is accounted for."""

from __future__ import annotations

import asyncio
import itertools
import threading

import anyio
import numpy as np
import pytest
from loops import LOOPS, on_loop

from bytemlperf.errors import ConfigError
from bytemlperf.runtime import (
    ArraySamples,
    Batching,
    Burst,
    ClosedLoop,
    ConstantRate,
    Gamma,
    Limits,
    MultiStream,
    Offline,
    Ramp,
    Server,
    SingleStream,
    Trace,
    WarmUp,
    pace,
    run,
    run_sync,
    scenario_name,
)
from bytemlperf.runtime.load_record import backlog_grows
from bytemlperf.runtime.open_loop import may_be_real_time
from bytemlperf.runtime.plan import SampleOrder, plan_load, share_plan

BRIEF = WarmUp(max_queries=10)
STAMPS = [
    "scheduled_ns", "issued_ns", "batched_ns", "started_ns", "done_ns", "observed_ns",
]  # fmt: skip


@pytest.fixture(params=LOOPS)
def execute(request):
    with on_loop(request.param) as runner:
        yield runner


def library(count=64):
    rows = np.arange(count, dtype=np.float32)[:, None]
    return ArraySamples({"x": np.tile(rows, (1, 16))})


def double(feeds):
    return {"y": feeds["x"] * 2}


def measure(execute, scenario, predict=double, **options):
    options.setdefault("batching", Batching(max_batch=8))
    options.setdefault("warm_up", BRIEF)
    return execute(run(predict, library(), scenario=scenario, **options))


@pytest.mark.parametrize(
    "scenario",
    [
        Server(2000, 0.05),
        ConstantRate(2000, 0.05),
        Gamma(2000, 0.05, burstiness=3),
        Burst(2000, 0.05, burst_size=20),
        Ramp(1000, 3000, 0.05),
        Offline(queries=100),
        Trace(np.arange(100) * 500_000, source="made here"),
    ],
    ids=scenario_name,
)
def test_every_row_is_issued_as_planned(execute, scenario, tmp_path):
    """100 queries of each scenario: once each, never early, columns that add up."""
    path = tmp_path / "rows.npy"
    recording = measure(execute, scenario, timeline_path=path, schedule_seed=5)
    assert recording.ended_by == "schedule"
    assert recording.query_count == 100
    assert recording.failed_count == recording.cancelled_count == 0
    load = recording.load
    assert load.scenario == scenario_name(scenario)
    assert load.scheduled_count == load.issued_count == load.lag.count == 100
    assert load.refused_count == load.starved_count == load.unissued_count == 0
    assert 1 <= load.peak_in_flight <= 100
    assert load.schedule_seed == 5
    rows = np.load(path)
    assert rows["warm_up"].sum() == recording.warm_up.query_count == 10
    rows = np.sort(rows[rows["warm_up"] == 0], order="client")
    assert rows["client"].tolist() == list(range(100))
    for before, after in itertools.pairwise(STAMPS):
        assert (rows[before] <= rows[after]).all()
    assert (rows["observed_ns"] == rows["done_ns"]).all()
    assert recording.wakeup.max == 0
    planned = np.diff(rows["scheduled_ns"])
    if isinstance(scenario, Trace | ConstantRate):
        assert set(planned) == {500_000}
    if isinstance(scenario, Offline):
        assert set(planned) == {0}
        assert rows["sample_index"].tolist() == [i % 64 for i in range(100)]
    assert recording.latency.max == (rows["done_ns"] - rows["scheduled_ns"]).max()
    assert load.lag.max == (rows["issued_ns"] - rows["scheduled_ns"]).max()


def test_seeds_of_order_and_schedule_are_separate(execute, tmp_path):
    """Changing one leaves the other's column as it was."""
    columns = []
    for number, seeds in enumerate([(1, 1), (1, 2), (2, 1)]):
        path = tmp_path / f"{number}.npy"
        recording = measure(
            execute,
            Server(5000, 0.01),
            timeline_path=path,
            warm_up=WarmUp(max_seconds=0),
            seed=seeds[0],
            schedule_seed=seeds[1],
        )
        rows = np.sort(np.load(path), order="client")
        columns.append((recording.load.schedule_sha256, rows["sample_index"].tolist()))
    first, other_schedule, other_order = columns
    assert first[1] == other_schedule[1]
    assert first[0] != other_schedule[0]
    assert first[0] == other_order[0]
    assert first[1] != other_order[1]


@pytest.mark.parametrize(
    ("scenario", "samples"),
    [(SingleStream(30), 1), (MultiStream(30, samples_per_query=4), 4)],
    ids=["single_stream", "multi_stream"],
)
def test_streams_are_closed_loops_of_one(execute, scenario, samples, tmp_path):
    """One query at a time, of neighbouring samples."""
    path = tmp_path / "rows.npy"
    recording = measure(execute, scenario, timeline_path=path)
    assert (recording.query_count, recording.sample_count) == (30, 30 * samples)
    assert recording.load is None
    assert recording.ended_by == "iterations"
    assert set(recording.batch_size_counts) == {samples}
    assert set(np.load(path)["client"]) == {0}


def test_sized_queries_are_so_many_rows(execute):
    """Queries of 1, 3 and 2 samples are six rows."""
    trace = Trace(np.array([0, 10_000, 20_000]), sizes=np.array([1, 3, 2]))
    recording = measure(execute, trace)
    assert recording.query_count == recording.sample_count == 6
    assert recording.load.scheduled_count == 6


class Gate:
    """A predict that answers only when it is let."""

    def __init__(self):
        self.open = threading.Event()

    def __call__(self, feeds):
        self.open.wait()
        return double(feeds)


def test_overload_ends_and_says_so(execute):
    """A backend that stands still: the queue fills, the rest is refused or dropped."""
    gate = Gate()
    threading.Timer(0.15, gate.open.set).start()
    recording = measure(
        execute,
        ConstantRate(2000, 0.1),
        gate,
        warm_up=WarmUp(max_seconds=0),
        batching=Batching(max_batch=1, max_queued=50),
        limits=Limits(drain_seconds=0),
    )
    load = recording.load
    assert load.refused_count + load.issued_count == 200
    assert load.refused_count >= 140
    assert load.dropped_count == recording.cancelled_count
    assert load.issued_count == recording.query_count + load.dropped_count
    assert load.end_backlog == 50
    assert recording.ended_by == "schedule"
    assert recording.peak_queued == 50


def test_a_failing_predict_ends_the_schedule(execute):
    """The first failure stops the pacer, and nothing is lost from the books."""

    def fail(feeds):
        raise ValueError("no")

    recording = measure(execute, Server(1000, 30), fail, warm_up=WarmUp(max_seconds=0))
    assert recording.ended_by == "failed"
    assert "ValueError" in str(recording.error)
    load = recording.load
    assert load.unissued_count > 0
    assert (
        recording.failed_count + recording.cancelled_count + load.unissued_count
        + load.refused_count
    ) == load.scheduled_count == 30_000  # fmt: skip


def test_a_failure_while_warming_up_issues_nothing(execute):
    """There is a recording, and all of its schedule is unissued."""

    def fail(feeds):
        raise ValueError("no")

    recording = measure(execute, Server(1000, 0.5), fail)
    assert recording.ended_by == "failed"
    assert recording.query_count == 0
    assert recording.load.unissued_count == 500


def test_time_ends_a_schedule(execute):
    """Nothing that is due later than the limit is issued."""
    recording = measure(execute, ConstantRate(1000, 5), limits=Limits(max_seconds=0.05))
    assert recording.ended_by == "max_seconds"
    assert recording.query_count == 51
    assert recording.load.unissued_count == 5000 - 51


def test_can_be_cancelled(execute):
    """Cancelling an hour's schedule ends its threads; the fixture looks for them."""

    async def give_up():
        with anyio.move_on_after(0.05) as scope:
            await run(
                double,
                library(),
                scenario=ConstantRate(10, 3600),
                batching=Batching(max_batch=8),
                warm_up=BRIEF,
            )
        return scope.cancelled_caught

    assert execute(give_up())


def test_too_many_clients_for_the_memory(execute):
    """Refused before the first of them is made."""
    with pytest.raises(ConfigError, match=r"1,000,000,000 clients would take about"):
        measure(execute, ClosedLoop(clients=10**9, iterations=1))


@pytest.mark.parametrize(
    ("backlogs", "end", "grows"),
    [
        ((10, 100, 200, 300), 350, True),
        ((10, 100, 200, 300), 80, False),
        ((10, 100, 120, 130), 350, False),
        ((300, 200, 100, 50), 350, False),
        ((0, 0, 0, 0), 0, False),
        ((5, 10), 350, False),
    ],
)
def test_a_growing_backlog_is_told_from_chance(backlogs, end, grows):
    """It must rise all along, by half, and end beyond noise."""
    assert backlog_grows(backlogs, end, row_count=900, rows_in_predict=16) is grows


def test_real_time_is_not_asked_for_at_any_price():
    """A thread that would spin all the time must be preemptible."""
    assert not may_be_real_time(None)
    assert not may_be_real_time(1e6)


@pytest.mark.parametrize("loop_name", LOOPS)
def test_coroutines_are_paced(loop_name):
    """Never early, in order, late ones at once."""

    async def arrivals():
        from bytemlperf.runtime import now_ns

        found = []
        async for arrival in pace([0, 2_000_000, 2_000_000, 4_000_000]):
            assert now_ns() >= arrival.scheduled_ns
            found.append(arrival)
        return found

    with on_loop(loop_name) as execute:
        found = execute(arrivals())
    assert [arrival.number for arrival in found] == [0, 1, 2, 3]
    assert np.diff([arrival.scheduled_ns for arrival in found]).tolist() == [
        2_000_000, 0, 2_000_000,
    ]  # fmt: skip


def test_pacing_refuses_what_is_no_schedule():
    """Fractions and steps back are refused when it begins."""

    async def first(due_ns):
        return await anext(pace(due_ns))

    for due_ns, message in [([0.5], "whole ns"), ([2, 1], "never steps back")]:
        with pytest.raises(ConfigError, match=message):
            asyncio.run(first(due_ns))


@pytest.mark.parametrize("parts", [2, 3, 7])
def test_shares_of_a_schedule_are_the_whole_of_it(parts):
    """Every row once, with its moment, its sample and its place; rates add up."""
    sizes = np.array([1, 3, 1, 2, 1, 1, 4, 1])
    trace = Trace(due_ns=np.arange(8) * 1_000_000, sizes=sizes)
    for scenario in (Server(100, 0.5), Offline(20), trace):
        whole, *shares = (
            plan_load(scenario, SampleOrder(64, 1, step=1, seed=3), schedule_seed=5)
            for _ in range(parts + 1)
        )
        shares = [share_plan(plan, part, parts) for part, plan in enumerate(shares)]
        numbers = np.concatenate([share.queries for share in shares])
        order = np.argsort(numbers, kind="stable")
        expected = (
            np.arange(len(whole.due_ns)) if whole.queries is None else whole.queries
        )
        np.testing.assert_array_equal(numbers[order], expected)
        for column in ("due_ns", "samples"):
            joined = np.concatenate([getattr(share, column) for share in shares])
            np.testing.assert_array_equal(joined[order], getattr(whole, column))
        assert sum(share.query_count for share in shares) == whole.query_count
        assert {share.sha256 for share in shares} == {whole.sha256}
        if whole.requested_qps is not None:
            total = sum(share.requested_qps for share in shares)
            assert total == pytest.approx(whole.requested_qps)
    assert share_plan(whole, 0, 1) is whole


def test_a_schedule_is_shared_by_no_more_processes_than_it_has_queries():
    """Nobody is left without; and a closed loop has no schedule to share."""
    plan = plan_load(Offline(2), SampleOrder(4, 1, step=1, seed=0), schedule_seed=0)
    with pytest.raises(ConfigError, match="2 queries cannot be shared by 3 processes"):
        share_plan(plan, 0, 3)
    with pytest.raises(ConfigError, match="no part 2 of 2"):
        share_plan(plan, 2, 2)
    with pytest.raises(ConfigError, match="closed_loop has clients"):
        run_sync(
            lambda feeds: feeds,
            ArraySamples({"x": np.zeros((4, 4), np.float32)}),
            scenario=ClosedLoop(1, 1),
            batching=Batching(max_batch=1),
            share=(0, 2),
        )
