from typing import Self, final

import numpy as np
import numpy.typing as npt

from bytemlperf._native.batch_queue import BatchQueue
from bytemlperf._native.completion_ring import CompletionRing
from bytemlperf._native.recorder import Recorder
from bytemlperf._native.row_table import RowTable

@final
class Pacer:
    """Issue rows at given moments, from a thread of its own."""

    row_count: int
    spin_ns: int
    lag: Recorder
    refused_count: int
    starved_count: int
    unissued_count: int
    peak_in_flight: int
    spun_ns: int
    cpu_ns: int
    first_issued_ns: int
    last_issued_ns: int
    is_real_time: bool
    has_ended: bool
    end_backlog: int
    def __new__(
        cls,
        queue: BatchQueue,
        table: RowTable,
        rings: list[CompletionRing],
        *,
        due_ns: npt.NDArray[np.int64],
        samples: npt.NDArray[np.int64],
        queries: npt.NDArray[np.int32] | None = None,
        spin_ns: int = 100_000,
        real_time: bool = False,
        issued_ns: npt.NDArray[np.int64] | None = None,
    ) -> Self: ...
    def lend(self) -> None: ...
    def take_back(self) -> None: ...
    def run(self, start_ns: int, deadline_ns: int) -> None: ...
    def stop(self) -> None: ...
    @property
    def issued_count(self) -> int: ...
    @property
    def mean_backlogs(self) -> tuple[float, ...]: ...
