"""An asyncio.Future for each query, resolved batch by batch."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from threading import Thread

import numpy as np

from benchmarks.contenders.bare import Feeds, null_predict
from benchmarks.contenders.loops import LoopName, crowd, make_runner
from benchmarks.windows import Contender, Window
from bytemlperf.runtime import Histogram

__all__ = ["inline_futures", "threaded_futures"]

_Batch = list["asyncio.Future[Feeds]"]


def _feeds_by_size(max_batch: int) -> list[Feeds]:
    """Make the feeds of every batch size beforehand, as views of one buffer."""
    buffer = np.zeros((max_batch, 1), np.float32)
    return [{"x": buffer[:size]} for size in range(max_batch + 1)]


class _InlineBatcher:
    """Calls predict on the loop, as soon as a batch is full or the loop turns."""

    def __init__(self, loop: asyncio.AbstractEventLoop, max_batch: int) -> None:
        self._loop = loop
        self._max_batch = max_batch
        self._feeds = _feeds_by_size(max_batch)
        self._forming: _Batch = []

    def submit(self) -> asyncio.Future[Feeds]:
        future = self._loop.create_future()
        forming = self._forming
        forming.append(future)
        if len(forming) == self._max_batch:
            self._serve()
        elif len(forming) == 1:
            self._loop.call_soon(self._serve)
        return future

    def _serve(self) -> None:
        batch = self._forming
        if batch:
            self._forming = []
            outputs = null_predict(self._feeds[len(batch)])
            for future in batch:
                future.set_result(outputs)


class _ThreadedBatcher:
    """Calls predict in a thread, and wakes the loop once for all that is done."""

    def __init__(self, loop: asyncio.AbstractEventLoop, max_batch: int) -> None:
        self._loop = loop
        self._max_batch = max_batch
        self._feeds = _feeds_by_size(max_batch)
        self._forming: _Batch = []
        self._queue: SimpleQueue[_Batch | None] = SimpleQueue()
        self._answered: deque[tuple[_Batch, Feeds]] = deque()
        self._thread = Thread(target=self._predict, name="futures-predict")
        self._thread.start()

    def submit(self) -> asyncio.Future[Feeds]:
        future = self._loop.create_future()
        forming = self._forming
        forming.append(future)
        if len(forming) == self._max_batch:
            self._flush()
        elif len(forming) == 1:
            self._loop.call_soon(self._flush)
        return future

    def _flush(self) -> None:
        if self._forming:
            self._queue.put(self._forming)
            self._forming = []

    def _predict(self) -> None:
        while (batch := self._queue.get()) is not None:
            outputs = null_predict(self._feeds[len(batch)])
            # One wake-up for many batches: only the first to be left wakes the loop.
            self._answered.append((batch, outputs))
            if len(self._answered) == 1:
                self._loop.call_soon_threadsafe(self._resolve)

    def _resolve(self) -> None:
        # Left in place while being resolved, so that batches that come meanwhile
        # need no wake-up of their own.
        answered = self._answered
        while answered:
            batch, outputs = answered[0]
            for future in batch:
                future.set_result(outputs)
            answered.popleft()

    def close(self) -> None:
        self._queue.put(None)
        self._thread.join()


@contextmanager
def inline_futures(
    loop: LoopName, *, clients: int, max_batch: int, queries: int, records: bool = False
) -> Iterator[Contender]:
    """Resolve a Future for each query, everything on the loop's thread.

    Parameters
    ----------
    loop : "asyncio" or "uvloop"
        Which event loop.
    clients : int
        Tasks.
    max_batch : int
        Queries in a batch.
    queries : int
        Queries of each client in a window.
    records : bool, default False
        Whether latencies are stamped and recorded natively, as ours are. Without it
        the contender does less than ours, and is faster for it.

    Yields
    ------
    Contender
        Stock asyncio at its best.
    """
    with make_runner(loop) as runner:
        batcher = _InlineBatcher(runner.get_loop(), max_batch)
        submit = batcher.submit

        async def ask(count: int) -> None:
            for _ in range(count):
                await submit()

        async def ask_and_stamp(count: int) -> None:
            now = time.monotonic_ns
            for _ in range(count):
                start = now()
                await submit()
                latencies.append(now() - start)

        latencies: list[int] = []

        def measure() -> Window:
            if not records:
                return runner.run(crowd(clients, queries, ask))
            window: Window = runner.run(crowd(clients, queries, ask_and_stamp))
            Histogram.from_values(latencies)
            latencies.clear()
            return window

        suffix = ", recorded" if records else ""
        yield Contender(f"futures {loop} {clients}{suffix}", measure)


@contextmanager
def threaded_futures(
    loop: LoopName, *, clients: int, max_batch: int, queries: int
) -> Iterator[Contender]:
    """Resolve a Future for each query, predict in a thread of its own.

    Parameters
    ----------
    loop : "asyncio" or "uvloop"
        Which event loop.
    clients : int
        Tasks.
    max_batch : int
        Queries in a batch.
    queries : int
        Queries of each client in a window.

    Yields
    ------
    Contender
        Nothing is stamped or recorded.
    """
    with make_runner(loop) as runner:
        batcher = _ThreadedBatcher(runner.get_loop(), max_batch)
        submit = batcher.submit

        async def ask(count: int) -> None:
            for _ in range(count):
                await submit()

        try:
            yield Contender(
                f"threaded futures {loop} {clients}",
                lambda: runner.run(crowd(clients, queries, ask)),
            )
        finally:
            batcher.close()
