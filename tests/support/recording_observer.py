"""An observer that remembers what it was told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bytemlperf.report.schema import Failure, Point, SkippedPoint, TaskResult


class RecordingObserver:
    """Keep every call as ``(name, argument)``; one callable may look at each."""

    def __init__(self, look: Any = None) -> None:
        self.calls: list[tuple[str, Any]] = []
        self._look = look

    def named(self, name: str) -> list[Any]:
        return [argument for called, argument in self.calls if called == name]

    def _take(self, name: str, argument: Any) -> None:
        self.calls.append((name, argument))
        if self._look is not None:
            self._look(name, argument)

    def message(self, text: str) -> None:
        self._take("message", text)

    def task_started(
        self, task: str, hardware_type: str, index: int, count: int
    ) -> None:
        self._take("task_started", (task, hardware_type, index, count))

    def phase(self, name: str, detail: str, batch_size: int | None) -> None:
        self._take("phase", (name, batch_size))

    def progress(self, done: int, total: int, text: str) -> None:
        self._take("progress", (done, total, text))

    def point(self, point: Point) -> None:
        self._take("point", point)

    def skipped(self, skipped: SkippedPoint) -> None:
        self._take("skipped", skipped)

    def failure(self, failure: Failure) -> None:
        self._take("failure", failure)

    def warning(self, text: str) -> None:
        self._take("warning", text)

    def task_finished(self, result: TaskResult, result_file: Path) -> None:
        self._take("task_finished", (result, result_file))
