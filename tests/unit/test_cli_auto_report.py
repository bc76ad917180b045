"""A page or a history that cannot be written: a line that says so, and nothing else."""

from __future__ import annotations

import shlex

import pytest
from support.sample_results import make_result

from bytemlperf.cli import auto_report
from bytemlperf.cli.auto_report import leave_report, remember
from bytemlperf.report.storage import OutFolder, read_result, write_json_atomic


@pytest.fixture
def folder(tmp_path):
    out = OutFolder(tmp_path / "a run")
    place = out.task("CPU", "resnet50-torch-fp32").result
    place.parent.mkdir(parents=True)
    write_json_atomic(place, make_result(points=[]))
    return out.path


def command(told: str) -> list[str]:
    return shlex.split(told.partition("try again with: ")[2])


def test_a_page_is_left_and_its_path_told(folder):
    pytest.importorskip("jinja2")
    assert leave_report(folder) == str(folder / "report.html")
    assert "resnet50-torch-fp32" in (folder / "report.html").read_text()


def test_a_page_that_cannot_be_written_is_told_with_the_way_to_try_again(folder):
    """Something else has its name; the results are as they were."""
    pytest.importorskip("jinja2")
    (folder / "report.html").mkdir()
    told = leave_report(folder)
    assert told.startswith("not written: StorageError: ")
    assert command(told) == ["python", "-m", "bytemlperf", "report", str(folder)]
    read_result(folder / "CPU/resnet50-torch-fp32/result.json")


@pytest.mark.parametrize("error", [RuntimeError("boom"), MemoryError(), KeyError("x")])
def test_whatever_a_report_raises_goes_no_further(folder, monkeypatch, error):
    """Bugs of a figure as well: a run is never lost to its picture."""

    def broken(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(auto_report, "write_reports", broken)
    assert leave_report(folder).startswith(f"not written: {type(error).__name__}: ")


def test_a_history_that_cannot_be_written_is_told(folder, monkeypatch, tmp_path):
    """It names the command that adds the run later."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("BYTEMLPERF_HISTORY", str(tmp_path / "file" / "history.sqlite"))
    told = remember(folder)
    assert told is not None
    assert told.startswith("not written: ")
    assert command(told)[3:] == ["history", "--add", str(folder)]
