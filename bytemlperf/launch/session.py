"""One command: every task on every hardware type, whatever happens to some of them.

Input: a `SessionRequest`. Output: an `InvocationIndex`, and below the output folder one
result for each task. Nothing here knows what a task measures or how a display looks.

It is long, but one walk over hardware types and tasks: what was opened on the way, and
the index that every way out leaves, are its state.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from bytemlperf.backends import BackendInfo
from bytemlperf.engine.messages import MeasureJob, PreparedTask
from bytemlperf.errors import ConfigError, InternalError, StorageError
from bytemlperf.launch.answers import (
    Asker,
    answer_questions,
    check_names,
    read_answers,
)
from bytemlperf.launch.backend_facts import backend_facts
from bytemlperf.launch.cache_entries import in_use
from bytemlperf.launch.command import command_finder
from bytemlperf.launch.done import Done
from bytemlperf.launch.hardware import CommandFinder, Hardware, open_hardware
from bytemlperf.launch.index_file import EXIT_CODES, IndexFile
from bytemlperf.launch.interruption import Interruption
from bytemlperf.launch.observer import Observer
from bytemlperf.launch.parallel_preparation import default_jobs, prepare_together
from bytemlperf.launch.preparation import Preparation
from bytemlperf.launch.request import SessionRequest
from bytemlperf.launch.resume import (
    changed_artefact,
    changed_workload,
    save_request,
)
from bytemlperf.launch.session_setup import (
    check_models,
    chosen_card,
    find_backends,
    hash_models,
    locked_folder,
    runs_on_host,
)
from bytemlperf.launch.task_run import TaskRun
from bytemlperf.model_zoo import load_model_info
from bytemlperf.report.ease_of_use import ease_of_use
from bytemlperf.report.schema import Failure, InvocationIndex
from bytemlperf.report.storage import (
    OutFolder,
    TaskFolder,
    read_result,
    write_json_atomic,
)
from bytemlperf.workloads import WorkloadFile

__all__ = ["prepare_session", "run_session"]


def run_session(
    request: SessionRequest,
    observer: Observer,
    *,
    find_command: CommandFinder | None = None,
    ask: Asker | None = None,
) -> InvocationIndex:
    """Measure every task of a request on every hardware type of it.

    Parameters
    ----------
    request : SessionRequest
        What is wanted.
    observer : Observer
        Told of everything, after it is on disk.
    find_command : callable, optional
        From a requirements file to how a worker is started in an environment that
        satisfies it. Default: environments below the request's cache folder.
    ask : callable, optional
        Asks a person the questions of a hardware type. Not called if the request has
        an answers file, or goes on with a run. Default: nobody is asked.

    Returns
    -------
    InvocationIndex
        As written to ``index.json``; its `exit_code` is the command's. After SIGINT,
        SIGTERM or SIGHUP its status is ``"interrupted"``, and what was measured is
        stored.

    Raises
    ------
    ConfigError
        The output folder cannot be written or is in use, or a hardware type, a model
        or an answer is unknown or malformed. Nothing was measured.
    BackendError
        A backend's folder has no entry file.
    StorageError
        A result cannot be written; what was journalled before is on disk.
    """
    sha256_by_task = hash_models(request)
    infos = find_backends(request)
    answers = read_answers(request.answers)
    if request.resume:
        check_models(request, sha256_by_task)
    out = OutFolder.prepare(request.out_dir)
    finder = find_command or command_finder(
        request.cache_dir, observer.message, request.wheels
    )
    with locked_folder(out), Interruption() as interruption, interruption.held():
        if not request.resume:
            save_request(request, out, sha256_by_task)
        session = _Session(request, observer, out, interruption, finder, ask)
        return session.run(infos, answers, sha256_by_task)


def prepare_session(
    request: SessionRequest,
    observer: Observer,
    *,
    jobs: int | None = None,
    find_command: CommandFinder | None = None,
) -> int:
    """Prepare every task of a request for later commands, and measure nothing.

    Parameters
    ----------
    request : SessionRequest
        What is wanted; its hardware types and output folder are not looked at.
    observer : Observer
        Told.
    jobs : int, optional
        At most so many tasks at once, >= 1, and only as many as memory allows.
        Default: as many as there are processors, at most 4.
    find_command : callable, optional
        As in `run_session`.

    Returns
    -------
    int
        The command's exit code: 0, 3 if a task could not be prepared, 130.

    Raises
    ------
    ConfigError
        A model is unknown or malformed; nothing was prepared.
    StorageError
        A log cannot be written.
    """
    for task in request.tasks:
        load_model_info(task.workload.model)
    finder = find_command or command_finder(
        request.cache_dir, observer.message, request.wheels
    )
    with Interruption() as interruption, interruption.held():
        preparation = Preparation(
            request,
            find_command=finder,
            observer=observer,
            interruption=interruption,
        )
        failures: list[Failure] = []
        with _ending_at(interruption):
            environment = preparation.open_environment()
            if isinstance(environment, Failure):
                observer.failure(environment)
                failures = [environment]
            else:
                failures = prepare_together(
                    request,
                    environment,
                    jobs=jobs or default_jobs(),
                    observer=observer,
                    interruption=interruption,
                )
        if interruption.is_requested:
            return EXIT_CODES["interrupted"]
    return EXIT_CODES["failed" if failures else "ok"]


class _Session:
    """One command in flight."""

    def __init__(
        self,
        request: SessionRequest,
        observer: Observer,
        out: OutFolder,
        interruption: Interruption,
        find_command: CommandFinder,
        ask: Asker | None,
    ) -> None:
        self._request = request
        self._observer = observer
        self._out = out
        self._ask = ask
        self._card = chosen_card(request.hardware_card)
        self._interruption = interruption
        self._find_command = find_command
        self._preparation = Preparation(
            request,
            find_command=find_command,
            observer=observer,
            interruption=interruption,
        )
        self._index = IndexFile(out, request.command_line)

    def run(
        self,
        infos: list[BackendInfo],
        answers: dict[str, Any],
        sha256_by_task: dict[str, str],
    ) -> InvocationIndex:
        """Measure all of it, or until somebody asks to stop."""
        pairs = [(info, task) for info in infos for task in self._request.tasks]
        for info, task in pairs:
            self._index.expect(info.hardware_type, task.name)
        self._write_index()
        with _ending_at(self._interruption):
            hardware = {info.hardware_type: self._open(info) for info in infos}
            interact_infos = self._answer_all(hardware, answers)
            for index, (info, task) in enumerate(pairs, start=1):
                if self._interruption.is_requested:
                    break
                self._observer.task_started(
                    task.name, info.hardware_type, index, len(pairs)
                )
                self._run_task(
                    hardware[info.hardware_type],
                    task,
                    interact_infos[info.hardware_type],
                    sha256_by_task[task.name],
                )
                self._write_index()
            self._sum_up(hardware, interact_infos)
        return self._write_index()

    def _sum_up(
        self,
        hardware: Mapping[str, Hardware],
        interact_infos: Mapping[str, dict[str, Any]],
    ) -> None:
        """Write down how easy each hardware type was to use."""
        index = self._write_index()
        for name, each in hardware.items():
            entries = [entry for entry in index.tasks if entry.hardware_type == name]
            ease = ease_of_use(
                name,
                [entry.task for entry in entries],
                [
                    read_result(self._out.path / entry.result_file)
                    for entry in entries
                    if entry.result_file is not None
                ],
                backend_facts(each, interact_infos[name]),
            )
            write_json_atomic(self._out.ease(name), ease)

    def _open(self, info: BackendInfo) -> Hardware:
        return open_hardware(
            info,
            backend_path=_absolute(self._request.backend_path),
            folder=self._out.hardware(info.hardware_type),
            find_command=self._find_command,
            observer=self._observer,
            interruption=self._interruption,
            silence_seconds=self._request.silence_seconds,
        )

    def _answer_all(
        self, hardware: Mapping[str, Hardware], given: Mapping[str, Any]
    ) -> dict[str, dict[str, Any]]:
        """Answer every backend's questions before anything is measured on any."""
        check_names(
            given,
            (question for each in hardware.values() for question in each.questions),
        )
        return {
            name: answer_questions(each.questions, self._given(each, given), name)
            for name, each in hardware.items()
        }

    def _given(self, hardware: Hardware, given: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return answers that are not defaults: from the file, or from a person."""
        path = self._out.answers(hardware.info.hardware_type)
        if self._request.answers is not None or not hardware.questions:
            return given
        if self._request.resume:
            return read_answers(path) if path.exists() else given
        path.unlink(missing_ok=True)
        if self._ask is None:
            return given
        with self._interruption.released():
            asked = self._ask(hardware.info.hardware_type, hardware.questions)
        if asked:
            # To be used again with --answers, and by --resume.
            write_json_atomic(path, asked)
        return asked

    def _run_task(
        self,
        hardware: Hardware,
        task: WorkloadFile,
        interact_info: dict[str, Any],
        model_json_sha256: str,
    ) -> None:
        """Run one task; only a disk that cannot be written ends the others."""
        hardware_type = hardware.info.hardware_type
        folder = self._out.task(hardware_type, task.name)
        try:
            with TaskRun(
                task,
                hardware_type,
                folder=folder,
                observer=self._observer,
                interruption=self._interruption,
                command_line=self._request.command_line,
                resume=self._request.resume,
                silence_seconds=self._request.silence_seconds,
            ) as run:
                if run.is_ended:
                    self._keep(run, folder)
                    return
                if self._request.resume:
                    changed = changed_workload(task)
                    if changed is not None:
                        run.warn(changed)
                # Already now: whoever finds a killed command's index finds the result.
                self._index.enter(run.result, folder)
                self._write_index()
                with _ending_at(self._interruption):
                    self._measure(run, hardware, interact_info, model_json_sha256)
                result = run.publish()
        except StorageError as error:
            told = StorageError(
                f"{task.name} on {hardware_type}: {error.message}",
                detail=f"what was recorded before is in {folder.journal}",
                hint=error.hint,
            )
            told.errno = error.errno
            raise told from error
        self._index.enter(result, folder)
        self._observer.task_finished(result, folder.result)

    def _keep(self, run: TaskRun, folder: TaskFolder) -> None:
        """Leave a task alone that an earlier command has ended."""
        try:
            result = read_result(folder.result)
        except ConfigError:
            # The journal is whole, and what follows from it can be written again.
            result = run.publish()
        self._index.enter(result, folder)
        self._observer.message(
            f"{run.task.name} on {run.hardware_type} was ended before: {result.status}"
        )

    def _write_index(self) -> InvocationIndex:
        return self._index.write(is_interrupted=self._interruption.is_requested)

    def _measure(
        self,
        run: TaskRun,
        hardware: Hardware,
        interact_info: dict[str, Any],
        model_json_sha256: str,
    ) -> None:
        """Prepare and measure, unless something before that failed."""
        if hardware.failure is not None:
            run.fail(hardware.failure)
            return
        if hardware.command is None or hardware.described is None:
            raise InternalError(f"{hardware.info.hardware_type} is half open")
        prepared = self._preparation.for_run(
            run, need_model=hardware.described.need_model
        )
        if prepared is None or self._interruption.is_requested:
            return
        changed = changed_artefact(run.described, prepared)
        if changed is not None:
            raise ConfigError(
                f"{run.task.name} on {run.hardware_type} cannot be gone on with: "
                f"{changed}",
                hint="measure anew with another --out; what was measured is kept",
            )
        with in_use(_cached(prepared)):
            run.measure(
                hardware.command,
                lambda done: self._job(
                    run,
                    hardware,
                    prepared,
                    interact_info=interact_info,
                    model_json_sha256=model_json_sha256,
                    done=done,
                ),
            )

    def _job(
        self,
        run: TaskRun,
        hardware: Hardware,
        prepared: PreparedTask,
        *,
        interact_info: dict[str, Any],
        model_json_sha256: str,
        done: Done,
    ) -> MeasureJob:
        request = self._request
        return MeasureJob(
            task=run.task.name,
            hardware_type=hardware.info.hardware_type,
            backend_path=_absolute(request.backend_path),
            workload=msgspec.to_builtins(run.task.workload),
            workload_sha256=run.task.sha256,
            model_json_sha256=model_json_sha256,
            prepared=prepared,
            interact_info=interact_info,
            seed=request.seed,
            point_seconds=request.point_seconds,
            skip_batch_sizes=done.batch_sizes,
            done_phases=done.phases,
            timeline_dir=str(run.folder.timeline) if request.keep_timeline else None,
            command_line=request.command_line,
            environment_kind=hardware.command.kind if hardware.command else "",
            known_ns_per_sample=done.ns_per_sample,
            start_gate=request.start_gate,
            hardware_card=self._card,
            on_host=runs_on_host(hardware.info, request.hardware_card),
            percentiles=request.percentiles,
            slos=request.slos,
            perf_seconds_spent=run.perf_seconds_spent,
        )


@contextmanager
def _ending_at(interruption: Interruption) -> Iterator[None]:
    """Let a wish to stop end the block, and nothing else of this process."""
    try:
        yield
    except KeyboardInterrupt:
        if not interruption.is_requested:
            # Not ours: an embedding program's own handler raised it.
            raise


def _cached(prepared: PreparedTask) -> list[Path]:
    """Name what a task is measured with, as it lies in the cache."""
    model, reference = prepared.model, prepared.reference_file
    return [
        Path(prepared.samples.folder),
        *([Path(model.model_path).parent] if model and model.weights != "user" else []),
        *([Path(reference)] if reference else []),
    ]


def _absolute(path: Path | None) -> str | None:
    return None if path is None else os.path.abspath(path.expanduser())
