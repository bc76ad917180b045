"""Going on with a run that was cut off: nothing is measured twice, nothing is lost."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from support.recording_observer import RecordingObserver
from support.sessions import finder, make_request, make_task, run, sizes

from bytemlperf.engine.messages import TaskDescribed
from bytemlperf.errors import ConfigError
from bytemlperf.launch.journal import read_journal
from bytemlperf.launch.request import SessionRequest
from bytemlperf.launch.resume import REQUEST_NAME, changed_environment, load_request
from bytemlperf.launch.session import run_session
from bytemlperf.report.storage import read_index, read_result

pytestmark = pytest.mark.slow


def cut_off(tmp_path: Path, at_size: int = 4, *names: str) -> SessionRequest:
    """Leave what a command leaves that is told to stop while it measures a point."""

    def interrupt(what: str, argument: Any) -> None:
        if what == "phase" and argument == ("perf", at_size):
            os.kill(os.getpid(), signal.SIGTERM)

    tasks = [make_task(name) for name in names or ("first",)]
    request = make_request(tmp_path, *tasks)
    run_session(
        request,
        RecordingObserver(interrupt),
        find_command=finder({f"perf:{at_size}": "hang"}),
    )
    return request


def resumed(tmp_path: Path) -> SessionRequest:
    return load_request(tmp_path / "out")[0]


def test_a_resume_measures_what_is_left(tmp_path: Path) -> None:
    """The journal only grows, and the points of before are the same bytes."""
    cut_off(tmp_path, 4, "first", "second")
    folder = tmp_path / "out" / "CPU" / "first"
    journal_before = (folder / "journal.bin").read_bytes()
    points_before = json.loads((folder / "result.json").read_bytes())["points"]
    index, result, observer = run(resumed(tmp_path))
    assert (folder / "journal.bin").read_bytes().startswith(journal_before)
    points = json.loads((folder / "result.json").read_bytes())["points"]
    assert points[: len(points_before)] == points_before
    assert sizes(result) == [1, 4, 8]
    assert (index.status, index.exit_code) == ("ok", 0)
    assert [entry.point_count for entry in index.tasks] == [3, 3]
    # Three points of the second task, and two of the first, which has its accuracy.
    measured = [point.batch_size for point in observer.named("point")]
    assert measured == [4, 8, 1, 4, 8]
    assert observer.named("phase").count(("accuracy", None)) == 1
    assert any("resumed at" in text for text in result.warnings)


def test_an_ended_task_stays_byte_identical(tmp_path: Path) -> None:
    """Its files are not even written again."""
    tasks = make_request(tmp_path)
    run(tasks)
    folder = tmp_path / "out" / "CPU" / "first"
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    stamp = (folder / "result.json").stat().st_mtime_ns
    index, _, observer = run(resumed(tmp_path))
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert (folder / "result.json").stat().st_mtime_ns == stamp
    assert observer.named("point") == []
    assert index.exit_code == 0


def test_a_torn_journal_loses_only_its_tail(tmp_path: Path) -> None:
    """A power cut in the middle of a record: that point is measured again."""
    run(make_request(tmp_path))
    folder = tmp_path / "out" / "CPU" / "first"
    contents = read_journal(folder / "journal.bin")
    # The last whole record is the end, the one before it the last point.
    assert len(contents.records) == 9
    raw = (folder / "journal.bin").read_bytes()
    lengths = []
    start = 0
    while start < len(raw):
        lengths.append(8 + int.from_bytes(raw[start : start + 4], "big"))
        start += lengths[-1]
    torn = raw[: -(lengths[-1] + lengths[-2] // 2)]
    (folder / "journal.bin").write_bytes(torn)
    (folder / "result.json").unlink()
    index, result, observer = run(resumed(tmp_path))
    assert [point.batch_size for point in observer.named("point")] == [8]
    assert sizes(result) == [1, 4, 8]
    assert index.exit_code == 0


def test_a_changed_workload_file_is_noticed(tmp_path: Path) -> None:
    """The run goes on with the workload it began with, and says so."""
    request = cut_off(tmp_path)
    path = tmp_path / "first.json"
    path.write_text('{"model": "resnet50-torch-fp32", "batch_sizes": [64]}')
    stored = json.loads((tmp_path / "out" / REQUEST_NAME).read_bytes())
    stored["request"]["tasks"][0]["path"] = str(path)
    (tmp_path / "out" / REQUEST_NAME).write_text(json.dumps(stored))
    _, result, _ = run(resumed(tmp_path))
    assert sizes(result) == list(request.tasks[0].workload.batch_sizes)
    assert any("first.json has changed" in text for text in result.warnings)


def test_a_changed_model_is_refused(tmp_path: Path) -> None:
    """Points of two models never stand in one result."""
    cut_off(tmp_path)
    stored = json.loads((tmp_path / "out" / REQUEST_NAME).read_bytes())
    stored["model_sha256"]["first"] = "0" * 64
    (tmp_path / "out" / REQUEST_NAME).write_text(json.dumps(stored))
    before = (tmp_path / "out" / "CPU" / "first" / "journal.bin").read_bytes()
    with pytest.raises(ConfigError, match="model json of first has changed"):
        run(resumed(tmp_path))
    assert (tmp_path / "out" / "CPU" / "first" / "journal.bin").read_bytes() == before


def test_changed_samples_are_refused(tmp_path: Path) -> None:
    """Points of two datasets never stand in one result."""
    cut_off(tmp_path)
    with pytest.raises(ConfigError, match="the samples were"):
        run(resumed(tmp_path), FAKE_SAMPLES_KEY="e" * 64)
    result = read_result(tmp_path / "out" / "CPU" / "first" / "result.json")
    assert sizes(result) == [1]


def test_a_changed_package_is_named(tmp_path: Path) -> None:
    """The result says which, from what, to what."""
    run(make_request(tmp_path))
    records = read_journal(tmp_path / "out" / "CPU" / "first" / "journal.bin").records
    before = next(each for each in records if isinstance(each, TaskDescribed))
    packages = {"numpy": "9.9", "new": "1"}
    provenance = msgspec.structs.replace(before.provenance, packages=packages)
    now = msgspec.structs.replace(before, provenance=provenance)
    assert changed_environment(before, before) is None
    told = changed_environment(before, now)
    assert told is not None
    assert "-> 9.9" in told
    assert "new None -> 1" in told


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (None, "cannot read request.json"),
        (b"{", "request.json"),
        (b'{"request_version": 7, "model_sha256": {}, "request": {}}', "version"),
        (b'{"request_version": 1, "model_sha256": {}, "request": {}}', "tasks"),
    ],
)
def test_a_folder_without_a_request_is_refused(
    tmp_path: Path, body: bytes | None, complaint: str
) -> None:
    """A clear sentence, and nothing is touched."""
    if body is not None:
        (tmp_path / REQUEST_NAME).write_bytes(body)
    with pytest.raises(ConfigError, match=complaint):
        load_request(tmp_path)


def test_another_runs_journal_is_not_gone_on_with(tmp_path: Path) -> None:
    """Two runs wrote the folder: their points are not mixed."""
    cut_off(tmp_path)
    journal = tmp_path / "out" / "CPU" / "first" / "journal.bin"
    kept = journal.read_bytes()
    run(make_request(tmp_path, make_task(batch_sizes=(2,))))
    journal.write_bytes(kept)
    with pytest.raises(ConfigError, match="got another one"):
        run(resumed(tmp_path))
    assert read_index(tmp_path / "out" / "index.json").exit_code != 0
