"""A worker that keeps the real protocol and dies where it is told.

A real process, started by the real launcher. Faults come in the environment variable
``FAKE_FAULTS``, JSON: a place (``"compile"``, ``"perf:8"``, ...) to what happens there.
With ``@2`` behind it, only in a worker that goes on after another one.
``{"FAKE_ONCE": folder}`` lets each fault happen once only, across processes.
"""

from __future__ import annotations

import argparse
import ctypes
import faulthandler
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import msgspec
from support.sample_results import (
    make_compile,
    make_numeric,
    make_point,
    make_provenance,
)

from bytemlperf.datasets import PreparedSamples
from bytemlperf.engine.messages import (
    AccuracyDone,
    BackendDescribed,
    CompileDone,
    DescribeJob,
    Event,
    Failed,
    Finished,
    Job,
    MeasureJob,
    NumericDone,
    Phase,
    PointDone,
    PreparedTask,
    PrepareJob,
    Progress,
    Recorded,
    Started,
    TaskDescribed,
    TaskPrepared,
    Warned,
    read_frame,
    write_frame,
)
from bytemlperf.report.schema import AccuracyReport, DatasetReport, Failure

DEADLINE_SECONDS = float(os.environ.get("FAKE_DEADLINE_SECONDS", "60"))
PATIENCE_SECONDS = 60.0
PR_SET_PDEATHSIG = 1


class FakeEngine:
    """Do a job without doing anything."""

    def __init__(self, job_fd: int, event_fd: int) -> None:
        self._events = os.fdopen(event_fd, "wb", buffering=0)
        self._jobs = os.fdopen(job_fd, "rb")
        self._faults: dict[str, str] = json.loads(os.environ.get("FAKE_FAULTS", "{}"))
        self._goes_on = False
        self._recorded = threading.Condition()
        self._recorded_count = 0
        self._sent_count = 0

    def run(self) -> None:
        self.fault("start")
        body = read_frame(self._jobs)
        assert body is not None
        job = msgspec.msgpack.decode(body, type=Job)
        threading.Thread(target=self._watch_launcher, daemon=True).start()
        self.emit(Started(os.getpid()))
        if isinstance(job, DescribeJob):
            self._describe()
        elif isinstance(job, PrepareJob):
            self._prepare(job)
        else:
            self._measure(job)
        self.fault("end")
        self.emit(Finished("2026-01-02T03:09:11+00:00"))
        self.fault("after")

    def emit(self, event: Event) -> None:
        write_frame(self._events, event)

    def record(self, event: Event) -> None:
        self.emit(event)
        with self._recorded:
            self._sent_count += 1
            self._recorded.wait_for(lambda: self._recorded_count >= self._sent_count)

    def phase(self, name: str, batch_size: int | None = None) -> None:
        place = name if batch_size is None else f"{name}:{batch_size}"
        # Elsewhere a busy machine may well be silent for as long.
        hangs = self._faults.get(place) == "hang"
        seconds = DEADLINE_SECONDS if hangs else PATIENCE_SECONDS
        self.emit(Phase(name, seconds, "", batch_size))
        self.fault(place)

    def fault(self, place: str) -> None:
        """Do what should go wrong here."""
        fault = self._faults.get(place)
        if self._goes_on:
            fault = self._faults.get(f"{place}@2", fault)
        once = os.environ.get("FAKE_ONCE")
        if fault is None:
            return
        if once is not None:
            mark = Path(once) / place
            if mark.exists():
                return
            mark.touch()
        print(f"last words before {fault} in {place}", flush=True)
        name, _, argument = fault.partition("=")
        getattr(self, f"_do_{name}")(argument)

    def _do_signal(self, name: str) -> None:
        os.kill(os.getpid(), signal.Signals[name])
        signal.pause()

    def _do_segv(self, _: str) -> None:
        ctypes.string_at(0)

    def _do_hang(self, _: str) -> None:
        threading.Event().wait()

    def _do_deaf(self, _: str) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        threading.Event().wait()

    def _do_exit(self, code: str) -> None:
        os._exit(int(code))

    def _do_garbage(self, _: str) -> None:
        os.write(self._events.fileno(), b"\xff\xff\xff\xff not a frame")
        threading.Event().wait()

    def _do_nonsense(self, _: str) -> None:
        body = msgspec.msgpack.encode({"type": "phase", "name": 7})
        os.write(self._events.fileno(), len(body).to_bytes(4, "big") + body)
        threading.Event().wait()

    def _do_cut(self, _: str) -> None:
        os.write(self._events.fileno(), (1000).to_bytes(4, "big") + b"short")
        os._exit(0)

    def _do_mute(self, _: str) -> None:
        os.close(self._events.fileno())
        os._exit(0)

    def _do_fail(self, message: str) -> None:
        self.emit(Failed(Failure("compile", "CompileError", message)))
        os._exit(1)

    def _do_noise(self, count: str) -> None:
        for line in range(int(count)):
            print(f"\x1b[31mnoise {line}\x1b[0m " + "x" * 80)
        sys.stdout.flush()

    def _do_child(self, file: str) -> None:
        """Leave a child behind that would outlive its parent."""
        program = "import signal; signal.pause()"
        child = subprocess.Popen([sys.executable, "-c", program])
        Path(file).write_text(str(child.pid))

    def _do_pid(self, file: str) -> None:
        """Tell a test who this is, through a named pipe, then wait for ever."""
        Path(file).write_text(str(os.getpid()))
        threading.Event().wait()

    def _do_fill(self, argument: str) -> None:
        """Make one event as long as the argument says."""
        self.emit(Warned("x" * int(argument)))

    def _describe(self) -> None:
        self.phase("describe")
        self.emit(
            BackendDescribed(
                version="fake 1.0",
                need_model=os.environ.get("FAKE_NEED_MODEL", "1") == "1",
                need_reload=False,
                need_quant=False,
                interact_profile=json.loads(os.environ.get("FAKE_PROFILE", "[]")),
            )
        )

    def _prepare(self, job: PrepareJob) -> None:
        self.phase("prepare model")
        self.emit(Progress(1, 2, "building"))
        self.emit(TaskPrepared(prepared_task(job.model)))

    def _measure(self, job: MeasureJob) -> None:
        self._goes_on = bool(job.done_phases)
        print(f"known ns per sample: {job.known_ns_per_sample}", flush=True)
        self.phase("import")
        if "describe" not in job.done_phases:
            self.record(
                TaskDescribed(
                    backend_version="fake 1.0",
                    model=None,
                    dataset=DatasetReport(
                        name="fake",
                        origin="synthetic",
                        reason="a test",
                        sample_count=64,
                        subset=None,
                        licence=None,
                        sha256="c" * 64,
                        seed=job.seed,
                    ),
                    provenance=make_provenance(
                        environment_kind=job.environment_kind,
                        interact_info=job.interact_info,
                    ),
                )
            )
        self.phase("compile")
        batch_sizes = tuple(job.workload["batch_sizes"])
        self.phase("load", batch_sizes[0])
        if "compile" not in job.done_phases:
            self.record(CompileDone(make_compile(), batch_sizes))
        if job.workload["compile_only"]:
            return
        if "accuracy" not in job.done_phases:
            self.phase("accuracy")
            report = AccuracyReport("not_meaningful", reason="seeded weights")
            self.record(AccuracyDone(report))
        if "numeric" not in job.done_phases:
            self.phase("numeric")
            self.record(NumericDone(make_numeric()))
        for batch_size in batch_sizes:
            if batch_size in job.skip_batch_sizes:
                continue
            self.phase("load", batch_size)
            self.phase("perf", batch_size)
            self.emit(Progress(1, 2, "querying"))
            self.record(PointDone(make_point(batch_size, query_count=60)))
            self.fault(f"after perf:{batch_size}")

    def _watch_launcher(self) -> None:
        while (body := read_frame(self._jobs)) is not None:
            receipt = msgspec.msgpack.decode(body, type=Recorded)
            with self._recorded:
                self._recorded_count = receipt.event_count
                self._recorded.notify_all()
        os.killpg(0, signal.SIGKILL)


def prepared_task(model: str) -> PreparedTask:
    """Make what a prepare worker would answer."""
    return PreparedTask(
        model=None,
        model_info={"model": model},
        samples=PreparedSamples(
            folder="/nowhere",
            key=os.environ.get("FAKE_SAMPLES_KEY", "c" * 64),
            dataset="fake",
            origin="synthetic",
            reason="a test",
            count=64,
            unit="samples",
            files={"x": "x.npy"},
            rows_per_sample={"x": 1},
            subset="",
            transform="",
            licence="",
            source_sha256={},
            label_files={},
            metric=None,
            seed=0,
            parameters={},
            output_roles={},
        ),
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--job-fd", type=int, required=True)
    parser.add_argument("--event-fd", type=int, required=True)
    arguments = parser.parse_args()
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    faulthandler.enable()
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    FakeEngine(arguments.job_fd, arguments.event_fd).run()


if __name__ == "__main__":
    main()
