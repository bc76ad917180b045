from collections.abc import Callable, Sequence
from typing import Any, Final, Self, final

import numpy as np
import numpy.typing as npt

from bytemlperf._native.answer import Answer
from bytemlperf._native.batch_queue import BatchQueue
from bytemlperf._native.completion_ring import CompletionRing, Doorbell
from bytemlperf._native.row_table import RowTable
from bytemlperf._native.timeline import Timeline

ISSUED: Final[int]
FULL: Final[int]
STOPPED: Final[int]
CLOSED: Final[int]
STOPPED_BY_NOTHING: Final[int]
STOPPED_BY_TIME: Final[int]
STOPPED_BY_QUERIES: Final[int]
STOPPED_BY_SETTLING: Final[int]
STOPPED_BY_FAILURE: Final[int]
STOPPED_BY_REQUEST: Final[int]

@final
class Dispatcher:
    """Issue rows into the queue, and hand out what comes back."""

    on_issue: Callable[[], object] | None
    on_space: Callable[[], object] | None
    blocked_count: int
    issued_count: int
    stop_reason: int
    fatal_error: BaseException | None
    def __new__(
        cls,
        queue: BatchQueue,
        table: RowTable,
        bell: Doorbell,
        rings: list[CompletionRing],
        *,
        timeline: Timeline | None = None,
        on_failure: Callable[[Exception, int, int], object] | None = None,
        stop_on_failure: bool = False,
        may_spin: bool = False,
    ) -> Self: ...
    def begin_phase(
        self,
        *,
        refill: Callable[[], npt.NDArray[np.int64]],
        start_ns: int,
        is_warm_up: bool,
        deadline_ns: int,
        min_queries: int,
        max_queries: int,
    ) -> None: ...
    def must_stop(self) -> bool: ...
    def stop(self) -> None: ...
    def issue(self, answer: Answer, client: int, scheduled_ns: int) -> int: ...
    def issue_data(
        self, answer: Answer, arrays: Any, addresses: Sequence[int]
    ) -> int: ...
    def drain(self) -> None: ...
    def collect(self) -> None: ...
    def discard(self) -> None: ...
    @property
    def waits(self) -> tuple[int, int, int, int, int, int]: ...
    @property
    def free_count(self) -> int: ...
