"""The index of a command is true before, during and after its tasks."""

from __future__ import annotations

from pathlib import Path

from support.sample_results import make_result

from bytemlperf.launch.index_file import IndexFile, exit_code
from bytemlperf.report.storage import OutFolder, read_index


def test_the_exit_code_is_that_of_the_worst() -> None:
    """130 before 3 before 4 before 0."""
    assert exit_code([]) == 0
    assert exit_code(["ok", "ok"]) == 0
    assert exit_code(["ok", "invalid"]) == 4
    assert exit_code(["invalid", "failed", "ok"]) == 3
    assert exit_code(["failed", "interrupted"]) == 130


def test_a_task_goes_from_expected_to_begun_to_ended(tmp_path: Path) -> None:
    """At each step the file says what a reader of a killed command should know."""
    out = OutFolder.prepare(tmp_path / "out")
    folder = out.task("CPU", "resnet50-torch-fp32")
    index = IndexFile(out, ("bytemlperf",))
    index.expect("CPU", "resnet50-torch-fp32")
    expected = index.write(is_interrupted=False)
    assert (expected.status, expected.exit_code) == ("interrupted", 130)
    assert expected.tasks[0].result_file is None

    index.enter(make_result(status="interrupted", failures=[]), folder)
    begun = index.write(is_interrupted=False)
    assert begun.tasks[0].result_file == "CPU/resnet50-torch-fp32/result.json"

    index.enter(make_result(status="failed"), folder)
    ended = index.write(is_interrupted=False)
    assert (ended.status, ended.exit_code) == ("failed", 3)
    assert ended.tasks[0].point_count == 3
    assert ended.tasks[0].skipped_count == 1
    assert ended.tasks[0].failure_count == 1
    assert ended.invocation_id == expected.invocation_id
    assert read_index(out.index) == ended


def test_a_wish_to_stop_goes_before_everything(tmp_path: Path) -> None:
    """Although all tasks that were begun are ok."""
    out = OutFolder.prepare(tmp_path / "out")
    index = IndexFile(out, ())
    index.enter(make_result(status="ok"), out.task("CPU", "resnet50-torch-fp32"))
    assert index.write(is_interrupted=True).exit_code == 130
