"""Event loops to run a test on, watched: no thread and no loop error may be left."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import uvloop

T = TypeVar("T")

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}

OnLoop = Callable[[Coroutine[Any, Any, T]], T]


@contextmanager
def on_loop(name: str) -> Iterator[OnLoop[Any]]:
    """Lend a function that runs a coroutine on that kind of loop.

    Yields
    ------
    callable
        Runs a coroutine to its end on a loop of its own.
    """
    complaints: list[dict[str, Any]] = []

    def run(coroutine: Coroutine[Any, Any, T]) -> T:
        with asyncio.Runner(loop_factory=LOOPS[name]) as runner:
            runner.get_loop().set_exception_handler(
                lambda _, context: complaints.append(context)
            )
            return runner.run(coroutine)

    yield run
    assert not complaints
    assert not [
        thread.name
        for thread in threading.enumerate()
        if thread.name.startswith("bytemlperf")
    ]
