"""The way of a query on one thread in plain Python: slow, and obviously right."""

from __future__ import annotations

from typing import NamedTuple


class Told(NamedTuple):
    """What a client hears: how its batch ended, its place in it, and its answer."""

    outcome: str
    position: int
    batch_size: int
    value: float


class DispatchTwin:
    """What issuing, serving, giving up and discarding must do, all in one place.

    Parameters
    ----------
    capacity, max_queued, max_batch : int
        Rows in flight, rows queued and rows in a batch at most.
    """

    def __init__(self, capacity: int, max_queued: int, max_batch: int) -> None:
        self.capacity = capacity
        self.max_queued = max_queued
        self.max_batch = max_batch
        self.waiting: list[tuple[int, float]] = []
        self.given_up: set[int] = set()
        self.is_closed = False

    def issue(self, query: int, value: float) -> str:
        """Queue a query: "issued", "full" or "closed"."""
        if len(self.waiting) >= self.capacity:
            return "full"
        if self.is_closed:
            return "closed"
        if len(self.waiting) >= self.max_queued:
            return "full"
        self.waiting.append((query, value))
        return "issued"

    def serve(self, *, fails: bool) -> dict[int, Told]:
        """Serve all that waits, in batches; what each client hears that still waits."""
        told: dict[int, Told] = {}
        while self.waiting:
            batch = self.waiting[: self.max_batch]
            self.waiting = self.waiting[self.max_batch :]
            for position, (query, value) in enumerate(batch):
                if query not in self.given_up:
                    outcome = "failed" if fails else "ok"
                    told[query] = Told(outcome, position, len(batch), value + 1)
        return told

    def discard(self) -> set[int]:
        """Drop what waits; who hears that it was."""
        told = {query for query, _ in self.waiting} - self.given_up
        self.waiting = []
        return told
