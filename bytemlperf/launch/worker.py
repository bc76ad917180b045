"""Run one job in one worker process, and say truthfully how it ended.

Input: a command, a job, and where its events go. Output: a `WorkerOutcome`. It refuses
to know what the events mean, except which phase is in flight.

What the worker's side (``python -m bytemlperf.engine --job-fd N --event-fd M``) does:

* It reads the job as the first frame of the job pipe, and keeps the pipe open. After
  the job, `Recorded` frames come down it, one for each durable event that is on disk.
  The pipe's end means that the launcher is gone: a daemon thread reads up to it, then
  calls ``os.killpg(0, SIGKILL)``, so that nothing is left (the worker leads its group).
  ``prctl(PR_SET_PDEATHSIG, SIGKILL)`` first thing in main covers a worker that holds
  the GIL for ever; it looks at ``os.getppid()`` after that, in case it came too late.
* ``faulthandler.enable()`` and ``faulthandler.register(SIGUSR1, all_threads=True)`` on
  stderr (the log): a worker taken for hung is asked for its stacks before it dies.
* It announces a `Phase` before anything that may take long; each event restarts the
  count of its ``deadline_seconds``. It ends with `Finished` or `Failed` and soon exits.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path

import msgspec

from bytemlperf.engine.messages import Event, Job
from bytemlperf.errors import WorkerError
from bytemlperf.launch.interruption import Interruption
from bytemlperf.launch.postmortem import (
    OomCounters,
    describe_exit,
    log_tail,
    read_oom_counters,
)
from bytemlperf.launch.process import WorkerProcess
from bytemlperf.launch.watch import EXIT_SECONDS, TERMINATE_SECONDS, WorkerWatch
from bytemlperf.report.schema import Failure

__all__ = ["WorkerOutcome", "run_worker"]


class WorkerOutcome(msgspec.Struct, frozen=True):
    """How a worker ended.

    Parameters
    ----------
    failure : Failure or None
        What went wrong; None if the job finished, or was interrupted.
    return_code : int or None
        As `subprocess` gives it, negative for a signal; None if it never started.
    is_interrupted : bool
        It was stopped because the user asked.
    note : str or None
        Something odd that cost nothing, such as a crash after the work was done.
    """

    failure: Failure | None
    return_code: int | None
    is_interrupted: bool = False
    note: str | None = None

    @property
    def is_ok(self) -> bool:
        """Whether the job was done."""
        return self.failure is None and not self.is_interrupted


def run_worker(
    command: Sequence[str],
    job: Job,
    *,
    env: Mapping[str, str],
    log_path: Path,
    on_event: Callable[[Event], None],
    startup_deadline_seconds: float,
    interruption: Interruption | None = None,
    silence_seconds: float | None = None,
) -> WorkerOutcome:
    """Run a job in a process of its own until it ends, one way or another.

    Parameters
    ----------
    command : sequence of str
        The worker's program; ``--job-fd N --event-fd M`` is added.
    job : Job
        What to do.
    env : mapping of str to str
        The worker's whole environment.
    log_path : Path
        The worker's stdout and stderr are appended here.
    on_event : callable
        Called with every event, in order, in this thread. When it returns, a durable
        event must be on disk: the worker is then told so. `Failed` comes here without
        a log tail; the outcome's failure has it.
    startup_deadline_seconds : float
        Longest silence before the first `Phase`.
    interruption : Interruption, optional
        Open, and listened to: its signals stop the worker gracefully.
    silence_seconds : float, optional
        Longest silence in any phase, instead of what it asks for.

    Returns
    -------
    WorkerOutcome
        No process of the worker's group is left when this returns or raises.

    Raises
    ------
    StorageError
        The log cannot be opened.

    Notes
    -----
    Whatever `on_event` raises comes through, after the worker was stopped.
    """
    with tempfile.TemporaryDirectory(
        prefix="bytemlperf-worker-", ignore_cleanup_errors=True
    ) as scratch:
        # What a backend leaves in it (compiled products, kernels) goes with the worker,
        # however that ends; and no compilation finds what an earlier one has cached.
        return _run_process(
            command,
            job,
            env={**env, "TMPDIR": scratch},
            log_path=log_path,
            on_event=on_event,
            startup_deadline_seconds=startup_deadline_seconds,
            interruption=interruption,
            silence_seconds=silence_seconds,
        )


def _run_process(
    command: Sequence[str],
    job: Job,
    *,
    env: Mapping[str, str],
    log_path: Path,
    on_event: Callable[[Event], None],
    startup_deadline_seconds: float,
    interruption: Interruption | None,
    silence_seconds: float | None,
) -> WorkerOutcome:
    """Run the process until it ends."""
    before = read_oom_counters()
    try:
        process = WorkerProcess(command, env=env, log_path=log_path)
    except WorkerError as error:
        failure = Failure("start", "not_started", error.message, detail=error.detail)
        return WorkerOutcome(failure, None)
    with process:
        watch = WorkerWatch(
            process, on_event, startup_deadline_seconds, interruption, silence_seconds
        )
        try:
            with nullcontext() if interruption is None else interruption.held():
                watch.run(job)
        except BaseException:
            process.stop(TERMINATE_SECONDS)
            raise
        return _judge(watch, process.reap(), before, read_oom_counters())


def _judge(
    watch: WorkerWatch, return_code: int, before: OomCounters, after: OomCounters
) -> WorkerOutcome:
    """Say what it means that the worker ended so."""
    if watch.trouble is not None:
        trouble = watch.trouble
        return WorkerOutcome(
            _failure(
                watch, trouble.kind, trouble.cause, trouble.detail, trouble.log_tail
            ),
            return_code,
        )
    tail = log_tail(watch.process.log_path, start_byte=watch.process.log_start_byte)
    if watch.failed is not None:
        failed = watch.failed
        if failed.log_tail is None:
            failed = msgspec.structs.replace(failed, log_tail=tail or None)
        return WorkerOutcome(failed, return_code)
    if watch.is_finished:
        return WorkerOutcome(None, return_code, note=_afterthought(watch, return_code))
    if watch.is_interrupted:
        return WorkerOutcome(None, return_code, is_interrupted=True)
    kind, cause, explanation = describe_exit(return_code, before, after)
    if watch.unread_bytes:
        cause += " in the middle of a message"
    elif return_code == 0:
        cause += " without having said that it is done"
    return WorkerOutcome(_failure(watch, kind, cause, explanation, tail), return_code)


def _failure(
    watch: WorkerWatch, kind: str, cause: str, detail: str | None, tail: str
) -> Failure:
    phase = watch.phase
    at_size = "" if phase.batch_size is None else f" at batch size {phase.batch_size}"
    return Failure(
        phase=phase.name,
        kind=kind,
        message=f"the worker {cause}, in phase {phase.name!r}{at_size}",
        batch_size=phase.batch_size,
        detail=detail,
        log_tail=tail or None,
    )


def _afterthought(watch: WorkerWatch, return_code: int) -> str | None:
    if watch.is_overdue:
        return (
            f"the worker had finished but did not exit within {EXIT_SECONDS:g} s, and "
            "was killed; nothing measured is lost"
        )
    if return_code != 0:
        unknown = OomCounters(cgroup=None, machine=None)
        _, cause, _ = describe_exit(return_code, unknown, unknown)
        return f"the worker {cause} after it had finished; nothing measured is lost"
    return None
