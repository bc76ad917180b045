"""Journal records -> the task's result: a pure function, so that it can be done again.

Input: records, in order. Output: a `TaskResult`. The same journal always gives the same
result, whether its writer ended in order, was interrupted, or lost its power.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

import msgspec

from bytemlperf.engine.messages import (
    AccuracyDone,
    CompileDone,
    Failed,
    Finished,
    NumericDone,
    PointDone,
    PointFailed,
    PointSkipped,
    TaskDescribed,
    VendorBenchmark,
    Warned,
)
from bytemlperf.errors import ConfigError
from bytemlperf.launch.journal import JournalRecord, TaskOpened
from bytemlperf.report.schema import (
    SCHEMA_VERSION,
    AccuracyReport,
    Failure,
    NumericReport,
    PhaseTime,
    Point,
    Provenance,
    Status,
    TargetCheck,
    TaskResult,
)

__all__ = ["assemble_task", "task_status"]

Kind = TypeVar("Kind")


def assemble_task(
    records: Iterable[JournalRecord],
    *,
    log_file: str | None,
    duration_seconds: float,
    phase_times: Iterable[PhaseTime] = (),
) -> TaskResult:
    """Put together what is known about a task.

    Parameters
    ----------
    records : iterable of JournalRecord
        As journalled; the first one is `TaskOpened`.
    log_file : str or None
        Where the workers' output is.
    duration_seconds : float
        Wall time spent on the task, >= 0.
    phase_times : iterable of PhaseTime
        Where it went; not in the journal, because it goes on while records are written.

    Returns
    -------
    TaskResult
        Status ``interrupted`` if the records do not reach an end. Of a phase that was
        repeated after a crash, the first report counts: the second compile may have
        found a warm cache. A batch size has one point, the last.

    Raises
    ------
    ConfigError
        The records do not begin with `TaskOpened`.
    """
    known = list(records)
    opened = known[0] if known else None
    if not isinstance(opened, TaskOpened):
        raise ConfigError(
            "expected a journal that begins with the task's name, got "
            f"{type(opened).__name__ if known else 'an empty one'}"
        )
    described = _first(known, TaskDescribed)
    compiled = _first(known, CompileDone)
    accuracy = _first(known, AccuracyDone)
    numeric = _first(known, NumericDone)
    benchmark = _first(known, VendorBenchmark)
    finished = _first(known, Finished)
    points = {
        record.point.batch_size: record.point
        for record in known
        if isinstance(record, PointDone)
    }
    failures = [
        record.failure for record in known if isinstance(record, PointFailed | Failed)
    ]
    return TaskResult(
        schema_version=SCHEMA_VERSION,
        task=opened.task,
        hardware_type=opened.hardware_type,
        backend_version=described.backend_version if described else None,
        status=task_status(
            list(points.values()),
            failures,
            is_finished=finished is not None,
            missed=missed_targets(
                accuracy.report if accuracy else None,
                numeric.report if numeric else None,
            ),
        ),
        workload=opened.workload,
        model=described.model if described else None,
        dataset=described.dataset if described else None,
        compile=compiled.report if compiled else None,
        accuracy=accuracy.report if accuracy else None,
        numeric=numeric.report if numeric else None,
        points=list(points.values()),
        skipped=[
            record.skipped for record in known if isinstance(record, PointSkipped)
        ],
        failures=failures,
        warnings=_unique(record.text for record in known if isinstance(record, Warned)),
        vendor_benchmark=benchmark.figures if benchmark else None,
        provenance=_provenance(described, finished),
        log_file=log_file,
        duration_seconds=duration_seconds,
        phase_times=list(phase_times),
    )


def task_status(
    points: list[Point],
    failures: list[Failure],
    *,
    is_finished: bool,
    missed: list[TargetCheck] | None = None,
) -> Status:
    """Return the one word for a task; the worst that is true.

    Parameters
    ----------
    points : list of Point
        Measured.
    failures : list of Failure
        Of points, phases or the task. A point that a failed query ended
        counts as well.
    is_finished : bool
        Whether a worker said that all is done.
    missed : list of TargetCheck, optional
        Targets that were not met.

    Returns
    -------
    str
        ``"failed"``, ``"interrupted"``, ``"invalid"``, ``"off_target"`` or ``"ok"``.
    """
    if failures or any(point.ended_by == "failed" for point in points):
        return "failed"
    if not is_finished:
        return "interrupted"
    if any(point.invalid_reasons for point in points):
        return "invalid"
    return "off_target" if missed else "ok"


def missed_targets(
    accuracy: AccuracyReport | None, numeric: NumericReport | None
) -> list[TargetCheck]:
    """Return the targets that a task did not meet.

    Parameters
    ----------
    accuracy : AccuracyReport or None
        As far as it was scored.
    numeric : NumericReport or None
        As far as it was compared.

    Returns
    -------
    list of TargetCheck
        Empty if there is none, or no target.
    """
    checks = [
        check for report in (accuracy, numeric) if report for check in report.targets
    ]
    return [check for check in checks if not check.is_met]


def _first(records: list[JournalRecord], kind: type[Kind]) -> Kind | None:
    return next((record for record in records if isinstance(record, kind)), None)


def _unique(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(texts))


def _provenance(
    described: TaskDescribed | None, finished: Finished | None
) -> Provenance | None:
    if described is None or finished is None:
        return described.provenance if described else None
    return msgspec.structs.replace(
        described.provenance, finished_at_utc=finished.finished_at_utc
    )
