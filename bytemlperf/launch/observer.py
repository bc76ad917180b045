"""Who is told what is going on: the seam between the launcher and any display.

Input: facts, each already on disk if it is worth keeping. Output: nothing. A display
cannot change what is measured, and the launcher does not know how it looks.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from bytemlperf.report.schema import Failure, Point, SkippedPoint, TaskResult

__all__ = ["Observer"]


class Observer(Protocol):
    """Receives the life-cycle of an invocation, in order, in one thread."""

    def message(self, text: str) -> None:
        """Take a sentence about something slow or unusual."""

    def task_started(
        self, task: str, hardware_type: str, index: int, count: int
    ) -> None:
        """Learn that task `index` (from 1) of `count` begins."""

    def phase(self, name: str, detail: str, batch_size: int | None) -> None:
        """Learn what is being done now."""

    def progress(self, done: int, total: int, text: str) -> None:
        """Learn how far the phase is; `total` 0 means unknown."""

    def point(self, point: Point) -> None:
        """Take a measured point."""

    def skipped(self, skipped: SkippedPoint) -> None:
        """Take a batch size that was left out."""

    def failure(self, failure: Failure) -> None:
        """Take something that went wrong; the task may go on."""

    def warning(self, text: str) -> None:
        """Take something that a reader of the report should know."""

    def task_finished(self, result: TaskResult, result_file: Path) -> None:
        """Take everything known about the task, and where it is."""
