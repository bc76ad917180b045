"""What one command did: an index of its tasks."""

from __future__ import annotations

import msgspec

from bytemlperf.report.schema.task import Status

__all__ = ["InvocationIndex", "TaskEntry"]


class TaskEntry(msgspec.Struct, frozen=True):
    """One line of an invocation's index."""

    task: str
    hardware_type: str
    status: Status
    result_file: str | None
    point_count: int
    skipped_count: int
    failure_count: int
    duration_seconds: float


class InvocationIndex(msgspec.Struct, frozen=True):
    """What one command did: its tasks and where their results are."""

    schema_version: int
    invocation_id: str
    command_line: list[str]
    started_at_utc: str
    finished_at_utc: str
    status: Status
    exit_code: int
    tasks: list[TaskEntry]
