"""Several tasks prepared at once: downloads side by side, builds where memory allows.

Input: a request, how many at once, how much memory there is. Output: which failed. Each
task has a worker process and a thread here that listens to it; the main thread passes
a wish to stop on to all of them.
"""

from __future__ import annotations

import os
import queue
import threading

import msgspec
import psutil

from bytemlperf.launch.interruption import Interruption
from bytemlperf.launch.observer import Observer
from bytemlperf.launch.preparation import Preparation
from bytemlperf.launch.request import SessionRequest
from bytemlperf.launch.task_run import WorkerCommand
from bytemlperf.model_zoo import load_model_info
from bytemlperf.report.live import SilentObserver, phase_line
from bytemlperf.report.schema import Failure
from bytemlperf.report.units import format_seconds
from bytemlperf.runtime.clock import now_ns
from bytemlperf.workloads import WorkloadFile

__all__ = ["default_jobs", "needed_bytes", "prepare_together"]

MAX_DEFAULT_JOBS = 4
# Frameworks, exporters and samples; then canonical weights, the module, its export and
# the float64 reference at 4, 4, 8 and 8 bytes a parameter. The largest seen: 10.7 GB
# for 860 M parameters, 7.4 GB for 151 M.
WORKER_BYTES = 4 * 2**30
BYTES_PER_PARAMETER = 24
# How often the main thread looks up from waiting, so that signals are handled.
WAKE_SECONDS = 0.5


def default_jobs() -> int:
    """Return how many tasks are prepared at once if nobody says so.

    Returns
    -------
    int
        As many as there are usable processors, at most 4.
    """
    return max(1, min(MAX_DEFAULT_JOBS, len(os.sched_getaffinity(0))))


def needed_bytes(task: WorkloadFile) -> int:
    """Estimate the memory that preparing a task takes.

    Parameters
    ----------
    task : WorkloadFile
        Its model file says how many parameters there are.

    Returns
    -------
    int
        On the safe side.

    Raises
    ------
    ConfigError
        The model is unknown.
    """
    parameters = load_model_info(task.workload.model).parameters or 0
    return WORKER_BYTES + BYTES_PER_PARAMETER * parameters


def prepare_together(
    request: SessionRequest,
    environment: WorkerCommand,
    *,
    jobs: int,
    observer: Observer,
    interruption: Interruption,
    free_bytes: int | None = None,
) -> list[Failure]:
    """Prepare every task of a request, several at once.

    Parameters
    ----------
    request : SessionRequest
        What is wanted.
    environment : WorkerCommand
        Where workers run.
    jobs : int
        At most so many at once, >= 1. One runs in any case; another begins only if
        what both are expected to need is free.
    observer : Observer
        Told, one at a time, with the task's name before each phase.
    interruption : Interruption
        Open and held, in this thread.
    free_bytes : int, optional
        Memory that may be used. Default: what the machine says.

    Returns
    -------
    list of Failure
        One for each task that could not be prepared; told to the observer already.

    Raises
    ------
    ConfigError
        A model is unknown; nothing was prepared.
    StorageError
        A log cannot be written. What was running is stopped.
    """
    waiting = [(needed_bytes(task), task) for task in request.tasks]
    left = psutil.virtual_memory().available if free_bytes is None else free_bytes
    gang = _Gang(request, environment, observer)
    failures: list[Failure] = []
    try:
        while (waiting or gang.running) and not interruption.is_requested:
            for entry in list(waiting):
                needed, task = entry
                if len(gang.running) >= jobs:
                    break
                if gang.running and needed > left:
                    continue
                waiting.remove(entry)
                left -= needed
                gang.start(task, needed)
            ended = gang.wait()
            if ended is not None:
                left += ended.needed_bytes
                if ended.error is not None:
                    raise ended.error
                if ended.failure is not None:
                    failures.append(ended.failure)
    finally:
        gang.stop(interruption.signal_name or "another task's failure")
    return failures


class _Job:
    """A task being prepared."""

    def __init__(self, task: WorkloadFile, needed: int) -> None:
        self.task = task
        self.needed_bytes = needed
        self.failure: Failure | None = None
        self.error: BaseException | None = None
        self.interruption = Interruption(is_listening=False)
        self.thread: threading.Thread | None = None


class _Gang:
    """The tasks in flight; used by one thread."""

    def __init__(
        self, request: SessionRequest, environment: WorkerCommand, observer: Observer
    ) -> None:
        self._request = request
        self._environment = environment
        self._observer = observer
        self._lock = threading.RLock()
        self._ended: queue.SimpleQueue[_Job] = queue.SimpleQueue()
        self._started_count = 0
        self.running: list[_Job] = []

    def start(self, task: WorkloadFile, needed: int) -> None:
        """Begin with a task."""
        self._started_count += 1
        count = len(self._request.tasks)
        with self._lock:
            self._observer.task_started(
                task.name, "prepare", self._started_count, count
            )
        job = _Job(task, needed)
        # Here and not in the thread, so that it hears of a wish to stop from the start.
        job.interruption.__enter__()
        job.thread = threading.Thread(
            target=self._work, args=(job,), name=f"prepare {task.name}", daemon=True
        )
        self.running.append(job)
        job.thread.start()

    def wait(self) -> _Job | None:
        """Return a task that has ended; None if that takes longer than a moment."""
        try:
            job = self._ended.get(timeout=WAKE_SECONDS)
        except queue.Empty:
            return None
        self._leave(job)
        return job

    def stop(self, why: str) -> None:
        """Ask what is running to stop, and wait until it has."""
        for job in self.running:
            job.interruption.request(why)
        for job in list(self.running):
            self._leave(job)

    def _leave(self, job: _Job) -> None:
        assert job.thread is not None
        job.thread.join()
        job.interruption.__exit__(None, None, None)
        self.running.remove(job)

    def _work(self, job: _Job) -> None:
        """Prepare a task; the body of its thread."""
        start_ns = now_ns()
        told = _Labelled(job.task.name, self._observer, self._lock)
        try:
            with job.interruption.held():
                job.failure = Preparation(
                    self._request,
                    find_command=lambda requirements: self._environment,
                    observer=told,
                    interruption=job.interruption,
                ).into_cache(job.task)
            took = format_seconds((now_ns() - start_ns) / 1e9)
            if job.failure is not None:
                told.failure(job.failure)
            elif not job.interruption.is_requested:
                told.message(f"prepared after {took}")
        except BaseException as error:
            # For the thread that waits: it alone knows what to do about the others.
            job.error = error
        finally:
            self._ended.put(job)


class _Labelled(SilentObserver):
    """What one of several tasks says, each line with its name; one at a time."""

    def __init__(self, name: str, observer: Observer, lock: threading.RLock) -> None:
        self._name = name
        self._observer = observer
        self._lock = lock

    def message(self, text: str) -> None:
        """Say it with the task's name."""
        with self._lock:
            self._observer.message(f"{self._name}: {text}")

    def phase(self, name: str, detail: str, batch_size: int | None) -> None:
        """Say what is being done; there is no one bar for several tasks."""
        self.message(f"{phase_line(name, detail, batch_size)} ...")

    def warning(self, text: str) -> None:
        """Pass it on."""
        with self._lock:
            self._observer.warning(f"{self._name}: {text}")

    def failure(self, failure: Failure) -> None:
        """Pass it on."""
        with self._lock:
            self._observer.failure(
                msgspec.structs.replace(
                    failure, message=f"{self._name}: {failure.message}"
                )
            )
