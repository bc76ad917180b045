"""Our own ways to drive clients, behind one small face: the adapter.

Scripts measure what these functions yield, and print "not built" for those that raise
`NotBuiltError`; they never know how a client is driven.

A window is what the run itself recorded: from the moment the first query was scheduled
to the last answer. Its CPU time also covers the making of clients.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Literal

import numpy as np
import numpy.typing as npt

from benchmarks.contenders.bare import Feeds, null_predict
from benchmarks.contenders.loops import LoopName, make_runner
from benchmarks.windows import Contender, Window
from bytemlperf._native.batch_queue import BatchQueue
from bytemlperf._native.pacer import Pacer
from bytemlperf._native.row_table import RowTable
from bytemlperf.runtime import (
    ArraySamples,
    Batching,
    ClosedLoop,
    Progress,
    Recording,
    SampleLibrary,
    WarmUp,
    now_ns,
    pace,
    run,
)
from bytemlperf.runtime.open_loop import may_be_real_time

__all__ = [
    "ClientKind",
    "NotBuiltError",
    "hand_over",
    "inline_task_clients",
    "lane",
    "native_pacing",
    "paced_coroutines",
    "record_run",
    "threaded_clients",
    "wait_with_clients",
]

ClientKind = Literal["native", "bare", "task"]

_SAMPLES = ArraySamples({"x": np.zeros((64, 1), np.float32)})
_NO_WARM_UP = WarmUp(max_seconds=0)
_HEAD_START_NS = 20_000_000


class NotBuiltError(Exception):
    """A part of the runtime does not exist yet."""


async def record_run(
    predict: Callable[[Feeds], Feeds],
    samples: SampleLibrary,
    *,
    clients: int,
    queries: int,
    max_batch: int,
    kind: ClientKind = "task",
    lanes: bool | None = None,
    on_progress: Callable[[Progress], object] | None = None,
) -> Recording:
    """Run clients through one predict thread, without a warm-up.

    Parameters
    ----------
    predict : callable
        The model.
    samples : SampleLibrary
        What to ask it.
    clients : int
        How many.
    queries : int
        Queries of each.
    max_batch : int
        Queries in a batch.
    kind : "native", "bare" or "task"
        What a client is.
    lanes : bool, optional
        See `bytemlperf.runtime.ClosedLoop`.
    on_progress : callable, optional
        Told now and then.

    Returns
    -------
    Recording
        Complete.

    Raises
    ------
    RuntimeError
        Queries failed or were not answered.
    """
    recording = await run(
        predict,
        samples,
        scenario=ClosedLoop(clients=clients, iterations=queries, lanes=lanes),
        batching=Batching(max_batch=max_batch),
        warm_up=_NO_WARM_UP,
        on_progress=on_progress,
        # Named, never left to the run to choose: a choice could be another kind.
        client_path=kind,
    )
    if recording.error is not None:
        raise recording.error
    if recording.ended_by != "iterations":
        raise RuntimeError(f"a window ended by {recording.ended_by}: {recording}")
    return recording


def _window_of(recording: Recording) -> Window:
    return Window(recording.query_count, recording.window_ns, recording.cpu_ns)


@contextmanager
def threaded_clients(
    loop: LoopName,
    *,
    clients: int,
    max_batch: int,
    queries: int,
    kind: ClientKind = "task",
) -> Iterator[Contender]:
    """Drive clients through one predict thread, predict in Python.

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
    kind : "native", "bare" or "task"
        What a client is.

    Yields
    ------
    Contender
        All of a run: six stamps a query, six histograms, validity counts.

    """
    with make_runner(loop) as runner:

        def measure() -> Window:
            recording = runner.run(
                record_run(
                    null_predict,
                    _SAMPLES,
                    clients=clients,
                    queries=queries,
                    max_batch=max_batch,
                    kind=kind,
                )
            )
            return _window_of(recording)

        yield Contender(f"ours, {kind} clients {loop} {clients}", measure)


@contextmanager
def inline_task_clients(
    loop: LoopName, *, clients: int, max_batch: int, queries: int
) -> Iterator[Contender]:
    """Drive full-task clients with predict on the thread that resumes them.

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
        A lane on the event loop: the cost of issue, batch, record and await alone.
    """
    with make_runner(loop) as runner:

        def measure() -> Window:
            recording = runner.run(
                record_run(
                    null_predict,
                    _SAMPLES,
                    clients=clients,
                    queries=queries,
                    max_batch=max_batch,
                    lanes=True,
                )
            )
            return _window_of(recording)

        yield Contender(f"ours, inline tasks {loop} {clients}", measure)


@contextmanager
def lane(queries: int, kind: ClientKind = "native") -> Iterator[Contender]:
    """Drive 1 client at batch 1 on the predict thread itself, predict in Python.

    Parameters
    ----------
    queries : int
        Queries of a window.
    kind : "native", "bare" or "task"
        What the client is. A native one is asked for by its predict thread; others
        share the event loop's thread with predict.

    Yields
    ------
    Contender
        No hand-over at all.
    """
    with make_runner("uvloop") as runner:

        def measure() -> Window:
            recording = runner.run(
                record_run(
                    null_predict,
                    _SAMPLES,
                    clients=1,
                    queries=queries,
                    max_batch=1,
                    kind=kind,
                    lanes=True,
                )
            )
            return _window_of(recording)

        yield Contender(f"ours, lane, {kind} client", measure)


@contextmanager
def hand_over(queries: int) -> Iterator[Contender]:
    """Drive 1 client at batch 1 through a predict thread.

    Predict is a callable in C, `dict`, which answers a batch with its feeds; it still
    needs the interpreter's lock, as any predict of a framework does on its way in.

    Parameters
    ----------
    queries : int
        Queries of a window.

    Yields
    ------
    Contender
        Two hand-overs between threads for each query.
    """
    with make_runner("uvloop") as runner:

        def measure() -> Window:
            recording = runner.run(
                record_run(dict, _SAMPLES, clients=1, queries=queries, max_batch=1)
            )
            return _window_of(recording)

        yield Contender("ours, hand-over", measure)


async def wait_with_clients(
    kind: ClientKind, clients: int, on_waiting: Callable[[], Awaitable[object]]
) -> None:
    """Have that many clients wait for an answer, all at once.

    Parameters
    ----------
    kind : "native", "bare" or "task"
        What a client is.
    clients : int
        How many.
    on_waiting : callable
        Awaited while they wait; then they are answered.

    """
    may_answer = threading.Event()

    def predict(feeds: Feeds) -> Feeds:
        may_answer.wait()
        return feeds

    async with asyncio.TaskGroup() as group:
        group.create_task(
            record_run(
                predict, _SAMPLES, clients=clients, queries=1, max_batch=64, kind=kind
            )
        )
        try:
            await on_waiting()
        finally:
            may_answer.set()


def native_pacing(
    scheduled_ns: npt.NDArray[np.int64], *, real_time: bool
) -> npt.NDArray[np.int64]:
    """Issue arrivals from the native pacer.

    Parameters
    ----------
    scheduled_ns : ndarray
        When, ns since the start, int64, shape (arrivals,), rising.
    real_time : bool
        Whether to ask for SCHED_FIFO as `run` does: unless the rate is so high that it
        would take a processor for itself. It may not be granted.

    Returns
    -------
    ndarray
        Actual less scheduled moment of each, ns, int64, shape (arrivals,).

    Raises
    ------
    RuntimeError
        Not every row was issued.
    """
    count = len(scheduled_ns)
    # Nobody takes the rows out: what is measured is when they were put in.
    queue = BatchQueue(count, 1)
    issued_ns = np.zeros(count, np.int64)
    pacer = Pacer(
        queue,
        RowTable(count),
        [],
        due_ns=scheduled_ns,
        samples=np.zeros(count, np.int64),
        real_time=real_time
        and may_be_real_time(count / max(float(scheduled_ns[-1]), 1) * 1e9),
        issued_ns=issued_ns,
    )
    pacer.lend()
    start_ns = now_ns() + _HEAD_START_NS
    thread = threading.Thread(target=pacer.run, args=(start_ns, 2**62))
    thread.start()
    thread.join()
    if pacer.issued_count != count:
        raise RuntimeError(f"not every row was issued: {pacer}")
    return issued_ns - start_ns - scheduled_ns


def paced_coroutines(
    loop: LoopName, scheduled_ns: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Issue arrivals from coroutines that the pacer wakes.

    Parameters
    ----------
    loop : "asyncio" or "uvloop"
        Which event loop.
    scheduled_ns : ndarray
        As for `native_pacing`.

    Returns
    -------
    ndarray
        As for `native_pacing`.
    """
    errors = np.zeros(len(scheduled_ns), np.int64)

    async def issue_all() -> None:
        start_ns = now_ns() + _HEAD_START_NS
        async for index, due_ns in pace(scheduled_ns, start_ns=start_ns):
            errors[index] = now_ns() - due_ns

    with make_runner(loop) as runner:
        runner.run(issue_all())
    return errors
