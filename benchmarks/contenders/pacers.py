"""Issuing at given moments with what event loops and threads offer."""

from __future__ import annotations

import asyncio
import time

import numpy as np
import numpy.typing as npt

from benchmarks.contenders.loops import LoopName, make_runner

__all__ = ["Moments", "call_at_each", "poisson", "sleep_chain", "thread_sleeps"]

Moments = npt.NDArray[np.int64]

_HEAD_START_NS = 20_000_000


def poisson(rate: int, arrivals: int, seed: int) -> Moments:
    """Draw arrivals beforehand.

    Parameters
    ----------
    rate : int
        Arrivals a second.
    arrivals : int
        How many.
    seed : int
        Of the generator.

    Returns
    -------
    ndarray
        ns since the start, int64, shape (arrivals,), rising.
    """
    generator = np.random.Generator(np.random.PCG64(seed))
    return np.cumsum(generator.exponential(1e9 / rate, arrivals)).astype(np.int64)


def call_at_each(loop: LoopName, scheduled_ns: Moments) -> Moments:
    """Give every arrival a timer of its own with ``loop.call_at``.

    Parameters
    ----------
    loop : "asyncio" or "uvloop"
        Which event loop.
    scheduled_ns : ndarray
        When, ns since the start, int64, shape (arrivals,).

    Returns
    -------
    ndarray
        Actual less scheduled moment of each, ns, int64, shape (arrivals,).
    """
    errors = np.zeros(len(scheduled_ns), np.int64)
    now_ns = time.monotonic_ns

    async def issue_all() -> None:
        event_loop = asyncio.get_running_loop()
        finished = event_loop.create_future()
        left = len(scheduled_ns)

        def issue(i: int, due_ns: int) -> None:
            nonlocal left
            errors[i] = now_ns() - due_ns
            left -= 1
            if not left:
                finished.set_result(None)

        start_ns = now_ns() + _HEAD_START_NS
        # Both loops count seconds of the monotonic clock, uvloop in whole
        # milliseconds and from its own idea of now: hence the difference.
        offset_s = event_loop.time() - now_ns() / 1e9
        for i, due_ns in enumerate((scheduled_ns + start_ns).tolist()):
            event_loop.call_at(due_ns / 1e9 + offset_s, issue, i, due_ns)
        await finished

    with make_runner(loop) as runner:
        runner.run(issue_all())
    return errors


def sleep_chain(loop: LoopName, scheduled_ns: Moments) -> Moments:
    """Sleep to each arrival in one coroutine.

    Parameters
    ----------
    loop : "asyncio" or "uvloop"
        Which event loop.
    scheduled_ns : ndarray
        As for `call_at_each`.

    Returns
    -------
    ndarray
        As for `call_at_each`.
    """
    errors = np.zeros(len(scheduled_ns), np.int64)
    now_ns = time.monotonic_ns

    async def issue_all() -> None:
        start_ns = now_ns() + _HEAD_START_NS
        for i, due_ns in enumerate((scheduled_ns + start_ns).tolist()):
            left_ns = due_ns - now_ns()
            if left_ns > 0:
                await asyncio.sleep(left_ns / 1e9)
            errors[i] = now_ns() - due_ns

    with make_runner(loop) as runner:
        runner.run(issue_all())
    return errors


def thread_sleeps(scheduled_ns: Moments) -> Moments:
    """Sleep to each arrival in a plain thread.

    Parameters
    ----------
    scheduled_ns : ndarray
        As for `call_at_each`.

    Returns
    -------
    ndarray
        As for `call_at_each`.
    """
    errors = np.zeros(len(scheduled_ns), np.int64)
    now_ns = time.monotonic_ns
    start_ns = now_ns() + _HEAD_START_NS
    for i, due_ns in enumerate((scheduled_ns + start_ns).tolist()):
        left_ns = due_ns - now_ns()
        if left_ns > 0:
            time.sleep(left_ns / 1e9)
        errors[i] = now_ns() - due_ns
    return errors
