"""From a journal to a result, purely."""

from __future__ import annotations

import itertools

import msgspec
import pytest
from support.sample_results import (
    make_compile,
    make_numeric,
    make_point,
    make_provenance,
)

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
from bytemlperf.launch.assemble import assemble_task, task_status
from bytemlperf.launch.journal import JOURNAL_VERSION, JournalRecord, TaskOpened
from bytemlperf.report.schema import (
    AccuracyReport,
    DatasetReport,
    Failure,
    SkippedPoint,
    TaskResult,
)

OPENED = TaskOpened(
    journal_version=JOURNAL_VERSION,
    task="first",
    hardware_type="CPU",
    workload={"model": "m"},
    workload_sha256="f" * 64,
    opened_at_utc="2026-01-02T03:04:05+00:00",
    command_line=["bytemlperf"],
)
DESCRIBED = TaskDescribed(
    backend_version="1.0",
    model=None,
    dataset=DatasetReport("d", "synthetic", "why", 64, None, None, "c" * 64, 0),
    provenance=make_provenance(),
)
ALL: list[JournalRecord] = [
    OPENED,
    DESCRIBED,
    CompileDone(make_compile(), (1, 8)),
    AccuracyDone(AccuracyReport("not_meaningful", reason="seeded weights")),
    NumericDone(make_numeric()),
    PointDone(make_point(1, query_count=12)),
    PointSkipped(SkippedPoint(64, "too long", 1)),
    VendorBenchmark({"QPS": 9000}),
    Warned("careful"),
    Finished("2026-01-02T03:09:11+00:00"),
]


def assemble(records: list[JournalRecord]) -> TaskResult:
    return assemble_task(records, log_file="worker.log", duration_seconds=2.5)


def test_every_record_has_its_place() -> None:
    """A complete journal fills every field."""
    result = assemble(ALL)
    assert result.status == "ok"
    assert (result.task, result.hardware_type) == ("first", "CPU")
    assert result.backend_version == "1.0"
    assert result.compile == make_compile()
    assert result.numeric == make_numeric()
    assert [point.batch_size for point in result.points] == [1]
    assert [skipped.batch_size for skipped in result.skipped] == [64]
    assert result.vendor_benchmark == {"QPS": 9000}
    assert result.warnings == ["careful"]
    assert result.provenance is not None
    assert result.provenance.finished_at_utc == "2026-01-02T03:09:11+00:00"
    assert (result.log_file, result.duration_seconds) == ("worker.log", 2.5)


def test_every_prefix_of_a_journal_is_a_result() -> None:
    """A command killed at any moment left something that can be read."""
    for length in range(1, len(ALL)):
        result = assemble(ALL[:length])
        assert result.status == "interrupted"
        assert msgspec.convert(msgspec.to_builtins(result), TaskResult) == result


def test_a_repeated_compile_does_not_replace_the_first() -> None:
    """The second one, after a crash, may have found a warm cache."""
    warm = CompileDone(make_compile(duration_ns=1), (1, 8))
    assert assemble([*ALL[:-1], warm, ALL[-1]]).compile == make_compile()


def test_a_point_measured_again_counts_once() -> None:
    """The last one counts; warnings are not repeated either."""
    again = PointDone(make_point(1, query_count=15))
    result = assemble([*ALL, again, Warned("careful")])
    assert [point.query_count for point in result.points] == [15]
    assert result.warnings == ["careful"]


@pytest.mark.parametrize("kind", [Failed, PointFailed])
def test_failures_make_a_task_failed(kind: type[Failed] | type[PointFailed]) -> None:
    """Whether of a point or of the task."""
    failure = Failure("perf", "killed", "the worker was killed", 8)
    result = assemble([*ALL, kind(failure)])
    assert result.status == "failed"
    assert result.failures == [failure]


def test_the_status_is_the_worst_that_is_true() -> None:
    """Failed before interrupted before invalid before ok."""
    bad = make_point(1, query_count=12, invalid_reasons=["harness-limited"])
    failure = Failure("perf", "hang", "it hung")
    seen = {
        (bool(failures), finished, bool(points)): task_status(
            points, failures, is_finished=finished
        )
        for failures, finished, points in itertools.product(
            ([], [failure]), (True, False), ([], [bad])
        )
    }
    assert seen == {
        (False, True, False): "ok",
        (False, True, True): "invalid",
        (False, False, False): "interrupted",
        (False, False, True): "interrupted",
        (True, True, False): "failed",
        (True, True, True): "failed",
        (True, False, False): "failed",
        (True, False, True): "failed",
    }


@pytest.mark.parametrize("records", [[], ALL[1:]])
def test_a_journal_without_a_beginning_is_refused(
    records: list[JournalRecord],
) -> None:
    """Nobody knows which task it is about."""
    with pytest.raises(ConfigError, match="expected a journal that begins with"):
        assemble(records)
