from collections.abc import Callable
from typing import Self, final

from bytemlperf._native.batch_queue import BatchQueue
from bytemlperf._native.completion_ring import CompletionRing, Doorbell
from bytemlperf._native.dispatcher import Dispatcher
from bytemlperf._native.row_table import RowTable
from bytemlperf._native.timeline import Timeline

@final
class NativeClients:
    """The native clients of a run."""

    client_count: int
    alive_count: int
    think_ns: int
    def __new__(
        cls,
        dispatcher: Dispatcher,
        queue: BatchQueue,
        table: RowTable,
        timeline: Timeline,
        bell: Doorbell,
        rings: list[CompletionRing],
        *,
        client_count: int,
        think_ns: int,
        on_empty: Callable[[], object],
        may_spin: bool = False,
    ) -> Self: ...
    def begin(self, start_ns: int, iterations: int) -> None: ...
    def look(self) -> bool: ...
    def stop(self) -> None: ...
    def discard(self) -> None: ...
    def serve(self) -> None: ...
    def close(self) -> None: ...
    @property
    def waits(self) -> tuple[int, int, int, int, int, int]: ...
