"""`run_worker` against real processes that end in every way a process can end."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support import fake_worker
from support.fake_worker import prepared_task

from bytemlperf.engine.messages import (
    CompileDone,
    Event,
    Finished,
    MeasureJob,
    PointDone,
    TaskDescribed,
)
from bytemlperf.errors import StorageError
from bytemlperf.launch.interruption import Interruption
from bytemlperf.launch.worker import WorkerOutcome, run_worker

pytestmark = pytest.mark.slow

COMMAND = [sys.executable, fake_worker.__file__]
TESTS = Path(fake_worker.__file__).parents[1]


def worker_env(faults: dict[str, str] | None = None, **more: str) -> dict[str, str]:
    paths = [str(TESTS.parent), str(TESTS), os.environ.get("PYTHONPATH", "")]
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path for path in paths if path),
        "FAKE_FAULTS": json.dumps(faults or {}),
        **more,
    }


def measure_job(batch_sizes: tuple[int, ...] = (1, 8)) -> MeasureJob:
    return MeasureJob(
        task="fake-torch-fp32",
        hardware_type="FAKE",
        backend_path=None,
        workload={"batch_sizes": list(batch_sizes), "compile_only": False},
        workload_sha256="d" * 64,
        model_json_sha256="e" * 64,
        prepared=prepared_task("fake-torch-fp32"),
        interact_info={},
        seed=0,
        point_seconds=1.0,
        skip_batch_sizes=(),
        done_phases=(),
        timeline_dir=None,
        command_line=(),
        environment_kind="current",
    )


def run(
    tmp_path: Path,
    faults: dict[str, str] | None = None,
    *,
    on_event: Callable[[Event], None] | None = None,
    interruption: Interruption | None = None,
    **more: str,
) -> tuple[WorkerOutcome, list[Event]]:
    events: list[Event] = []

    def take(event: Event) -> None:
        events.append(event)
        if on_event is not None:
            on_event(event)

    outcome = run_worker(
        COMMAND,
        measure_job(),
        env=worker_env(faults, **more),
        log_path=tmp_path / "worker.log",
        on_event=take,
        startup_deadline_seconds=60,
        interruption=interruption,
    )
    return outcome, events


def points(events: list[Event]) -> list[int]:
    return [event.point.batch_size for event in events if isinstance(event, PointDone)]


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state not in "ZX"


def wait_gone(pid: int) -> None:
    """Wait for a process that is not our child (pytest's timeout bounds it)."""
    try:
        pid_fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    with os.fdopen(pid_fd):
        select.select([pid_fd], [], [])


def test_a_job_runs_to_its_end(tmp_path: Path) -> None:
    """Every event arrives in order and the outcome is ok."""
    outcome, events = run(tmp_path)
    assert outcome == WorkerOutcome(None, 0)
    assert outcome.is_ok
    assert points(events) == [1, 8]
    assert isinstance(events[-1], Finished)
    kinds = [type(event) for event in events]
    assert kinds.index(TaskDescribed) < kinds.index(CompileDone)


@pytest.mark.parametrize(
    ("fault", "kind", "cause"),
    [
        ("signal=SIGKILL", "killed", "was killed by SIGKILL"),
        ("signal=SIGABRT", "killed", "was killed by SIGABRT"),
        ("segv", "killed", "was killed by SIGSEGV"),
        ("exit=3", "exited", "exited with code 3"),
        ("exit=0", "exited", "exited with code 0 without having said"),
        ("cut", "exited", "in the middle of a message"),
        ("mute", "exited", "exited with code 0 without having said"),
        ("garbage", "protocol", "broke the message protocol"),
        ("nonsense", "protocol", "broke the message protocol"),
    ],
)
def test_a_death_is_described(
    tmp_path: Path, fault: str, kind: str, cause: str
) -> None:
    """Cause, phase, batch size and last words are known; earlier points are kept."""
    outcome, events = run(tmp_path, {"perf:8": fault})
    failure = outcome.failure
    assert failure is not None
    assert not outcome.is_ok
    assert failure.kind == kind
    assert cause in failure.message
    assert failure.phase == "perf"
    assert failure.batch_size == 8
    assert "batch size 8" in failure.message
    assert failure.log_tail is not None
    assert f"last words before {fault}" in failure.log_tail
    assert points(events) == [1]


def test_a_segfault_shows_the_python_stack(tmp_path: Path) -> None:
    """The worker's faulthandler writes into the log tail."""
    outcome, _ = run(tmp_path, {"compile": "segv"})
    assert outcome.failure is not None
    assert "_do_segv" in (outcome.failure.log_tail or "")
    assert "native code" in (outcome.failure.detail or "")


def test_a_kill_is_explained_as_far_as_the_kernel_tells(tmp_path: Path) -> None:
    """SIGKILL is never called out-of-memory without a counter that says so."""
    outcome, _ = run(tmp_path, {"perf:8": "signal=SIGKILL"})
    assert outcome.failure is not None
    detail = outcome.failure.detail or ""
    assert "sent by another process" in detail or "out of memory" in detail


def test_a_hang_ends_at_the_deadline_with_stacks(tmp_path: Path) -> None:
    """Silence beyond the phase's deadline is a hang; the stacks are in the detail."""
    outcome, events = run(tmp_path, {"perf:8": "hang"}, FAKE_DEADLINE_SECONDS="0.5")
    failure = outcome.failure
    assert failure is not None
    assert failure.kind == "hang"
    assert "said nothing for 0.5 s" in failure.message
    assert failure.batch_size == 8
    assert "_do_hang" in (failure.detail or "")
    assert "_do_hang" not in (failure.log_tail or "")
    assert points(events) == [1]


def test_a_hang_at_the_start_needs_no_phase(tmp_path: Path) -> None:
    """A worker that never says a word is held to the startup deadline."""
    outcome = run_worker(
        COMMAND,
        measure_job(),
        env=worker_env({"start": "hang"}),
        log_path=tmp_path / "worker.log",
        on_event=lambda event: None,
        startup_deadline_seconds=2.0,
    )
    assert outcome.failure is not None
    assert outcome.failure.kind == "hang"
    assert outcome.failure.phase == "start"


def test_a_job_larger_than_the_pipe_is_sent_whole(tmp_path: Path) -> None:
    """A job beyond the pipe's buffer is written as the worker reads."""
    job = measure_job()
    job.prepared.model_info["filler"] = "x" * 1_000_000
    outcome = run_worker(
        COMMAND,
        job,
        env=worker_env(),
        log_path=tmp_path / "worker.log",
        on_event=lambda event: None,
        startup_deadline_seconds=60,
    )
    assert outcome.is_ok


def test_an_event_larger_than_the_pipe_arrives_whole(tmp_path: Path) -> None:
    """A long event comes in pieces and is put together."""
    _, events = run(tmp_path, {"end": "fill=3000000"})
    assert any(len(getattr(event, "text", "")) == 3_000_000 for event in events)


def test_noise_on_stdout_disturbs_nothing(tmp_path: Path) -> None:
    """Output goes to the log only; a tail is short and free of escape codes."""
    outcome, events = run(tmp_path, {"compile": "noise=5000", "perf:8": "exit=3"})
    assert points(events) == [1]
    tail = outcome.failure.log_tail if outcome.failure else None
    assert tail is not None
    assert len(tail.splitlines()) == 20
    assert "\x1b" not in tail
    assert (tmp_path / "worker.log").stat().st_size > 400_000


def test_a_reported_failure_keeps_its_words(tmp_path: Path) -> None:
    """`Failed` is the outcome, with the log tail added."""
    outcome, _ = run(tmp_path, {"compile": "fail=no such operator"})
    assert outcome.failure is not None
    assert outcome.failure.kind == "CompileError"
    assert outcome.failure.message == "no such operator"
    assert "last words" in (outcome.failure.log_tail or "")


def test_a_crash_after_the_end_costs_nothing(tmp_path: Path) -> None:
    """A framework that crashes while it is torn down does not spoil the result."""
    outcome, events = run(tmp_path, {"after": "signal=SIGSEGV"})
    assert outcome.is_ok
    assert points(events) == [1, 8]
    assert "SIGSEGV after it had finished" in (outcome.note or "")


def test_a_program_that_is_not_there_is_a_failure(tmp_path: Path) -> None:
    """A missing interpreter is reported with its path."""
    outcome = run_worker(
        ["/nowhere/python"],
        measure_job(),
        env={},
        log_path=tmp_path / "worker.log",
        on_event=lambda event: None,
        startup_deadline_seconds=1,
    )
    assert outcome.failure is not None
    assert outcome.failure.kind == "not_started"
    assert "/nowhere/python" in (outcome.failure.detail or "")


def test_a_log_that_cannot_be_written_is_a_storage_error(tmp_path: Path) -> None:
    """The worker is not started without its log."""
    with pytest.raises(StorageError, match="worker's log"):
        run_worker(
            COMMAND,
            measure_job(),
            env={},
            log_path=tmp_path / "missing" / "worker.log",
            on_event=lambda event: None,
            startup_deadline_seconds=1,
        )


def test_children_of_the_worker_are_ended_with_it(tmp_path: Path) -> None:
    """A process that the worker forgot would disturb the next measurement."""
    file = tmp_path / "child.pid"
    outcome, _ = run(tmp_path, {"end": f"child={file}"})
    assert outcome.is_ok
    pid = int(file.read_text())
    wait_gone(pid)
    assert not is_alive(pid)


def test_a_worker_is_stopped_when_recording_fails(tmp_path: Path) -> None:
    """What `on_event` raises comes through, and nothing is left running."""
    pids: list[int] = []

    def refuse(event: Event) -> None:
        if hasattr(event, "pid"):
            pids.append(event.pid)
        if isinstance(event, PointDone):
            raise StorageError("cannot write: the disk is full")

    with pytest.raises(StorageError, match="disk is full"):
        run(tmp_path, on_event=refuse)
    wait_gone(pids[0])
    assert not is_alive(pids[0])


@pytest.mark.parametrize("fault", ["hang", "deaf"])
def test_a_signal_stops_the_worker_and_keeps_what_came(
    tmp_path: Path, fault: str
) -> None:
    """Ctrl-C ends the worker, at the second time without waiting for it."""
    with Interruption() as interruption:
        process: list[int] = []

        def interrupt(event: Event) -> None:
            if hasattr(event, "pid"):
                process.append(event.pid)
            if getattr(event, "name", "") == "perf" and event.batch_size == 8:
                os.kill(os.getpid(), signal.SIGINT)
                if fault == "deaf":
                    os.kill(os.getpid(), signal.SIGTERM)

        outcome, events = run(
            tmp_path,
            {"perf:8": fault},
            on_event=interrupt,
            interruption=interruption,
        )
        assert interruption.is_requested
    assert outcome.is_interrupted
    assert outcome.failure is None
    assert points(events) == [1]
    assert not is_alive(process[0])


def test_a_worker_does_not_outlive_its_launcher(tmp_path: Path) -> None:
    """SIGKILL of the launcher ends the worker and the worker's children."""
    pid_pipe, child_file = tmp_path / "pid", tmp_path / "child"
    os.mkfifo(pid_pipe)
    program = (
        "import sys, json\n"
        "from pathlib import Path\n"
        "from test_launch_worker import COMMAND, measure_job, worker_env\n"
        "from bytemlperf.launch.worker import run_worker\n"
        "run_worker(COMMAND, measure_job(), env=worker_env(json.loads(sys.argv[2])),\n"
        "    log_path=Path(sys.argv[1]), on_event=lambda event: None,\n"
        "    startup_deadline_seconds=60)\n"
    )
    faults = {"compile": f"child={child_file}", "perf:8": f"pid={pid_pipe}"}
    env = worker_env()
    env["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parent), env["PYTHONPATH"]])
    launcher = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "log"), json.dumps(faults)],
        env=env,
    )
    try:
        # Blocks until the worker is in its last point.
        worker, child = int(pid_pipe.read_text()), int(child_file.read_text())
        assert is_alive(worker)
    finally:
        launcher.kill()
        launcher.wait()
    wait_gone(worker)
    wait_gone(child)
    assert not is_alive(worker)
    assert not is_alive(child)
