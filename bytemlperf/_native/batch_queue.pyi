from typing import final

__all__ = ["BatchQueue"]

@final
class BatchQueue:
    """Bounded queue of row numbers, taken in batches.

    Parameters
    ----------
    max_queued : int
        Rows that may wait at once, >= 1.
    max_batch : int
        Rows in one batch at most, >= 1.
    max_delay_ns : int, default 0
        How old the oldest row may grow before a batch closes unfilled, ns, >= 0.
    """

    max_queued: int
    max_batch: int
    max_delay_ns: int
    def __init__(
        self, max_queued: int, max_batch: int, *, max_delay_ns: int = 0
    ) -> None: ...
    def put(
        self, row: int, *, issued_ns: int | None = None, timeout_ns: int | None = None
    ) -> None: ...
    def put_nowait(self, row: int, *, issued_ns: int | None = None) -> None: ...
    def take(self, *, timeout_ns: int | None = None) -> list[int]: ...
    def take_nowait(self) -> list[int]: ...
    def close(self) -> None: ...
    def reset_peak(self) -> None: ...
    @property
    def peak_queued(self) -> int: ...
    @property
    def is_closed(self) -> bool: ...
    @property
    def put_count(self) -> int: ...
    @property
    def taken_count(self) -> int: ...
    def __len__(self) -> int: ...
