import asyncio
from collections.abc import Callable, Coroutine, Generator
from typing import Any, Literal, Self, final

from bytemlperf._native.answer import Answer
from bytemlperf._native.client_task import Crew
from bytemlperf._native.dispatcher import Dispatcher

@final
class Population:
    """The coroutine clients of one phase."""

    crew: Crew
    def __new__(
        cls,
        dispatcher: Dispatcher,
        *,
        loop: asyncio.AbstractEventLoop,
        on_empty: Callable[[], object],
        think_ns: int = 0,
    ) -> Self: ...
    def add(
        self,
        body: Callable[[Client], Coroutine[Any, Any, object]],
        client_count: int,
        queries: int,
        *,
        kind: Literal["task", "bare", "stock"],
        ends_closed: bool = False,
    ) -> None: ...
    def begin(self, start_ns: int) -> None: ...
    def start(self) -> None: ...
    def cancel(self) -> None: ...
    def open(self, *, everybody: bool = False) -> None: ...

@final
class Client(Answer):
    """One client of a closed loop: ``await client`` asks, and waits for the answer."""

    scheduled_ns: int
    index: int
    is_open: bool
    def __new__(cls, loop: asyncio.AbstractEventLoop) -> Self: ...
    def __await__(self) -> Generator[Any]: ...
    def __iter__(self) -> Self: ...
    def __next__(self) -> Self: ...
