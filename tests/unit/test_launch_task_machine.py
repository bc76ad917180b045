"""Commands that come, measure, die anywhere and go on: no record is ever lost."""

from __future__ import annotations

import tempfile
from pathlib import Path

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)
from recording_observer import RecordingObserver
from support.sample_results import make_point

from bytemlperf.engine.messages import PointDone, PointFailed, PointSkipped
from bytemlperf.launch.interruption import Interruption
from bytemlperf.launch.task_run import TaskRun
from bytemlperf.report.schema import Failure, SkippedPoint
from bytemlperf.report.storage import TaskFolder, read_result
from bytemlperf.workloads import Workload, WorkloadFile

pytestmark = pytest.mark.slow

SIZES = st.integers(1, 6)
TASK = WorkloadFile("t", Path("/t.json"), "f" * 64, Workload(model="m"))
POINTS = {size: make_point(size, query_count=10) for size in range(1, 7)}


class Commands(RuleBasedStateMachine):
    """One task's folder, over the lives of several commands."""

    def __init__(self) -> None:
        super().__init__()
        self._scratch = tempfile.TemporaryDirectory(prefix="bytemlperf-machine-")
        self._folder = TaskFolder(Path(self._scratch.name) / "task")
        self._interruption = Interruption()
        self._run: TaskRun | None = None
        self.points: dict[int, object] = {}
        self.failed: list[int] = []
        self.skipped: list[int] = []
        self.tails = 0

    def _open(self, *, resume: bool) -> None:
        self._run = TaskRun(
            TASK,
            "CPU",
            folder=self._folder,
            observer=RecordingObserver(),
            interruption=self._interruption,
            command_line=("bytemlperf",),
            resume=resume,
        )

    @initialize()
    def begin(self) -> None:
        self._open(resume=False)

    @precondition(lambda self: self._run is not None)
    @rule(size=SIZES)
    def measure(self, size: int) -> None:
        assert self._run is not None
        self._run.take(PointDone(POINTS[size]))
        self.points[size] = POINTS[size]

    @precondition(lambda self: self._run is not None)
    @rule(size=SIZES)
    def fail(self, size: int) -> None:
        assert self._run is not None
        self._run.take(PointFailed(Failure("perf", "killed", "x", batch_size=size)))
        self.failed.append(size)

    @precondition(lambda self: self._run is not None)
    @rule(size=SIZES)
    def skip(self, size: int) -> None:
        assert self._run is not None
        self._run.take(PointSkipped(SkippedPoint(size, "too slow")))
        self.skipped.append(size)

    @precondition(lambda self: self._run is not None)
    @rule()
    def publish(self) -> None:
        assert self._run is not None
        written = msgspec.json.encode(self._run.publish())
        assert written == msgspec.json.encode(read_result(self._folder.result))

    @precondition(lambda self: self._run is not None)
    @rule(tail=st.binary(max_size=40))
    def die(self, tail: bytes) -> None:
        """As the kernel would end it, in the middle of writing a record."""
        assert self._run is not None
        self._run.__exit__(None, None, None)
        self._run = None
        with self._folder.journal.open("ab") as stream:
            stream.write(tail)
        self.tails += bool(tail)

    @precondition(lambda self: self._run is None)
    @rule()
    def go_on(self) -> None:
        self._open(resume=True)

    @precondition(lambda self: self._run is None)
    @rule()
    def measure_anew(self) -> None:
        """Without --resume nothing of the past is left."""
        self._open(resume=False)
        self.points, self.failed, self.skipped, self.tails = {}, [], [], 0

    @invariant()
    def nothing_is_lost(self) -> None:
        if self._run is None:
            return
        result = self._run.result
        assert {point.batch_size: point for point in result.points} == self.points
        assert [each.batch_size for each in result.failures] == self.failed
        assert [each.batch_size for each in result.skipped] == self.skipped
        assert set(self._run.done.batch_sizes) == {
            *self.points, *self.failed, *self.skipped,
        }  # fmt: skip
        torn = [text for text in result.warnings if "torn or damaged" in text]
        assert bool(torn) == bool(self.tails)

    def teardown(self) -> None:
        if self._run is not None:
            self._run.__exit__(None, None, None)
        self._scratch.cleanup()


TestCommands = Commands.TestCase
TestCommands.settings = settings(
    max_examples=20, stateful_step_count=20, deadline=None, derandomize=True
)
