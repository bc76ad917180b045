"""What is done of a task: a fold over its journal's records. Pure."""

from __future__ import annotations

import msgspec

from bytemlperf.engine.messages import (
    AccuracyDone,
    CompileDone,
    NumericDone,
    PointDone,
    PointFailed,
    PointSkipped,
    TaskDescribed,
    VendorBenchmark,
)
from bytemlperf.launch.journal import JournalRecord

__all__ = ["DONE_PHASES", "SEPARATE_PHASES", "Done", "with_record"]

# Phases after compile that stand for themselves: one that kills its worker is left out.
SEPARATE_PHASES = ("accuracy", "numeric", "vendor_benchmark")
DONE_PHASES: dict[type, str] = {
    TaskDescribed: "describe",
    CompileDone: "compile",
    AccuracyDone: "accuracy",
    NumericDone: "numeric",
    VendorBenchmark: "vendor_benchmark",
}


class Done(msgspec.Struct, frozen=True):
    """What earlier workers of a task have done.

    Parameters
    ----------
    batch_sizes : tuple of int
        Measured, skipped or failed.
    phases : tuple of str
        Done or failed.
    ns_per_sample : float or None
        Median service time per sample of the last measured point.
    """

    batch_sizes: tuple[int, ...]
    phases: tuple[str, ...]
    ns_per_sample: float | None


def with_record(done: Done, record: JournalRecord) -> Done:
    """Return what is done, now that a record is on disk.

    Parameters
    ----------
    done : Done
        Before it.
    record : JournalRecord
        The next one.

    Returns
    -------
    Done
        After it.
    """
    batch_size, phase = None, DONE_PHASES.get(type(record))
    ns_per_sample = done.ns_per_sample
    if isinstance(record, PointDone):
        batch_size = record.point.batch_size
        if record.point.query_count:
            ns_per_sample = record.point.service.p50_ns / batch_size
    elif isinstance(record, PointSkipped):
        batch_size = record.skipped.batch_size
    elif isinstance(record, PointFailed):
        failure = record.failure
        if failure.batch_size is None or failure.phase in SEPARATE_PHASES:
            phase = failure.phase
        else:
            batch_size = failure.batch_size
    return Done(
        done.batch_sizes if batch_size is None else (*done.batch_sizes, batch_size),
        done.phases if phase is None else (*done.phases, phase),
        ns_per_sample,
    )
