"""A load test as a whole, on every loop: counts, columns, ends and failures."""

from __future__ import annotations

import asyncio
import functools
import itertools
import sys
import threading

import anyio
import msgspec
import numpy as np
import pytest
from loops import LOOPS, on_loop

from bytemlperf._native.timeline import Timeline
from bytemlperf.errors import ConfigError, PredictError, StorageError
from bytemlperf.runtime import (
    TIMELINE_DTYPE,
    ArraySamples,
    Batching,
    ClosedLoop,
    Limits,
    WarmUp,
    now_ns,
    run,
    run_sync,
)
from bytemlperf.runtime.progress import ProgressTeller

NO_WARM_UP = WarmUp(max_seconds=0)
BRIEF = WarmUp(max_queries=10)
STAMPS = [
    "scheduled_ns", "issued_ns", "batched_ns", "started_ns", "done_ns", "observed_ns",
]  # fmt: skip


def library(count=64, width=16):
    rows = np.arange(count, dtype=np.float32)[:, None]
    return ArraySamples({"x": np.tile(rows, (1, width))})


def double(feeds):
    return {"y": feeds["x"] * 2}


@pytest.fixture(params=LOOPS)
def loop_name(request):
    return request.param


@pytest.fixture
def execute(loop_name):
    with on_loop(loop_name) as runner:
        yield runner


def measure(execute, predict=double, **options):
    options.setdefault("scenario", ClosedLoop(clients=3, iterations=20))
    options.setdefault("batching", Batching(max_batch=8))
    options.setdefault("warm_up", BRIEF)
    samples = options.pop("samples", None) or library()
    return execute(run(predict, samples, **options))


def test_every_query_is_counted_and_adds_up(execute, loop_name, tmp_path):
    """3 clients x 20 iterations is 60 rows; per row the parts sum to the latency."""
    path = tmp_path / "rows.npy"
    recording = measure(execute, timeline_path=path)
    assert recording.ended_by == "iterations"
    assert recording.loop == loop_name
    assert recording.query_count == recording.sample_count == 60
    assert recording.failed_count == recording.cancelled_count == 0
    assert recording.overflow_count == 0
    assert recording.warm_up.query_count == 10
    rows = np.load(path)
    assert rows.dtype == TIMELINE_DTYPE
    assert rows["warm_up"].sum() == 10
    measured = rows[rows["warm_up"] == 0]
    assert len(measured) == 60
    for before, after in itertools.pairwise(STAMPS):
        assert (rows[before] <= rows[after]).all()
    parts = {
        "latency": measured["done_ns"] - measured["scheduled_ns"],
        "schedule_lag": measured["issued_ns"] - measured["scheduled_ns"],
        "queue_wait": measured["batched_ns"] - measured["issued_ns"],
        "gather": measured["started_ns"] - measured["batched_ns"],
        "service": measured["done_ns"] - measured["started_ns"],
        "wakeup": measured["observed_ns"] - measured["done_ns"],
    }
    for name, values in parts.items():
        histogram = getattr(recording, name)
        assert histogram.count == 60
        assert (histogram.min, histogram.max) == (values.min(), values.max())
        assert histogram.mean == values.mean()
    assert recording.window_start_ns == measured["scheduled_ns"].min()
    assert recording.window_ns == (
        measured["done_ns"].max() - measured["scheduled_ns"].min()
    )
    assert sum(second.sample_count for second in recording.series) == 60
    assert (np.bincount(measured["client"]) == 20).all()


def test_closed_loop_schedules_from_the_answer(execute, tmp_path):
    """A client's next query is due at the moment its answer was observed."""
    path = tmp_path / "rows.npy"
    measure(execute, timeline_path=path, warm_up=NO_WARM_UP)
    rows = np.load(path)
    for client in range(3):
        own = np.sort(rows[rows["client"] == client], order="scheduled_ns")
        assert (own["scheduled_ns"][1:] == own["observed_ns"][:-1]).all()
    assert len({rows[rows["client"] == c]["scheduled_ns"].min() for c in range(3)}) == 1


def test_think_time_is_kept(execute, tmp_path):
    """With think time a query is due that much later, and never issued early."""
    path = tmp_path / "rows.npy"
    measure(
        execute,
        timeline_path=path,
        warm_up=NO_WARM_UP,
        scenario=ClosedLoop(clients=2, iterations=4, think_time_ns=2_000_000),
    )
    rows = np.load(path)
    assert (rows["issued_ns"] >= rows["scheduled_ns"]).all()
    own = np.sort(rows[rows["client"] == 0], order="scheduled_ns")
    assert (own["scheduled_ns"][1:] - own["observed_ns"][:-1] == 2_000_000).all()


@pytest.mark.parametrize(("width", "step"), [(16, 1), (3, 16)])
def test_neighbours_are_views_where_they_are_aligned(execute, width, step):
    """A query's samples reach predict as one aligned view of the library, or gathered.

    12-byte samples begin at a multiple of 64 only where 16 divides their number: all
    others are gathered, and the values are right either way.
    """
    samples = library(width=width)
    loaded = samples.load(range(64))["x"]
    seen = []

    def look(feeds):
        x = feeds["x"]
        first = int(x[0, 0])
        seen.append(
            (
                x.ctypes.data % 64 == 0,
                not x.flags.writeable,
                x[:, 0].tolist() == [first, first + 1, first + 2, first + 3],
                np.shares_memory(x, loaded) == (first % step == 0),
            )
        )
        return double(feeds)

    recording = measure(
        execute,
        look,
        samples=samples,
        scenario=ClosedLoop(clients=1, iterations=30, samples_per_query=4),
        batching=Batching(max_batch=4),
    )
    assert set(seen) == {(True, True, True, True)}
    assert recording.batch_size_counts == {4: 30}
    assert recording.view_count + recording.gather_count == 30
    assert (recording.gather_count == 0) == (step == 1)


def test_gathered_batches_hold_the_rows_that_were_asked_for(execute, tmp_path):
    """Every row of every batch is the sample the timeline says, of every client."""
    path = tmp_path / "rows.npy"
    batches = []

    def look(feeds):
        batches.append(feeds["x"][:, 0].astype(int).tolist())
        return double(feeds)

    recording = measure(
        execute,
        look,
        timeline_path=path,
        warm_up=NO_WARM_UP,
        scenario=ClosedLoop(clients=16, iterations=20),
    )
    rows = np.load(path)
    for batch_id, batch in enumerate(batches):
        assert rows[rows["batch_id"] == batch_id]["sample_index"].tolist() == batch
    sizes = np.bincount(np.bincount(rows["batch_id"]))
    assert recording.batch_size_counts == {
        size: int(count) for size, count in enumerate(sizes) if count
    }
    assert recording.peak_queued <= 16


def test_rows_per_sample_are_kept_together(execute):
    """An input with several rows a sample brings all of them, in order."""
    samples = ArraySamples(
        {
            "one": np.arange(6, dtype=np.int64),
            "three": np.arange(18, dtype=np.int32).reshape(18, 1),
        },
        {"three": 3},
    )

    def look(feeds):
        assert feeds["three"].shape == (len(feeds["one"]) * 3, 1)
        assert (feeds["three"].reshape(-1, 3)[:, 0] == feeds["one"] * 3).all()
        return {"y": feeds["one"]}

    assert measure(execute, look, samples=samples).query_count == 60


def test_same_seed_asks_for_the_same_samples(execute, tmp_path):
    """The order of samples is a function of the seed, whatever the timing."""

    def asked(seed):
        path = tmp_path / "rows.npy"
        measure(
            execute,
            timeline_path=path,
            seed=seed,
            warm_up=NO_WARM_UP,
            scenario=ClosedLoop(clients=1, iterations=40),
        )
        return np.load(path)["sample_index"].tolist()

    assert asked(5) == asked(5)
    assert asked(5) != asked(6)


def test_several_threads_serve_at_once(execute):
    """With two predict threads two batches are in predict together."""
    meeting = threading.Barrier(2, timeout=60)

    def meet(feeds):
        meeting.wait()
        return double(feeds)

    recording = measure(
        execute,
        meet,
        warm_up=NO_WARM_UP,
        scenario=ClosedLoop(clients=2, iterations=5),
        batching=Batching(max_batch=1, predict_threads=2),
    )
    assert recording.query_count == 10


def test_a_full_queue_holds_clients_back(execute):
    """With room for one, nobody is refused or lost: clients wait their turn."""
    recording = measure(
        execute,
        scenario=ClosedLoop(clients=9, iterations=10),
        batching=Batching(max_batch=1, max_queued=1),
    )
    assert recording.query_count == 90
    assert recording.peak_queued == 1


def test_delay_fills_batches(execute):
    """With time to wait, a batch closes when it is full."""
    recording = measure(
        execute,
        warm_up=NO_WARM_UP,
        scenario=ClosedLoop(clients=8, iterations=10),
        batching=Batching(max_batch=8, max_delay_us=60_000_000),
    )
    assert recording.batch_size_counts == {8: 10}


def test_time_ends_a_run_but_not_before_its_minimum(execute):
    """The time limit stops issuing once the minimum is answered; the rest is drained.

    A limit that has passed before the first query leaves the minimum to decide.
    """
    recording = measure(
        execute,
        scenario=ClosedLoop(clients=4, iterations=10**6),
        limits=Limits(max_seconds=1e-9, min_queries=50),
    )
    assert recording.ended_by == "max_seconds"
    assert 50 <= recording.query_count <= 60
    assert recording.cancelled_count == 0


def test_time_ends_a_long_thought(execute):
    """Clients that think when time is up are not waited for."""
    begun = now_ns()
    recording = measure(
        execute,
        warm_up=NO_WARM_UP,
        scenario=ClosedLoop(clients=2, iterations=5, think_time_ns=3600 * 10**9),
        limits=Limits(max_seconds=0.01),
    )
    assert recording.ended_by == "max_seconds"
    assert recording.query_count == 2
    assert now_ns() - begun < 1800 * 10**9


def test_drain_limit_drops_what_is_queued(execute):
    """What still waits after the drain limit is counted as cancelled, never lost."""
    hold = threading.Event()
    calls = []

    def slow(feeds):
        calls.append(len(feeds["x"]))
        if len(calls) == 2:
            hold.wait(0.3)
        return double(feeds)

    recording = measure(
        execute,
        slow,
        warm_up=NO_WARM_UP,
        scenario=ClosedLoop(clients=6, iterations=1000),
        batching=Batching(max_batch=1),
        limits=Limits(max_seconds=0.001, drain_seconds=0),
    )
    assert recording.ended_by == "max_seconds"
    assert recording.cancelled_count > 0
    assert recording.query_count == len(calls)


def test_warm_up_ends_when_service_settles(execute):
    """With a generous tolerance the first windows agree, and the warm-up says so."""
    recording = measure(
        execute,
        scenario=ClosedLoop(clients=1, iterations=5),
        warm_up=WarmUp(
            max_seconds=60, settle_batches=2, settle_windows=2, settle_tolerance=1e9
        ),
    )
    assert recording.warm_up.settled
    assert recording.warm_up.query_count == 4
    assert recording.warm_up.service.count == 4
    assert recording.warm_up.duration_ns > 0
    assert recording.query_count == 5


def test_predict_error_ends_the_run_with_what_was_measured(execute):
    """The error is listed and chained; earlier queries keep their numbers."""
    calls = 0

    def fail_later(feeds):
        nonlocal calls
        calls += 1
        if calls == 20:
            raise ValueError("bad luck")
        return double(feeds)

    recording = measure(
        execute, fail_later, scenario=ClosedLoop(clients=1, iterations=20)
    )
    assert recording.ended_by == "failed"
    assert recording.query_count == 9
    assert recording.failed_count == 1
    (failure,) = recording.failures
    assert failure.error == "ValueError('bad luck')"
    assert failure.batch_size == 1
    assert not failure.is_warm_up
    assert isinstance(recording.error, PredictError)
    assert isinstance(recording.error.__cause__, ValueError)
    assert "predict raised ValueError on a batch of 1 samples" in str(recording.error)


def test_predict_error_in_warm_up(execute):
    """If warming up fails nothing is measured, and the recording says so."""

    def fail(feeds):
        raise ValueError("never")

    recording = measure(execute, fail)
    assert recording.ended_by == "failed"
    assert recording.query_count == recording.sample_count == recording.window_ns == 0
    assert recording.failures[0].is_warm_up


def test_fatal_error_is_raised(execute):
    """What is not an Exception ends the run by being raised from it."""

    class Fatal(BaseException):
        pass

    def die(feeds):
        raise Fatal("now")

    with pytest.raises(Fatal, match="now"):
        measure(execute, die)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda feeds: None, "must return a dict of arrays .* not NoneType"),
        (lambda feeds: {"y": 3}, "output 'y' of a batch of 1 samples has no shape"),
        (lambda feeds: {"y": np.zeros((0, 2))}, r"has shape \(0, 2\)"),
        (lambda feeds: {1: feeds["x"]}, "named an output 1"),
    ],
)
def test_wrong_outputs_are_refused(execute, answer, message):
    """The first answer is checked, and what is wrong with it is said."""
    with pytest.raises(PredictError, match=message):
        measure(execute, answer, scenario=ClosedLoop(clients=1, iterations=1))


def test_own_check_sees_a_copy_once(execute):
    """A check of the caller's own replaces ours and is called once with a copy."""
    checked = []
    measure(
        execute,
        lambda feeds: feeds,
        check=lambda outputs, count: checked.append(
            (outputs["x"].flags.owndata, count)
        ),
        batching=Batching(max_batch=1),
    )
    assert checked == [(True, 1)]


def test_cancelling_stops_the_threads(execute):
    """A cancelled run waits for the batch in predict, and leaves nothing behind."""
    in_predict = threading.Event()

    async def cancel_it():
        loop = asyncio.get_running_loop()
        reached = asyncio.Event()

        def predict(feeds):
            loop.call_soon_threadsafe(reached.set)
            in_predict.set()
            return double(feeds)

        task = asyncio.create_task(
            run(
                predict,
                library(),
                scenario=ClosedLoop(clients=5, iterations=10**9),
                batching=Batching(max_batch=2),
                warm_up=NO_WARM_UP,
            )
        )
        await reached.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    execute(cancel_it())
    assert in_predict.is_set()


def test_anyio_scope_cancels_a_run(execute):
    """Inside an anyio task group a cancel scope ends a run like any other task."""

    async def host():
        async with anyio.create_task_group() as group:
            with anyio.move_on_after(0.05) as scope:
                await run(
                    double,
                    library(),
                    scenario=ClosedLoop(clients=4, iterations=10**9),
                    batching=Batching(max_batch=2),
                )
            assert scope.cancelled_caught
            group.start_soon(anyio.sleep, 0)

    execute(host())


def test_the_loop_stays_alive_under_load(execute):
    """Timers of the embedding program fire while null queries are at full rate."""

    async def host():
        ticks = []

        async def tick():
            while True:
                await asyncio.sleep(0.001)
                ticks.append(now_ns())

        ticker = asyncio.create_task(tick())
        await run(
            double,
            library(),
            # By time: so many queries may take less than a timer's tick.
            scenario=ClosedLoop(clients=300, iterations=10**7),
            batching=Batching(max_batch=64),
            limits=Limits(max_seconds=0.1),
            warm_up=NO_WARM_UP,
        )
        ticker.cancel()
        return len(ticks)

    assert execute(host()) > 0


def test_blocks_hold_every_latency(execute, monkeypatch):
    """However often blocks are doubled, all latencies are in them, and in order."""
    brief = functools.partial(Timeline, tick_ns=20_000)
    monkeypatch.setattr(sys.modules["bytemlperf.runtime.run"], "Timeline", brief)
    recording = measure(
        execute,
        scenario=ClosedLoop(clients=4, iterations=2000),
        warm_up=NO_WARM_UP,
    )
    blocks = recording.blocks
    assert 1 < len(blocks) <= 64
    length_ns = blocks[0].duration_ns
    assert length_ns % 20_000 == 0
    assert length_ns > 20_000, "it was over before a block had to be doubled"
    assert [block.start_ns for block in blocks] == [
        place * length_ns for place in range(len(blocks))
    ]
    assert 0 < blocks[-1].duration_ns <= length_ns
    counts = np.zeros_like(recording.latency.counts)
    for block in blocks:
        cells = block.cells[:, 0]
        assert (np.diff(cells) > 0).all()
        counts[cells] += block.cells[:, 1]
        assert block.cells[:, 1].sum() == block.query_count
    assert np.array_equal(counts, recording.latency.counts)
    total_ns = sum(block.sum_ns for block in blocks)
    assert total_ns / recording.query_count == recording.latency.mean


def test_progress_is_told_from_another_thread():
    """A listener gets counts and recent figures; its thread ends with the block."""
    timeline = Timeline(1, 1)
    timeline.begin(start_ns=now_ns(), is_warm_up=True)
    timeline.latency.record(1000, 5)
    told = []
    enough = threading.Event()

    def listen(progress):
        told.append(progress)
        enough.set()

    teller = ProgressTeller(timeline, listen, on_error=pytest.fail, period_s=0.001)
    with teller:
        assert enough.wait(60)
    assert teller.error is None
    assert told[0].done_queries == 5
    assert told[0].is_warm_up
    assert told[0].recent_p50_ns in {None, 1000}


def test_a_listener_that_raises_ends_the_run(execute):
    """An error of the caller's own is not swallowed."""

    def complain(progress):
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        measure(
            execute,
            on_progress=complain,
            scenario=ClosedLoop(clients=2, iterations=10**9),
        )


def test_refuses_what_cannot_run(execute, tmp_path):
    """A wrong request is refused before anything runs, and says what to do."""
    with pytest.raises(ConfigError, match=r"brings only 64.*\n.*hint: bring more"):
        measure(
            execute,
            scenario=ClosedLoop(clients=1, iterations=1, samples_per_query=65),
            batching=Batching(max_batch=65),
        )
    with pytest.raises(ConfigError, match="does not fit into a batch"):
        measure(
            execute, scenario=ClosedLoop(clients=1, iterations=1, samples_per_query=9)
        )
    with pytest.raises(StorageError, match="timeline cannot be written"):
        measure(execute, timeline_path=tmp_path / "missing" / "rows.npy")


def test_library_is_unloaded_after_use(execute):
    """The run gives the samples back, also when it fails."""
    samples = library()
    measure(execute, samples=samples)
    assert repr(samples) == "<ArraySamples [0 loaded of 64 | x]>"


def test_run_sync_uses_uvloop_and_leaves_the_policy_alone():
    """Without a loop of one's own a run takes uvloop, and sets nothing globally."""
    policy = asyncio.get_event_loop_policy()
    recording = run_sync(
        double,
        library(),
        scenario=ClosedLoop(clients=2, iterations=3),
        batching=Batching(max_batch=2),
        warm_up=NO_WARM_UP,
    )
    assert recording.loop == "uvloop"
    assert recording.rng == "numpy.PCG64"
    assert asyncio.get_event_loop_policy() is policy
    with pytest.raises(AttributeError, match="immutable"):
        recording.seed = 3
    assert isinstance(recording, msgspec.Struct)


def test_long_timelines_are_written_in_chunks(execute, tmp_path):
    """More rows than a chunk holds arrive whole and in order."""
    path = tmp_path / "rows.npy"
    measure(
        execute,
        timeline_path=path,
        warm_up=NO_WARM_UP,
        scenario=ClosedLoop(clients=200, iterations=200),
        batching=Batching(max_batch=64),
    )
    rows = np.load(path)
    assert len(rows) == 40_000
    assert (np.diff(rows["observed_ns"]) >= 0).all()
