"""Tasks whose coroutines are resumed in place by the drain, for any asyncio program.

A program that asks much of a `Scheduler` may run the askers in such tasks: what they
await of it then costs no callback and no handle of the event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextvars import Context
from typing import Any

from bytemlperf._native.client_task import ClientTask, why_unavailable

__all__ = ["ClientTask", "client_task_factory", "spawn"]


def client_task_factory(
    loop: asyncio.AbstractEventLoop,
    coro: Coroutine[Any, Any, Any],
    *,
    name: str | None = None,
    context: Context | None = None,
    eager_start: bool | None = None,
    **options: Any,
) -> Any:
    """Make the tasks of a loop: ``loop.set_task_factory(client_task_factory)``.

    Parameters
    ----------
    loop : asyncio.AbstractEventLoop
        The loop that asks.
    coro : coroutine
        What the task drives.
    name : str, optional
        Name of the task.
    context : contextvars.Context, optional
        None: a copy of the current one.
    eager_start : bool, optional
        True asks for a stock task, for a client task never starts eagerly.
    **options
        Passed to a stock task.

    Returns
    -------
    ClientTask or asyncio.Task
        A stock task where this Python cannot have client tasks.
    """
    if eager_start or options or why_unavailable() is not None:
        if eager_start:
            options["eager_start"] = True
        return asyncio.Task(coro, loop=loop, name=name, context=context, **options)
    return ClientTask(coro, loop=loop, name=name, context=context)


def spawn(
    coro: Coroutine[Any, Any, Any],
    *,
    name: str | None = None,
    context: Context | None = None,
) -> Any:
    """Start a client task on the running loop, whatever the loop's task factory.

    Parameters
    ----------
    coro : coroutine
        What it drives.
    name : str, optional
        Name of the task.
    context : contextvars.Context, optional
        None: a copy of the current one.

    Returns
    -------
    ClientTask or asyncio.Task
        As `client_task_factory`.
    """
    loop = asyncio.get_running_loop()
    return client_task_factory(loop, coro, name=name, context=context)
