"""Event loops of either kind, and a crowd of clients that starts at one moment."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Literal

import uvloop

from benchmarks.windows import Stopwatch, Window

__all__ = ["LoopName", "crowd", "make_runner"]

LoopName = Literal["asyncio", "uvloop"]


def make_runner(loop: LoopName) -> asyncio.Runner:
    """Make a runner that keeps one event loop for all its windows.

    Parameters
    ----------
    loop : "asyncio" or "uvloop"
        Which kind.

    Returns
    -------
    asyncio.Runner
        To be closed.
    """
    factory = asyncio.new_event_loop if loop == "asyncio" else uvloop.new_event_loop
    return asyncio.Runner(loop_factory=factory)


async def crowd(
    clients: int, queries: int, ask: Callable[[int], Awaitable[object]]
) -> Window:
    """Measure clients that all wait at a gate, until the last of them is done.

    Making the tasks is outside the window, letting them through is inside, as it is
    in a run of ours.

    Parameters
    ----------
    clients : int
        Tasks.
    queries : int
        Queries of each.
    ask : callable
        ``await ask(queries)`` sends that many queries, one after the other.

    Returns
    -------
    Window
        From the opening of the gate to the last answer.
    """
    loop = asyncio.get_running_loop()
    gate = loop.create_future()
    finished = loop.create_future()
    left = clients

    async def client() -> None:
        nonlocal left
        await gate
        try:
            await ask(queries)
        except BaseException as error:
            if not finished.done():
                finished.set_exception(error)
            raise
        left -= 1
        if not left:
            finished.set_result(stopwatch.window(clients * queries))

    tasks = [loop.create_task(client()) for _ in range(clients)]
    await asyncio.sleep(0)
    stopwatch = Stopwatch()
    gate.set_result(None)
    window: Window = await finished
    await asyncio.gather(*tasks)
    return window
