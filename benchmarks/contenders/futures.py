"""An asyncio.Future for each query, resolved batch by batch."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from threading import Thread
from typing import Literal

import numpy as np

from benchmarks.contenders.bare import Feeds, null_predict
from benchmarks.contenders.loops import LoopName, crowd, make_runner
from benchmarks.windows import Contender, Window
from bytemlperf.runtime import Histogram

__all__ = ["inline_futures", "threaded_futures"]

Wakes = Literal["coalesced", "every batch"]

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
    """Calls predict in a thread, and wakes the loop for what is done."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, max_batch: int, *, wakes: Wakes
    ) -> None:
        self._loop = loop
        self._max_batch = max_batch
        self._wakes_every_batch = wakes == "every batch"
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
            self._answered.append((batch, outputs))
            if self._wakes_every_batch or len(self._answered) == 1:
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
            if self._wakes_every_batch:
                return

    def close(self) -> None:
        self._queue.put(None)
        self._thread.join()


class _Asker:
    """What clients do, with or without stamping each query."""

    def __init__(
        self, submit: Callable[[], asyncio.Future[Feeds]], *, records: bool
    ) -> None:
        self._submit = submit
        self._latencies: list[int] = []
        self.ask = self._ask_and_stamp if records else self._ask

    async def _ask(self, count: int) -> None:
        submit = self._submit
        for _ in range(count):
            await submit()

    async def _ask_and_stamp(self, count: int) -> None:
        submit = self._submit
        keep = self._latencies.append
        now = time.monotonic_ns
        for _ in range(count):
            start = now()
            await submit()
            keep(now() - start)

    def record(self) -> None:
        """Make a histogram of what was stamped, outside the window."""
        if self._latencies:
            Histogram.from_values(self._latencies)
            self._latencies.clear()


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
        Whether each query is stamped twice and its latency kept, as any harness must.
        Without it the contender does less than ours, and is faster for it.

    Yields
    ------
    Contender
        Stock asyncio at its best.
    """
    with make_runner(loop) as runner:
        batcher = _InlineBatcher(runner.get_loop(), max_batch)
        asker = _Asker(batcher.submit, records=records)

        def measure() -> Window:
            window: Window = runner.run(crowd(clients, queries, asker.ask))
            asker.record()
            return window

        suffix = ", recorded" if records else ""
        yield Contender(f"futures {loop} {clients}{suffix}", measure)


@contextmanager
def threaded_futures(
    loop: LoopName,
    *,
    clients: int,
    max_batch: int,
    queries: int,
    wakes: Wakes = "coalesced",
    records: bool = False,
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
    wakes : "coalesced" or "every batch"
        Whether one wake-up of the loop serves all batches that are done, or each batch
        has a ``call_soon_threadsafe`` of its own, as most people write it.
    records : bool, default False
        See `inline_futures`.

    Yields
    ------
    Contender
        As it stands, asyncio at its best.
    """
    with make_runner(loop) as runner:
        batcher = _ThreadedBatcher(runner.get_loop(), max_batch, wakes=wakes)
        asker = _Asker(batcher.submit, records=records)

        def measure() -> Window:
            window: Window = runner.run(crowd(clients, queries, asker.ask))
            asker.record()
            return window

        name = f"threaded futures {loop} {clients}"
        if wakes == "every batch":
            name += ", waking every batch"
        if records:
            name += ", recorded"
        try:
            yield Contender(name, measure)
        finally:
            batcher.close()
