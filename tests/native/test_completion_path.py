"""Balance of the whole native path: rows, references, views and file descriptors."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import weakref

import numpy as np
import pytest
from loops import on_loop

from bytemlperf._native.answer import Answer
from bytemlperf._native.completion_ring import CompletionRing, Doorbell
from bytemlperf._native.row_table import RowTable
from bytemlperf.errors import ConfigError, PredictError
from bytemlperf.runtime import Batching, Scheduler

X = {"x": np.arange(4, dtype=np.float32).reshape(1, 4)}


def test_nothing_is_left_after_use():
    """After many queries, failures and cancellations every count is back at zero."""
    calls = 0

    def predict(feeds):
        nonlocal calls
        calls += 1
        if calls % 5 == 0:
            raise ValueError("every fifth")
        return {"y": feeds["x"] + 1}

    async def use():
        async with Scheduler(predict, X, batching=Batching(max_batch=4)) as front:
            tasks = [asyncio.create_task(front.submit(X)) for _ in range(400)]
            await asyncio.sleep(0)
            for task in tasks[::7]:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
        predictor = front._predictor
        assert predictor.table.in_flight_count == 0
        assert predictor.queue.put_count == predictor.queue.taken_count
        assert {type(result) for result in results} == {
            dict,
            PredictError,
            asyncio.CancelledError,
        }
        # The tracebacks of errors hold the frames of predict, and those its feeds.
        del tasks, results
        gc.collect()
        for slot in range(predictor.pool.slot_count):
            assert predictor.pool.export_count(slot) == 0
            predictor.pool.release(slot)
        predictor.pool.close()
        return weakref.ref(predictor.dispatcher.on_space.__self__)

    references = sys.getrefcount(X["x"])
    descriptors = len(os.listdir("/proc/self/fd"))
    with on_loop("asyncio") as run:
        gate = run(use())
    gc.collect()
    assert gate() is None
    references -= sys.getrefcount(X["x"])
    assert references == 0
    assert len(os.listdir("/proc/self/fd")) == descriptors


def test_repeated_use_does_not_grow_memory():
    """The same work again and again allocates nothing that stays."""

    def predict(feeds):
        return {"y": feeds["x"]}

    async def use():
        async with Scheduler(predict, X, batching=Batching(max_batch=4)) as front:
            await asyncio.gather(*(front.submit(X) for _ in range(50)))

    def blocks_after(rounds):
        for _ in range(rounds):
            asyncio.run(use())
        gc.collect()
        return sys.getallocatedblocks()

    before = blocks_after(5)
    assert blocks_after(20) - before < 200


def test_answer_serves_one_waiter_at_a_time():
    """Misuse of an answer is an error that says what is wrong."""
    loop = asyncio.new_event_loop()
    try:
        answer = Answer(loop)
        with pytest.raises(asyncio.InvalidStateError, match="before it was issued"):
            next(answer)
        with pytest.raises(asyncio.InvalidStateError, match="has not come yet"):
            answer.result()
        assert answer.get_loop() is loop
        assert answer.cancel() is False
        answer.add_done_callback(print)
        with pytest.raises(RuntimeError, match="one task at a time"):
            answer.add_done_callback(print)
        assert answer.remove_done_callback(print) == 1
        assert repr(answer) == "<Answer [idle]>"
    finally:
        loop.close()


def test_structures_refuse_senseless_sizes():
    """Sizes out of range are the caller's fault."""
    with pytest.raises(ConfigError, match="at least 1 row, not 0"):
        CompletionRing(0)
    with pytest.raises(ConfigError, match="not 0"):
        RowTable(0)


def test_doorbell_rings_until_cleared():
    """What was rung can be read once, and is gone when cleared."""
    bell = Doorbell()
    bell.ring()
    bell.ring()
    assert int.from_bytes(os.read(bell.fd, 8), sys.byteorder) == 2
    bell.ring()
    bell.clear()
    with pytest.raises(BlockingIOError):
        os.read(bell.fd, 8)
