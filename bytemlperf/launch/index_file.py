"""The list of a command's tasks, true at any moment.

Input: tasks as they are expected, begun and ended. Output: ``index.json``, and the one
status and exit code for all of it.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable

from bytemlperf.report.schema import (
    SCHEMA_VERSION,
    InvocationIndex,
    NodeEntry,
    Status,
    TaskEntry,
    TaskResult,
)
from bytemlperf.report.storage import OutFolder, TaskFolder, write_json_atomic
from bytemlperf.runtime.clock import now_ns, utc_now

__all__ = ["EXIT_CODES", "EXIT_UNMET", "IndexFile", "exit_code", "unmet_slo_count"]

# All was measured and is valid, but an objective, a gate or a target is not met.
EXIT_UNMET = 1

EXIT_CODES: dict[Status, int] = {
    "ok": 0,
    "off_target": EXIT_UNMET,
    "failed": 3,
    "invalid": 4,
    "interrupted": 130,
}
# The worst first: one word for many tasks.
SEVERITY: tuple[Status, ...] = (
    "interrupted",
    "failed",
    "invalid",
    "off_target",
    "ok",
)


def exit_code(statuses: Iterable[Status]) -> int:
    """Return the exit code for the tasks of a command.

    Parameters
    ----------
    statuses : iterable of str
        One for each task.

    Returns
    -------
    int
        Of the worst one: 130 interrupted, 3 failed, 4 invalid, 1 off target, 0 ok.
    """
    return EXIT_CODES[_worst(statuses)]


def unmet_slo_count(result: TaskResult) -> int:
    """Count the objectives that some point was not shown to meet.

    Parameters
    ----------
    result : TaskResult
        Complete or not.

    Returns
    -------
    int
        Over all points.
    """
    return sum(
        judgement.verdict != "met"
        for point in result.points
        if point.statistics is not None
        for judgement in point.statistics.slos
    )


def _worst(statuses: Iterable[Status]) -> Status:
    return min(statuses, key=SEVERITY.index, default="ok")


class IndexFile:
    """An invocation's index.

    Parameters
    ----------
    out : OutFolder
        Where it is written.
    command_line : tuple of str
        Of the invocation, which begins now.

    Attributes
    ----------
    nodes : list of NodeEntry
        Machines of a cluster, as they are now.

    Notes
    -----
    Thread-safety: one thread.
    """

    def __init__(self, out: OutFolder, command_line: tuple[str, ...]) -> None:
        self._out = out
        self._command_line = list(command_line)
        self._started_at_utc = utc_now()
        self._start_ns = now_ns()
        moment = self._started_at_utc.strftime("%Y%m%dT%H%M%SZ")
        self._invocation_id = f"{moment}-{secrets.token_hex(4)}"
        self._entries: dict[tuple[str, str], TaskEntry] = {}
        self.nodes: list[NodeEntry] = []

    def expect(self, hardware_type: str, task: str) -> None:
        """Enter a task that nobody has begun yet.

        Parameters
        ----------
        hardware_type, task : str
            Which.
        """
        self._entries[hardware_type, task] = TaskEntry(
            task=task,
            hardware_type=hardware_type,
            status="interrupted",
            result_file=None,
            point_count=0,
            skipped_count=0,
            failure_count=0,
            duration_seconds=0.0,
        )

    def enter(self, result: TaskResult, folder: TaskFolder) -> None:
        """Enter a task that was begun, as far as it has come.

        Parameters
        ----------
        result : TaskResult
            As it is now.
        folder : TaskFolder
            Where its files are, below the output folder.
        """
        self._entries[result.hardware_type, result.task] = TaskEntry(
            task=result.task,
            hardware_type=result.hardware_type,
            status=result.status,
            result_file=str(folder.result.relative_to(self._out.path)),
            point_count=len(result.points),
            skipped_count=len(result.skipped),
            failure_count=len(result.failures),
            duration_seconds=result.duration_seconds,
            unmet_slo_count=unmet_slo_count(result),
            phase_times=result.phase_times,
        )

    def write(self, *, is_interrupted: bool) -> InvocationIndex:
        """Put the index as it is now on disk.

        Parameters
        ----------
        is_interrupted : bool
            Whether somebody asked the command to stop.

        Returns
        -------
        InvocationIndex
            As written. A task that was not ended counts as interrupted.

        Raises
        ------
        StorageError
            It cannot be written; the version before stays.
        """
        entries = list(self._entries.values())
        status = _worst(entry.status for entry in entries)
        if is_interrupted:
            status = "interrupted"
        index = InvocationIndex(
            schema_version=SCHEMA_VERSION,
            invocation_id=self._invocation_id,
            command_line=self._command_line,
            started_at_utc=self._started_at_utc.isoformat(),
            finished_at_utc=utc_now().isoformat(),
            status=status,
            exit_code=(
                EXIT_UNMET
                if status == "ok" and any(entry.unmet_slo_count for entry in entries)
                else EXIT_CODES[status]
            ),
            tasks=entries,
            nodes=self.nodes,
            duration_seconds=(now_ns() - self._start_ns) / 1e9,
        )
        write_json_atomic(self._out.index, index)
        return index
