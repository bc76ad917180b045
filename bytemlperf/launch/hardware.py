"""A hardware type, ready to be measured on: its environment and what it says of itself.

Input: where a backend lives. Output: `Hardware`, which holds either all of it or the
failure that every task on it will report. The backend is imported in a worker only.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from bytemlperf.backends import BackendInfo
from bytemlperf.engine.messages import BackendDescribed, DescribeJob, Event
from bytemlperf.errors import BackendError, BytemlperfError, WorkerError
from bytemlperf.launch.answers import Question, parse_profile
from bytemlperf.launch.interruption import Interruption
from bytemlperf.launch.observer import Observer
from bytemlperf.launch.task_run import (
    STARTUP_DEADLINE_SECONDS,
    WorkerCommand,
    show_event,
)
from bytemlperf.launch.worker import run_worker
from bytemlperf.report.schema import Failure
from bytemlperf.report.storage import make_folder

__all__ = ["CommandFinder", "Hardware", "failure_of", "open_hardware"]

# From a requirements file (None: nothing needed) to how to start a worker with it.
CommandFinder = Callable[[Path | None], WorkerCommand]


class Hardware(msgspec.Struct, frozen=True):
    """What is known of a hardware type.

    Parameters
    ----------
    info : BackendInfo
        Where its backend lives.
    command : WorkerCommand or None
        How to start a worker in its environment.
    described : BackendDescribed or None
        What the backend wants.
    questions : tuple of Question
        What it asks the user.
    failure : Failure or None
        Why nothing can be measured on it; the fields above are None then.
    """

    info: BackendInfo
    command: WorkerCommand | None = None
    described: BackendDescribed | None = None
    questions: tuple[Question, ...] = ()
    failure: Failure | None = None


def failure_of(error: BytemlperfError, phase: str) -> Failure:
    """Put an error of the launcher's own into the report's words.

    Parameters
    ----------
    error : BytemlperfError
        What was raised.
    phase : str
        What was being done.

    Returns
    -------
    Failure
        With the error's detail, and its hint in brackets.
    """
    hint = f" ({error.hint})" if error.hint else ""
    return Failure(
        phase=phase,
        kind=type(error).__name__,
        message=f"{error.message}{hint}",
        detail=error.detail,
    )


def open_hardware(
    info: BackendInfo,
    *,
    backend_path: str | None,
    folder: Path,
    find_command: CommandFinder,
    observer: Observer,
    interruption: Interruption,
    silence_seconds: float | None = None,
) -> Hardware:
    """Make a backend's environment and ask the backend what it wants.

    Parameters
    ----------
    info : BackendInfo
        Which backend.
    backend_path : str or None
        Where the worker has to look for it first.
    folder : Path
        For ``describe.log``.
    find_command : callable
        Makes the environment; signals may interrupt it.
    observer : Observer
        Told.
    interruption : Interruption
        Open and held.
    silence_seconds : float, optional
        As in `run_worker`.

    Returns
    -------
    Hardware
        With `failure` if any of it did not work, or was interrupted.

    Raises
    ------
    StorageError
        The log cannot be written.
    """
    make_folder(folder)
    observer.phase("environment", info.hardware_type, None)
    try:
        with interruption.released():
            command = find_command(info.requirements_path)
    except BytemlperfError as error:
        return Hardware(info, failure=failure_of(error, "environment"))
    answers: list[BackendDescribed] = []

    def take(event: Event) -> None:
        show_event(observer, event)
        if isinstance(event, BackendDescribed):
            answers.append(event)

    outcome = run_worker(
        command.argv,
        DescribeJob(info.hardware_type, backend_path),
        env=command.env,
        log_path=folder / "describe.log",
        on_event=take,
        startup_deadline_seconds=STARTUP_DEADLINE_SECONDS,
        interruption=interruption,
        silence_seconds=silence_seconds,
    )
    if outcome.failure is not None:
        return Hardware(info, failure=outcome.failure)
    if not answers:
        # Interrupted; or a worker that says it is done and is not.
        silent = WorkerError(f"the worker did not describe {info.hardware_type}")
        return Hardware(info, failure=failure_of(silent, "describe"))
    try:
        questions = parse_profile(answers[0].interact_profile, info.hardware_type)
    except BackendError as error:
        return Hardware(info, failure=failure_of(error, "describe"))
    return Hardware(info, command, answers[0], tuple(questions))
