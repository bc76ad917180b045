"""Models, samples and references: prepared once for all hardware types.

Input: a request and a task. Output: `PreparedTask`, from a worker in the CPU backend's
environment: exporters and tokenizers need not be in any vendor's.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from bytemlperf.backends import find_backend
from bytemlperf.engine.messages import (
    Event,
    PreparedTask,
    PrepareJob,
    TaskPrepared,
)
from bytemlperf.errors import BytemlperfError, WorkerError
from bytemlperf.launch.hardware import CommandFinder, failure_of
from bytemlperf.launch.interruption import Interruption
from bytemlperf.launch.observer import Observer
from bytemlperf.launch.request import SessionRequest
from bytemlperf.launch.task_run import (
    STARTUP_DEADLINE_SECONDS,
    TaskRun,
    WorkerCommand,
    show_event,
)
from bytemlperf.launch.worker import run_worker
from bytemlperf.report.schema import Failure
from bytemlperf.report.storage import make_folder
from bytemlperf.workloads import WorkloadFile

__all__ = ["Preparation"]

PREPARE_HARDWARE_TYPE = "CPU"
REFERENCE_SAMPLES = 16


class Preparation:
    """What one command has prepared so far.

    Parameters
    ----------
    request : SessionRequest
        Where the cache and the data are, and which weights.
    find_command : callable
        Makes the CPU backend's environment, at the first use.
    observer : Observer
        Told.
    interruption : Interruption
        Open and held.

    Notes
    -----
    Thread-safety: one thread.
    """

    def __init__(
        self,
        request: SessionRequest,
        *,
        find_command: CommandFinder,
        observer: Observer,
        interruption: Interruption,
    ) -> None:
        self._request = request
        self._find_command = find_command
        self._observer = observer
        self._interruption = interruption
        self._environment: WorkerCommand | Failure | None = None
        self._prepared: dict[tuple[str, bool], PreparedTask] = {}

    def for_run(self, run: TaskRun, *, need_model: bool) -> PreparedTask | None:
        """Prepare what a task run needs.

        Parameters
        ----------
        run : TaskRun
            Gets the warnings, and the failure if there is one.
        need_model : bool
            Whether its backend wants a model file.

        Returns
        -------
        PreparedTask or None
            None if the run has ended with a failure, or was interrupted.
        """
        key = (run.task.name, need_model)
        if key in self._prepared:
            return self._prepared[key]
        environment = self.open_environment()
        if isinstance(environment, Failure):
            run.fail(environment)
            return None
        answers: list[PreparedTask] = []
        job = self._job(run.task, need_model=need_model)
        if not run.prepare(environment, job, _collector(answers)):
            return None
        if not answers:
            run.fail(_no_answer(run.task))
            return None
        self._prepared[key] = answers[0]
        return answers[0]

    def into_cache(self, task: WorkloadFile) -> Failure | None:
        """Prepare a task for later commands.

        Parameters
        ----------
        task : WorkloadFile
            What will be measured.

        Returns
        -------
        Failure or None
            None if it is prepared, or was interrupted.

        Raises
        ------
        StorageError
            The log, in the cache folder, cannot be written.
        """
        environment = self.open_environment()
        if isinstance(environment, Failure):
            return environment
        logs = self._request.cache_dir / "logs"
        make_folder(logs)
        answers: list[PreparedTask] = []
        collect = _collector(answers)

        def take(event: Event) -> None:
            show_event(self._observer, event)
            collect(event)

        outcome = run_worker(
            environment.argv,
            self._job(task, need_model=True),
            env=environment.env,
            log_path=logs / f"prepare-{task.name}.log",
            on_event=take,
            startup_deadline_seconds=STARTUP_DEADLINE_SECONDS,
            interruption=self._interruption,
            silence_seconds=self._request.silence_seconds,
        )
        if outcome.is_ok and not answers:
            return _no_answer(task)
        return outcome.failure

    def open_environment(self) -> WorkerCommand | Failure:
        """Make the CPU environment once; its failure is as lasting.

        Returns
        -------
        WorkerCommand or Failure
            How a worker is started in it, or why there is none.
        """
        if self._environment is None:
            self._observer.phase("environment", PREPARE_HARDWARE_TYPE, None)
            try:
                info = find_backend(PREPARE_HARDWARE_TYPE)
                with self._interruption.released():
                    self._environment = self._find_command(info.requirements_path)
            except BytemlperfError as error:
                self._environment = failure_of(error, "environment")
        return self._environment

    def _job(self, task: WorkloadFile, *, need_model: bool) -> PrepareJob:
        request, workload = self._request, task.workload
        return PrepareJob(
            task=task.name,
            model=workload.model,
            cache_dir=_absolute(request.cache_dir),
            data_root=_absolute(request.data_root) if request.data_root else None,
            model_path=_absolute(request.model_path) if request.model_path else None,
            weights=request.weights,
            download_data=request.download_data,
            need_model=need_model,
            need_reference=(
                need_model and workload.test_numeric and not workload.compile_only
            ),
            # The worker knows how large a sample is, and chooses.
            max_samples=0,
            reference_samples=REFERENCE_SAMPLES,
            seed=request.seed,
        )


def _collector(answers: list[PreparedTask]) -> Callable[[Event], None]:
    """Return a listener that keeps the answer of a prepare job."""

    def take(event: Event) -> None:
        if isinstance(event, TaskPrepared):
            answers.append(event.prepared)

    return take


def _absolute(path: Path) -> str:
    return os.path.abspath(path.expanduser())


def _no_answer(task: WorkloadFile) -> Failure:
    error = WorkerError(f"the worker said that it is done, but not what {task.name} is")
    return failure_of(error, "prepare")
