from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self, final

import numpy.typing as npt

from bytemlperf._native.batch_queue import BatchQueue
from bytemlperf._native.completion_ring import CompletionRing, Doorbell
from bytemlperf._native.native_clients import NativeClients
from bytemlperf._native.row_table import RowTable

_Array = npt.NDArray[Any]

@final
class PredictLoop:
    """What a predict thread runs."""

    thread_index: int
    thread_count: int
    batch_count: int
    has_exited: bool
    def __new__(
        cls,
        queue: BatchQueue,
        table: RowTable,
        ring: CompletionRing,
        bell: Doorbell,
        *,
        thread_index: int,
        thread_count: int,
        samples_per_query: int,
        inputs: Sequence[tuple[str, _Array | None, _Array, int, int, int, int]],
        on_outputs: Callable[[Any, dict[str, _Array], int], object] | None = None,
        kept_outputs: int = 0,
        max_wake_delay_ns: int = 0,
        may_spin: bool = False,
    ) -> Self: ...
    @property
    def waits(self) -> tuple[int, int, int, int, int, int]: ...
    def serve(
        self, predict: Callable[[dict[str, _Array]], Mapping[str, _Array]]
    ) -> None: ...
    def serve_lane(
        self,
        predict: Callable[[dict[str, _Array]], Mapping[str, _Array]],
        clients: NativeClients,
    ) -> None: ...
