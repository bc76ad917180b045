"""Whole sessions over a faulty worker: what is left after every fault."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from support.recording_observer import RecordingObserver
from support.sessions import finder, make_request, make_task, run, sizes

from bytemlperf.errors import (
    BackendUnavailableError,
    ConfigError,
    StorageError,
    UnknownNameError,
)
from bytemlperf.launch.answers import Question
from bytemlperf.launch.journal import read_journal
from bytemlperf.launch.session import prepare_session, run_session
from bytemlperf.launch.task_run import WorkerCommand
from bytemlperf.report.storage import OutFolder, read_index, read_result

pytestmark = pytest.mark.slow


def test_a_session_leaves_results_and_an_index(tmp_path: Path) -> None:
    """Two tasks: two results, journals that end, an index that points to them."""
    request = make_request(tmp_path, make_task("first"), make_task("second"))
    index, first, observer = run(request)
    out = OutFolder(request.out_dir.absolute())
    assert (index.status, index.exit_code) == ("ok", 0)
    assert read_index(out.index) == index
    assert [entry.result_file for entry in index.tasks] == [
        "CPU/first/result.json",
        "CPU/second/result.json",
    ]
    assert first.status == "ok"
    assert sizes(first) == [1, 4, 8]
    assert first.accuracy is not None
    assert first.provenance is not None
    assert first.provenance.finished_at_utc.startswith("2026")
    assert read_journal(out.task("CPU", "first").journal).dropped_bytes == 0
    assert observer.named("task_started") == [
        ("first", "CPU", 1, 2),
        ("second", "CPU", 2, 2),
    ]
    assert ("perf", 8) in observer.named("phase")
    assert len(observer.named("point")) == 6
    assert not list(request.out_dir.rglob(".*-*"))


@pytest.mark.parametrize("fault", ["signal=SIGKILL", "cut"])
def test_a_crash_costs_one_point(tmp_path: Path, fault: str) -> None:
    """The crashed batch size is a failure, all others are measured, exit code 3."""
    index, result, _ = run(make_request(tmp_path), {"perf:4": fault})
    assert sizes(result) == [1, 8]
    assert [failure.batch_size for failure in result.failures] == [4]
    assert "last words" in (result.failures[0].log_tail or "")
    assert (index.status, index.exit_code) == ("failed", 3)
    assert result.accuracy is not None
    assert result.numeric is not None
    assert result.provenance is not None
    assert result.provenance.finished_at_utc != ""


def test_a_hang_costs_one_point(tmp_path: Path) -> None:
    """A batch size that hangs is ended at its deadline and the rest is measured."""
    _, result, _ = run(
        make_request(tmp_path), {"perf:4": "hang"}, FAKE_DEADLINE_SECONDS="1"
    )
    assert sizes(result) == [1, 8]
    assert result.failures[0].kind == "hang"


def test_crashes_at_several_points_cost_those(tmp_path: Path) -> None:
    """Each crash brings the task forward, so each gets another worker."""
    faults = {"perf:1": "segv", "load:4": "exit=9", "numeric": "segv"}
    _, result, observer = run(make_request(tmp_path), faults)
    assert sizes(result) == [8]
    assert [failure.batch_size for failure in result.failures] == [None, 1, 4]
    assert result.numeric is None
    assert result.accuracy is not None
    assert len(observer.named("message")) == 3


def test_a_point_on_disk_survives_a_crash_right_after_it(tmp_path: Path) -> None:
    """The worker dies between two points: no point is lost and none is repeated."""
    once = tmp_path / "once"
    once.mkdir()
    _, result, _ = run(
        make_request(tmp_path), {"after perf:4": "signal=SIGKILL"}, FAKE_ONCE=str(once)
    )
    assert sizes(result) == [1, 4]
    assert "SIGKILL" in result.failures[0].message


def test_a_new_worker_knows_how_fast_the_last_point_was(tmp_path: Path) -> None:
    """Its own first predictions are slow, and would skip what can be measured."""
    _, result, _ = run(make_request(tmp_path), {"perf:4": "segv"})
    log = Path(result.log_file or "").read_text().splitlines()
    known = [line for line in log if line.startswith("known ns per sample")]
    speed = float(result.points[0].service.p50_ns)
    assert known == ["known ns per sample: None", f"known ns per sample: {speed}"]


@pytest.mark.parametrize(
    ("place", "phase"),
    [("compile", "compile"), ("load:1", "load"), ("import", "import")],
)
def test_a_new_worker_that_cannot_begin_ends_the_task(
    tmp_path: Path, place: str, phase: str
) -> None:
    """No endless restarts: what was measured is kept, and the task has failed."""
    faults = {"perf:4": "segv", f"{place}@2": "segv"}
    _, result, observer = run(make_request(tmp_path), faults)
    assert sizes(result) == [1]
    assert [failure.phase for failure in result.failures] == ["perf", phase]
    assert len(observer.named("message")) == 1


@pytest.mark.parametrize("place", ["import", "compile", "prepare model", "start"])
def test_a_crash_before_there_is_a_model_fails_the_task(
    tmp_path: Path, place: str
) -> None:
    """Nothing can be measured; the other phases are not tried again and again."""
    index, result, observer = run(make_request(tmp_path), {place: "segv"})
    assert result.status == "failed"
    assert len(result.failures) == 1
    assert result.points == []
    assert index.exit_code == 3
    assert observer.named("message") == []


def test_a_failing_task_does_not_stop_the_others(tmp_path: Path) -> None:
    """The second task is measured although the first one's compile crashed."""
    once = tmp_path / "once"
    once.mkdir()
    request = make_request(tmp_path, make_task("first"), make_task("second"))
    index, first, _ = run(request, {"compile": "segv"}, FAKE_ONCE=str(once))
    second = read_result(request.out_dir / "CPU" / "second" / "result.json")
    assert first.status == "failed"
    assert second.status == "ok"
    assert [entry.status for entry in index.tasks] == ["failed", "ok"]


def test_a_backend_that_cannot_be_described_fails_its_tasks(tmp_path: Path) -> None:
    """An import that crashes is one failure in each of the tasks."""
    index, result, _ = run(make_request(tmp_path), {"describe": "exit=1"})
    assert result.failures[0].phase == "describe"
    assert index.exit_code == 3


def test_an_environment_that_cannot_be_made_fails_its_tasks(tmp_path: Path) -> None:
    """An installation that fails is reported with its log, for every task."""

    def refuse(requirements: Path | None) -> WorkerCommand:
        raise BackendUnavailableError("pip ended with 1", detail="no network")

    request = make_request(tmp_path)
    index = run_session(request, RecordingObserver(), find_command=refuse)
    result = read_result(request.out_dir / "CPU" / "first" / "result.json")
    assert result.failures[0].phase == "environment"
    assert result.failures[0].detail == "no network"
    assert index.exit_code == 3


def test_compile_only_ends_after_compile(tmp_path: Path) -> None:
    """No point, no accuracy, still ok."""
    request = make_request(tmp_path, make_task(compile_only=True))
    index, result, _ = run(request)
    assert result.compile is not None
    assert result.points == []
    assert (index.status, index.exit_code) == ("ok", 0)


def test_an_earlier_run_is_replaced(tmp_path: Path) -> None:
    """Nothing of the first run is left in the second one's files."""
    request = make_request(tmp_path)
    run(request, {"perf:4": "segv"})
    _, result, _ = run(request)
    assert result.failures == []
    assert "last words" not in Path(result.log_file or "").read_text()
    contents = read_journal(request.out_dir / "CPU" / "first" / "journal.bin")
    assert len(contents.records) == 9


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_saves_what_there_is(tmp_path: Path, name: str) -> None:
    """Interrupted: points so far in the result, the rest in the index, exit 130."""

    def interrupt(what: str, argument: Any) -> None:
        if what == "phase" and argument == ("perf", 4):
            os.kill(os.getpid(), signal.Signals[name])

    request = make_request(tmp_path, make_task("first"), make_task("second"))
    observer = RecordingObserver(interrupt)
    index = run_session(request, observer, find_command=finder({"perf:4": "hang"}))
    result = read_result(request.out_dir / "CPU" / "first" / "result.json")
    assert result.status == "interrupted"
    assert sizes(result) == [1]
    assert result.failures == []
    assert (index.status, index.exit_code) == ("interrupted", 130)
    assert [entry.status for entry in index.tasks] == ["interrupted", "interrupted"]
    assert index.tasks[1].result_file is None
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_signal_ends_an_installation(tmp_path: Path) -> None:
    """Making an environment may take minutes: it is interrupted at once."""

    def install(requirements: Path | None) -> WorkerCommand:
        os.kill(os.getpid(), signal.SIGTERM)
        raise AssertionError("the signal did not interrupt")

    request = make_request(tmp_path)
    index = run_session(request, RecordingObserver(), find_command=install)
    assert index.exit_code == 130
    assert read_index(request.out_dir / "index.json").status == "interrupted"


def test_a_killed_command_leaves_its_points(tmp_path: Path) -> None:
    """SIGKILL of the whole command: the result file has every finished point."""
    pid_pipe = tmp_path / "pid"
    os.mkfifo(pid_pipe)
    request = make_request(tmp_path)
    program = (
        "import sys, json\n"
        "from pathlib import Path\n"
        "from support.recording_observer import RecordingObserver\n"
        "from support.sessions import finder, make_request, run_session\n"
        "run_session(make_request(Path(sys.argv[1])), RecordingObserver(),\n"
        "    find_command=finder(json.loads(sys.argv[2])))\n"
    )
    faults = {"perf:8": f"pid={pid_pipe}"}
    env = finder()(None).env
    env["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parent), env["PYTHONPATH"]])
    command = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path), json.dumps(faults)], env=env
    )
    try:
        # Blocks until the worker is in its last point.
        assert int(pid_pipe.read_text()) > 0
    finally:
        command.kill()
        command.wait()
    result = read_result(request.out_dir / "CPU" / "first" / "result.json")
    assert result.status == "interrupted"
    assert sizes(result) == [1, 4]
    index = read_index(request.out_dir / "index.json")
    assert index.exit_code == 130
    assert index.tasks[0].result_file == "CPU/first/result.json"


def test_a_full_disk_ends_the_session_and_keeps_the_journal(tmp_path: Path) -> None:
    """A journal that cannot grow is a StorageError that names the task."""
    request = make_request(tmp_path)
    limit_bytes = 30_000
    with (
        file_size_limit(limit_bytes),
        pytest.raises(StorageError, match="first on CPU: cannot write") as caught,
    ):
        run(request, {"perf:4": "fill=100000"})
    assert "journal.bin" in (caught.value.detail or "")
    contents = read_journal(request.out_dir / "CPU" / "first" / "journal.bin")
    assert contents.dropped_bytes == 0
    names = [type(record).__name__ for record in contents.records]
    assert "PointDone" in names


@contextmanager
def file_size_limit(limit_bytes: int) -> Iterator[None]:
    """Make every file of this process fill its disk at so many bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_an_out_folder_in_use_is_refused(tmp_path: Path) -> None:
    """Two commands do not write over each other's results."""
    request = make_request(tmp_path)

    def second(what: str, argument: Any) -> None:
        if what == "phase" and argument == ("perf", 4):
            with pytest.raises(ConfigError, match="another run is writing"):
                run_session(request, RecordingObserver(), find_command=finder())

    index = run_session(request, RecordingObserver(second), find_command=finder())
    assert index.exit_code == 0


def test_unknown_names_are_refused_before_anything_runs(tmp_path: Path) -> None:
    """A hardware type or a model that does not exist names the nearest one."""
    wrong = make_request(tmp_path, hardware_types=("CPX",))
    with pytest.raises(UnknownNameError, match="did you mean 'CPU'"):
        run_session(wrong, RecordingObserver(), find_command=finder())
    wrong = make_request(tmp_path, make_task(model="resnet51-torch-fp32"))
    with pytest.raises(UnknownNameError, match="did you mean 'resnet50-torch-fp32'"):
        run_session(wrong, RecordingObserver(), find_command=finder())
    assert not (tmp_path / "out").exists()


def test_answers_reach_the_backend_and_the_report(tmp_path: Path) -> None:
    """Given answers and defaults are in the provenance; a wrong name is refused."""
    profile = [
        {"name": "cores", "type": "int", "default": 1},
        {"name": "mode", "type": "str", "default": "fast", "options": ["fast", "slow"]},
    ]
    answers = tmp_path / "answers.json"
    answers.write_text('{"cores": 2}')
    request = make_request(tmp_path, answers=answers)
    _, result, _ = run(request, FAKE_PROFILE=json.dumps(profile))
    assert result.provenance is not None
    assert result.provenance.interact_info == {"cores": 2, "mode": "fast"}
    answers.write_text('{"corse": 2}')
    with pytest.raises(UnknownNameError, match="did you mean 'cores'"):
        run(request, FAKE_PROFILE=json.dumps(profile))


def test_a_persons_answers_are_kept_and_used_again(tmp_path: Path) -> None:
    """What was typed is in the report and beside it; a resumed run does not ask."""
    asked: list[str] = []

    def ask(hardware_type: str, questions: Sequence[Question]) -> dict[str, Any]:
        asked.append(hardware_type)
        return {questions[0].name: 2}

    questions = json.dumps([{"name": "cores", "type": "int", "default": 1}])
    find = finder({}, FAKE_PROFILE=questions)
    request = make_request(tmp_path)
    for _ in range(2):
        run_session(request, RecordingObserver(), find_command=find, ask=ask)
        result = read_result(request.out_dir / "CPU" / "first" / "result.json")
        assert result.provenance is not None
        assert result.provenance.interact_info == {"cores": 2}
        request = msgspec.structs.replace(request, resume=True)
        (request.out_dir / "CPU" / "first" / "journal.bin").unlink()
    assert asked == ["CPU"]
    kept = request.out_dir / "CPU" / "answers.json"
    assert json.loads(kept.read_bytes()) == {"cores": 2}


def test_prepare_makes_no_results(tmp_path: Path) -> None:
    """`prepare` runs one worker a task and fails with 3."""
    request = make_request(tmp_path, make_task("first"), make_task("second"))
    observer = RecordingObserver()
    assert prepare_session(request, observer, find_command=finder()) == 0
    assert not request.out_dir.exists()
    failing = finder({"prepare model": "exit=1"})
    assert prepare_session(request, observer, find_command=failing) == 3
    assert len(observer.named("failure")) == 2


def test_a_finished_point_is_the_same_in_journal_and_result(tmp_path: Path) -> None:
    """Nothing is lost between the worker's words and the file."""
    request = make_request(tmp_path)
    _, result, observer = run(request)
    told = msgspec.json.encode(observer.named("point"))
    assert msgspec.json.encode(result.points) == told
