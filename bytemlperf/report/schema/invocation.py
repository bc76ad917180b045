"""What one command did: an index of its tasks."""

from __future__ import annotations

import msgspec

from bytemlperf.report.schema.task import Status
from bytemlperf.report.schema.wall_time import PhaseTime

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
    unmet_slo_count: int = 0
    phase_times: list[PhaseTime] = []


class NodeEntry(msgspec.Struct, frozen=True):
    """A machine of a cluster that took part.

    Parameters
    ----------
    name : str
        Unique in the cluster.
    host : str
        What the machine calls itself.
    cores : int
        Logical cores.
    clock_offset_ns : int
        Its monotonic clock minus the coordinator's, estimated.
    clock_round_trip_ns : int
        Of the exchange it was estimated from; the estimate is off by at most half.
    is_lost : bool
        Whether it went away before the end.
    """

    name: str
    host: str
    cores: int
    clock_offset_ns: int
    clock_round_trip_ns: int
    is_lost: bool


class InvocationIndex(msgspec.Struct, frozen=True):
    """What one command did: its tasks and where their results are.

    `duration_seconds` is the wall time from the command's beginning to now, on the
    monotonic clock; None in files of older versions.
    """

    schema_version: int
    invocation_id: str
    command_line: list[str]
    started_at_utc: str
    finished_at_utc: str
    status: Status
    exit_code: int
    tasks: list[TaskEntry]
    nodes: list[NodeEntry] = []
    duration_seconds: float | None = None
