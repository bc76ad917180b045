from collections.abc import Callable
from typing import Final, Self, final

import numpy as np
import numpy.typing as npt

from bytemlperf._native.recorder import Recorder

ROW_BYTES: Final[int]
MAX_BLOCKS: Final[int]

@final
class Timeline:
    """Histograms, counts and series of one run, and its rows if they are kept."""

    latency: Recorder
    schedule_lag: Recorder
    queue_wait: Recorder
    gather: Recorder
    service: Recorder
    wakeup: Recorder
    query_latency: Recorder
    series: list[tuple[int, int, int, int, int]]
    blocks: list[tuple[int, int, int, bytes]]
    block_ticks: int
    tick_ns: int
    last_observed_ns: int
    samples_per_query: int
    max_batch: int
    settle_batches: int
    settle_windows: int
    settle_tolerance: float
    chunk_rows: int
    is_warm_up: bool
    is_settled: bool
    start_ns: int
    first_scheduled_ns: int
    last_done_ns: int
    completed_count: int
    failed_count: int
    cancelled_count: int
    view_count: int
    gather_count: int
    def __new__(
        cls,
        samples_per_query: int,
        max_batch: int,
        *,
        settle_batches: int = 8,
        settle_windows: int = 3,
        settle_tolerance: float = 0.05,
        chunk_rows: int = 0,
        tick_ns: int = 100_000_000,
        on_chunk: Callable[[memoryview], object] | None = None,
    ) -> Self: ...
    def begin(self, *, start_ns: int, is_warm_up: bool) -> None: ...
    def group_rows(self, sizes: npt.NDArray[np.int32]) -> None: ...
    def finish(self) -> None: ...
    def flush_chunk(self) -> None: ...
    def batch_size_counts(self) -> dict[int, int]: ...
