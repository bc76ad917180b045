"""Everything measured for one task."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from bytemlperf.report.schema.compilation import CompileReport
from bytemlperf.report.schema.imported import ImportedFrom
from bytemlperf.report.schema.point import Point, SkippedPoint
from bytemlperf.report.schema.provenance import Provenance
from bytemlperf.report.schema.quality import AccuracyReport, NumericReport
from bytemlperf.report.schema.subject import DatasetReport, ModelReport
from bytemlperf.report.schema.wall_time import PhaseTime

__all__ = ["Failure", "Status", "TaskResult"]

Status = Literal["ok", "off_target", "invalid", "failed", "interrupted"]


class Failure(msgspec.Struct, frozen=True):
    """Something that did not work, with all that is known of the cause.

    Parameters
    ----------
    phase : str
        What was being done, such as ``"compile"`` or ``"perf"``.
    kind : str
        The error's class, or ``"killed"``, ``"hang"``, ``"exited"``.
    message : str
        The sentence for a person.
    batch_size : int or None
        Batch size of the point in flight.
    detail : str or None
        Traceback or cause.
    log_tail : str or None
        Last lines of the worker's log.
    """

    phase: str
    kind: str
    message: str
    batch_size: int | None = None
    detail: str | None = None
    log_tail: str | None = None


class TaskResult(msgspec.Struct, frozen=True):
    """Everything measured for one task on one hardware type.

    `duration_seconds` is the wall time of all of it and `phase_times` where it went;
    what they do not add up to was spent between the phases.
    """

    schema_version: int
    task: str
    hardware_type: str
    backend_version: str | None
    status: Status
    workload: dict[str, Any]
    model: ModelReport | None
    dataset: DatasetReport | None
    compile: CompileReport | None
    accuracy: AccuracyReport | None
    numeric: NumericReport | None
    points: list[Point]
    skipped: list[SkippedPoint]
    failures: list[Failure]
    warnings: list[str]
    vendor_benchmark: dict[str, Any] | None
    provenance: Provenance | None
    log_file: str | None
    duration_seconds: float
    imported_from: ImportedFrom | None = None
    phase_times: list[PhaseTime] = []
