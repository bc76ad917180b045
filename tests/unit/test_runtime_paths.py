"""Every way from a client to predict and back keeps the same books."""

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
    ClosedLoop,
    Limits,
    WarmUp,
    run,
)

NO_WARM_UP = WarmUp(max_seconds=0)
STAMPS = [
    "scheduled_ns", "issued_ns", "batched_ns", "started_ns", "done_ns", "observed_ns",
]  # fmt: skip
# Clients, lanes, and where predict is then called.
PATHS = [
    ("native", None, "lane"),
    ("native", False, "hand-over"),
    ("task", None, "hand-over"),
    ("task", True, "loop lane"),
    ("bare", None, "hand-over"),
    ("bare", True, "loop lane"),
]


def double(feeds):
    return {"y": feeds["x"] * 2}


def library(count=64, width=16):
    rows = np.arange(count, dtype=np.float32)[:, None]
    return ArraySamples({"x": np.tile(rows, (1, width))})


@pytest.fixture(params=PATHS, ids=lambda path: f"{path[0]}-{path[2]}")
def path(request):
    return request.param


@pytest.fixture(params=LOOPS)
def execute(request):
    with on_loop(request.param) as runner:
        yield runner


def options_for(path, *, clients=5, iterations=40, **scenario):
    kind, lanes, _ = path
    return {
        "scenario": ClosedLoop(
            clients=clients, iterations=iterations, lanes=lanes, **scenario
        ),
        "batching": Batching(max_batch=4),
        "warm_up": NO_WARM_UP,
        "client_path": kind,
    }


def test_the_books_are_the_same(execute, path, tmp_path):
    """Stamps rise, a query is due when the last answer was observed, all is counted."""
    file = tmp_path / "rows.npy"
    recording = execute(run(double, library(), timeline_path=file, **options_for(path)))
    assert (recording.client_kind, recording.predict_path) == (path[0], path[2])
    assert recording.path_reason
    assert recording.query_count == 200
    assert recording.ended_by == "iterations"
    rows = np.load(file)
    assert (np.bincount(rows["client"]) == 40).all()
    for before, after in itertools.pairwise(STAMPS):
        assert (rows[before] <= rows[after]).all()
    for client in range(5):
        own = np.sort(rows[rows["client"] == client], order="scheduled_ns")
        assert (own["scheduled_ns"][1:] == own["observed_ns"][:-1]).all()
    assert recording.service.count == recording.gather.count == 200
    assert recording.latency.mean == (rows["done_ns"] - rows["scheduled_ns"]).mean()
    assert sum(n * k for n, k in recording.batch_size_counts.items()) == 200
    waited = recording.hand_over
    assert (waited is None) == (recording.predict_path != "hand-over")
    if waited is not None:
        # A predict thread waits once for a batch at most, and once for the end.
        side = waited.predict
        waits = side.hit_count + side.miss_count + side.parked_count
        assert 0 <= waits <= sum(recording.batch_size_counts.values()) + 1


def test_histograms_do_not_depend_on_kept_rows(execute, path):
    """Rows that are alike are counted at once; the sums add up all the same."""
    recording = execute(run(double, library(), **options_for(path, clients=8)))
    parts = ("schedule_lag", "queue_wait", "gather", "service")
    assert {getattr(recording, part).count for part in parts} == {320}
    total = sum(getattr(recording, part).mean for part in parts)
    assert total == pytest.approx(recording.latency.mean)


def test_the_same_seed_asks_the_same_samples(execute, path, tmp_path):
    """In order of issue the plan is one and the same on every path."""
    file = tmp_path / "rows.npy"
    execute(run(double, library(), timeline_path=file, **options_for(path, clients=1)))
    rows = np.sort(np.load(file), order="issued_ns")
    expected = np.random.Generator(np.random.PCG64(0)).integers(0, 64, 8192)
    assert (rows["sample_index"] == expected[:40]).all()


def test_predict_gets_the_right_samples(execute, path):
    """What a batch holds is what its rows say, gathered or viewed."""
    seen = []

    def look(feeds):
        assert not feeds["x"].flags.writeable
        seen.append(feeds["x"][:, 0].copy())
        return {"y": feeds["x"]}

    recording = execute(run(look, library(width=3), **options_for(path, clients=3)))
    asked = np.concatenate(seen)
    expected = np.random.Generator(np.random.PCG64(0)).integers(0, 64, 8192)[:120]
    assert sorted(asked) == sorted(expected)
    assert recording.query_count == 120


def test_predict_may_change_its_dict(execute, path):
    """A dict that predict changes or keeps is never the next batch's."""
    kept = []

    def spoil(feeds):
        assert list(feeds) == ["x"]
        if len(kept) % 3 == 0:
            feeds.clear()
        elif len(kept) % 3 == 1:
            feeds["x"] = None
        kept.append(feeds)
        return {"y": np.zeros((4, 1))}

    options = options_for(path, clients=1, iterations=20)
    options["check"] = lambda outputs, count: None
    recording = execute(run(spoil, library(width=3), **options))
    assert recording.query_count == 20
    assert len({id(feeds) for feeds in kept}) == 20


def test_time_ends_it(execute, path):
    """At the deadline nothing more is asked, and what was asked is answered."""
    options = options_for(path, iterations=10**9)
    recording = execute(
        run(double, library(), limits=Limits(max_seconds=0.02), **options)
    )
    assert recording.ended_by == "max_seconds"
    assert recording.query_count >= 1
    assert recording.cancelled_count == 0


def test_a_warm_up_settles_on_every_path(execute, path):
    """The phase before begins and ends with nothing in flight."""
    options = options_for(path) | {"warm_up": WarmUp(max_queries=50)}
    recording = execute(run(double, library(), **options))
    assert recording.warm_up.query_count == 50
    assert recording.query_count == 200


def test_failure_ends_it(execute, path):
    """The first failed batch ends the run; queued queries are dropped."""
    calls = 0

    def fail(feeds):
        nonlocal calls
        calls += 1
        if calls == 3:
            raise ValueError("third")
        return {"y": feeds["x"]}

    recording = execute(run(fail, library(), **options_for(path, clients=12)))
    assert recording.ended_by == "failed"
    assert "third" in recording.failures[0].error
    assert 1 <= recording.failed_count <= 4
    assert (
        recording.query_count + recording.failed_count + (recording.cancelled_count)
        >= 12
    )
    if recording.predict_path != "hand-over":
        assert calls == 3


def test_what_is_no_exception_passes_through(execute, path):
    """SystemExit in predict is raised by `run`, and no thread is left."""

    def leave(feeds):
        raise SystemExit(3)

    async def main():
        with pytest.raises(SystemExit):
            await run(leave, library(), **options_for(path))

    execute(main())


def test_can_be_cancelled(execute, path):
    """A timeout around the run ends it at once, with every thread joined."""

    async def main():
        options = options_for(path, iterations=10**9)
        with anyio.move_on_after(0.02) as scope:
            await run(double, library(), **options)
        assert scope.cancelled_caught

    execute(main())


@pytest.mark.parametrize("kind", ["native", "task", "bare"])
def test_cancelling_leaves_those_alone_that_have_ended(execute, kind):
    """Some clients have their last answer, others wait, and each ends once."""
    may_return = threading.Event()

    async def main():
        loop = asyncio.get_running_loop()
        is_stuck = asyncio.Event()
        calls = itertools.count()

        def predict(feeds):
            if next(calls) == 2:
                loop.call_soon_threadsafe(is_stuck.set)
                may_return.wait(60)
            return double(feeds)

        options = options_for((kind, None, ""), iterations=1)
        options["batching"] = Batching(max_batch=1)
        running = asyncio.create_task(run(predict, library(), **options))
        await is_stuck.wait()
        running.cancel()
        loop.call_soon(may_return.set)
        with pytest.raises(asyncio.CancelledError):
            await running

    execute(main())


@pytest.mark.parametrize("kind", ["native", "task", "bare"])
def test_thinking_is_done_while_predict_works(execute, kind, tmp_path):
    """Clients that think ask at their moment, not when predict is done."""
    file = tmp_path / "rows.npy"
    recording = execute(
        run(
            double,
            library(),
            timeline_path=file,
            **options_for((kind, None, ""), iterations=5, think_time_ns=1_000_000),
        )
    )
    assert recording.predict_path == "hand-over"
    rows = np.load(file)
    assert len(rows) == 25
    assert (rows["issued_ns"] >= rows["scheduled_ns"]).all()
    own = np.sort(rows[rows["client"] == 2], order="scheduled_ns")
    assert (own["scheduled_ns"][1:] - own["observed_ns"][:-1] == 1_000_000).all()


@pytest.mark.parametrize("lanes", [None, False])
def test_several_predict_threads_share_native_clients(execute, lanes):
    """Each batch is served once, by whichever thread is free."""
    threads = set()

    def predict(feeds):
        threads.add(threading.current_thread().name)
        return {"y": feeds["x"]}

    recording = execute(
        run(
            predict,
            library(),
            scenario=ClosedLoop(clients=32, iterations=50, lanes=lanes),
            batching=Batching(max_batch=4, predict_threads=3),
            warm_up=NO_WARM_UP,
            client_path="native",
        )
    )
    assert recording.query_count == 1600
    assert threads <= {f"bytemlperf-predict-{index}" for index in range(3)}


def test_a_batch_waits_for_company_in_a_lane(execute):
    """`max_delay_us` is kept although nobody else could ask meanwhile."""
    recording = execute(
        run(
            double,
            library(),
            scenario=ClosedLoop(clients=2, iterations=3),
            batching=Batching(max_batch=4, max_delay_us=2000),
            warm_up=NO_WARM_UP,
        )
    )
    assert recording.batch_size_counts == {2: 3}
    assert recording.queue_wait.min >= 2_000_000


def test_clients_may_have_a_body(execute):
    """What clients do between two queries is the caller's, and may await anything."""
    done = []

    async def body(client):
        while client.is_open:
            await client
            await asyncio.sleep(0)
        done.append(client.index)
        assert asyncio.current_task() is not None

    recording = execute(
        run(
            double,
            library(),
            scenario=ClosedLoop(clients=3, iterations=4),
            batching=Batching(max_batch=4),
            warm_up=NO_WARM_UP,
            client_body=body,
        )
    )
    assert recording.client_kind == "task"
    assert recording.query_count == 12
    assert sorted(done) == [0, 1, 2]


@pytest.mark.parametrize("kind", ["task", "bare"])
def test_an_error_in_a_body_ends_the_run(execute, kind):
    """The others are cancelled, and the error is raised as it is."""

    async def body(client):
        while client.is_open:
            await client
            if client.index == 1:
                raise LookupError("lost")

    async def main():
        with pytest.raises(LookupError, match="lost"):
            await run(
                double,
                library(),
                client_body=body,
                **options_for((kind, None, ""), iterations=10**9),
            )

    execute(main())


def test_clients_without_room_are_tasks(execute):
    """In a queue that is too small clients wait in line."""
    recording = execute(
        run(
            double,
            library(),
            scenario=ClosedLoop(clients=9, iterations=10),
            batching=Batching(max_batch=2, max_queued=3),
            warm_up=NO_WARM_UP,
        )
    )
    assert recording.client_kind == "task"
    assert "room" in recording.path_reason
    assert recording.query_count == 90
    assert recording.peak_queued <= 3


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"scenario": ClosedLoop(1, 1, think_time_ns=1, lanes=True)}, "think"),
        ({"client_path": "native", "client_body": print}, "no body"),
        (
            {
                "client_path": "native",
                "batching": Batching(max_batch=1, max_queued=1),
                "scenario": ClosedLoop(2, 1),
            },
            "do not wait for room",
        ),
        (
            {
                "client_path": "task",
                "scenario": ClosedLoop(1, 1, lanes=True),
                "batching": Batching(max_batch=1, predict_threads=2),
            },
            "one thread",
        ),
    ],
)
def test_what_cannot_be_had_together_is_refused(options, match):
    """Each contradiction is named before anything runs."""
    options = {
        "scenario": ClosedLoop(1, 1),
        "batching": Batching(max_batch=1),
    } | options
    with pytest.raises(ConfigError, match=match):
        asyncio.run(run(double, library(), **options))
