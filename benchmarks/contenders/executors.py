"""Designs that hand work over with stock parts: a queue, or an executor per request."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import anyio.to_thread
import numpy as np

from benchmarks.contenders.bare import FEEDS, Feeds, null_predict
from benchmarks.contenders.loops import LoopName, crowd, make_runner
from benchmarks.windows import Contender

__all__ = ["anyio_to_thread", "executor_per_request", "queue_and_batcher"]


@contextmanager
def executor_per_request(
    loop: LoopName, *, clients: int, queries: int
) -> Iterator[Contender]:
    """Await ``loop.run_in_executor`` for each query.

    Parameters
    ----------
    loop : "asyncio" or "uvloop"
        Which event loop.
    clients : int
        Tasks.
    queries : int
        Queries of each client in a window.

    Yields
    ------
    Contender
        With one predict thread, as ours.
    """
    with make_runner(loop) as runner, ThreadPoolExecutor(1) as pool:
        run_in_executor = runner.get_loop().run_in_executor

        async def ask(count: int) -> None:
            for _ in range(count):
                await run_in_executor(pool, null_predict, FEEDS)

        yield Contender(
            f"run_in_executor {loop} {clients}",
            lambda: runner.run(crowd(clients, queries, ask)),
        )


@contextmanager
def anyio_to_thread(
    loop: LoopName, *, clients: int, queries: int
) -> Iterator[Contender]:
    """Await ``anyio.to_thread.run_sync`` for each query.

    Parameters
    ----------
    loop : "asyncio" or "uvloop"
        Which event loop.
    clients : int
        Tasks.
    queries : int
        Queries of each client in a window.

    Yields
    ------
    Contender
        With anyio's own limiter.
    """
    with make_runner(loop) as runner:
        run_sync = anyio.to_thread.run_sync

        async def ask(count: int) -> None:
            for _ in range(count):
                await run_sync(null_predict, FEEDS)

        yield Contender(
            f"anyio.to_thread {loop} {clients}",
            lambda: runner.run(crowd(clients, queries, ask)),
        )


@contextmanager
def queue_and_batcher(
    loop: LoopName, *, clients: int, max_batch: int, queries: int
) -> Iterator[Contender]:
    """Put each query into an asyncio.Queue; a task makes batches for an executor.

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
        The design of most batching servers in Python.
    """
    buffer = np.zeros((max_batch, 1), np.float32)
    feeds = [{"x": buffer[:size]} for size in range(max_batch + 1)]
    with make_runner(loop) as runner, ThreadPoolExecutor(1) as pool:
        event_loop = runner.get_loop()
        queue: asyncio.Queue[asyncio.Future[Feeds]] = asyncio.Queue()

        async def batcher() -> None:
            while True:
                batch = [await queue.get()]
                while len(batch) < max_batch and not queue.empty():
                    batch.append(queue.get_nowait())
                outputs = await event_loop.run_in_executor(
                    pool, null_predict, feeds[len(batch)]
                )
                for future in batch:
                    future.set_result(outputs)

        async def ask(count: int) -> None:
            for _ in range(count):
                future = event_loop.create_future()
                queue.put_nowait(future)
                await future

        task = event_loop.create_task(batcher())
        yield Contender(
            f"asyncio.Queue {loop} {clients}",
            lambda: runner.run(crowd(clients, queries, ask)),
        )
        task.cancel()
        runner.run(asyncio.wait([task]))
