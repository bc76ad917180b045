"""The batching queue in plain Python: slow, single-threaded, obviously right."""

from __future__ import annotations


class QueueTwin:
    """What `BatchQueue` must do, told the time instead of reading it."""

    def __init__(self, max_queued: int, max_batch: int, max_delay_ns: int) -> None:
        self.max_queued = max_queued
        self.max_batch = max_batch
        self.max_delay_ns = max_delay_ns
        self.waiting: list[tuple[int, int]] = []
        self.is_closed = False
        self.peak_queued = 0

    def put(self, row: int, issued_ns: int) -> str:
        """Queue a row: "ok", "full" or "closed"."""
        if self.is_closed:
            return "closed"
        if len(self.waiting) >= self.max_queued:
            return "full"
        self.waiting.append((row, issued_ns))
        self.peak_queued = max(self.peak_queued, len(self.waiting))
        return "ok"

    def take(self, now_ns: int) -> list[int] | None:
        """Take a closed batch; none ready: empty; closed and drained: None."""
        if not self.waiting:
            return None if self.is_closed else []
        oldest_ns = self.waiting[0][1]
        if (
            self.is_closed
            or len(self.waiting) >= self.max_batch
            or now_ns - oldest_ns >= self.max_delay_ns
        ):
            batch = self.waiting[: self.max_batch]
            self.waiting = self.waiting[self.max_batch :]
            return [row for row, _ in batch]
        return []

    def close(self) -> None:
        """Refuse further rows."""
        self.is_closed = True
