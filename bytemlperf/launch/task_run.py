"""One task on one hardware type: workers until it is done, and a journal of it.

Input: a task, where its workers run, and what was prepared. Output: a `TaskResult`, on
disk at every moment. A worker that dies or hangs costs the point in flight: a new one
goes on with the rest, as long as each death brings the task forward.

It is long, but one state: whatever is recorded, warned of or failed goes through the
same journal, from which the result is published.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from types import TracebackType

import msgspec

from bytemlperf.engine.messages import (
    Event,
    Failed,
    Finished,
    Job,
    Phase,
    PointDone,
    PointFailed,
    PointSkipped,
    Progress,
    TaskDescribed,
    Warned,
)
from bytemlperf.errors import ConfigError
from bytemlperf.launch.assemble import assemble_task
from bytemlperf.launch.done import SEPARATE_PHASES, Done, with_record
from bytemlperf.launch.interruption import Interruption
from bytemlperf.launch.journal import (
    JOURNAL_VERSION,
    DurableEvent,
    Journal,
    JournalContents,
    JournalRecord,
    TaskOpened,
    is_durable,
    read_journal,
)
from bytemlperf.launch.observer import Observer
from bytemlperf.launch.phase_clock import PhaseClock
from bytemlperf.launch.resume import changed_environment
from bytemlperf.launch.worker import WorkerOutcome, run_worker
from bytemlperf.report.schema import Failure, TaskResult
from bytemlperf.report.storage import (
    TaskFolder,
    make_folder,
    read_result,
    storage_error,
    write_json_atomic,
)
from bytemlperf.runtime.clock import now_ns, utc_now
from bytemlperf.workloads import Workload, WorkloadFile

__all__ = [
    "STARTUP_DEADLINE_SECONDS",
    "TaskRun",
    "WorkerCommand",
    "show_event",
]

STARTUP_DEADLINE_SECONDS = 180.0
NS_PER_S = 1_000_000_000


class WorkerCommand(msgspec.Struct, frozen=True):
    """How to start a worker in some environment.

    Parameters
    ----------
    argv : tuple of str
        The program and its fixed arguments.
    env : dict of str to str
        Its whole environment.
    kind : str
        What kind of environment that is, for the report.
    """

    argv: tuple[str, ...]
    env: dict[str, str]
    kind: str


class TaskRun:
    """A task in flight, with its files.

    Parameters
    ----------
    task : WorkloadFile
        What is measured.
    hardware_type : str
        On what.
    folder : TaskFolder
        Emptied of an earlier run's files, unless they are gone on with.
    observer : Observer
        Told after the disk.
    interruption : Interruption
        Open.
    command_line : tuple of str
        Of the invocation.
    resume : bool
        Whether to go on with what an earlier run's journal holds.
    silence_seconds : float, optional
        As in `run_worker`.

    Raises
    ------
    StorageError
        The folder or the journal cannot be written.
    ConfigError
        The journal to go on with was written by another version, or is of another
        task.

    Notes
    -----
    Thread-safety: one thread. A context manager, which closes the journal.
    """

    def __init__(
        self,
        task: WorkloadFile,
        hardware_type: str,
        *,
        folder: TaskFolder,
        observer: Observer,
        interruption: Interruption,
        command_line: tuple[str, ...],
        resume: bool = False,
        silence_seconds: float | None = None,
    ) -> None:
        self.task = task
        self.hardware_type = hardware_type
        self.folder = folder
        self.done = Done((), (), None)
        self._observer = observer
        self._interruption = interruption
        self._silence_seconds = silence_seconds
        self._start_ns = now_ns()
        self._earlier_seconds = 0.0
        self._clock = PhaseClock()
        self._records: list[JournalRecord] = []
        self._dropped_bytes = 0
        make_folder(folder.path)
        if resume and folder.journal.exists():
            self._take_up(read_journal(folder.journal))
        if not self._records:
            _remove_earlier(folder)
        self._journal = Journal.open(folder.journal)
        if self._records:
            if self._dropped_bytes:
                self.warn(
                    f"{self._dropped_bytes} bytes at the end of the journal were torn "
                    "or damaged and are dropped; what stood there is measured again"
                )
            return
        self._record(
            TaskOpened(
                journal_version=JOURNAL_VERSION,
                task=task.name,
                hardware_type=hardware_type,
                workload=msgspec.to_builtins(task.workload),
                workload_sha256=task.sha256,
                opened_at_utc=utc_now().isoformat(),
                command_line=list(command_line),
            )
        )

    def __enter__(self) -> TaskRun:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._journal.close()

    def _take_up(self, contents: JournalContents) -> None:
        """Begin with what an earlier run has on disk."""
        self._dropped_bytes = contents.dropped_bytes
        for record in contents.records:
            self._records.append(record)
            self.done = with_record(self.done, record)
        opened = self._records[0] if self._records else None
        if opened is None:
            return
        if (
            not isinstance(opened, TaskOpened)
            or opened.task != self.task.name
            or msgspec.convert(opened.workload, Workload) != self.task.workload
        ):
            raise ConfigError(
                f"{self.folder.journal}: expected the journal of {self.task.name} as "
                "it was asked for, got another one",
                hint="the folder was written by several runs; measure anew",
            )
        # Without it only the time of the earlier run is missing.
        if self.folder.result.exists():
            earlier = read_result(self.folder.result)
            self._earlier_seconds = earlier.duration_seconds
            self._clock = PhaseClock(earlier.phase_times)

    @property
    def is_ended(self) -> bool:
        """Whether the records reach the task's end, good or bad."""
        return any(isinstance(record, Finished | Failed) for record in self._records)

    @property
    def is_resumed(self) -> bool:
        """Whether an earlier run has left something that was measured."""
        return self.described is not None

    @property
    def described(self) -> TaskDescribed | None:
        """What the first worker said is being measured; None before it did."""
        return next(
            (each for each in self._records if isinstance(each, TaskDescribed)), None
        )

    @property
    def perf_seconds_spent(self) -> float:
        """Wall time spent so far on loading and measuring points."""
        return self._clock.seconds_in("load", "perf")

    @property
    def result(self) -> TaskResult:
        """Everything known so far."""
        return assemble_task(
            self._records,
            log_file=str(self.folder.log),
            duration_seconds=self._earlier_seconds
            + (now_ns() - self._start_ns) / NS_PER_S,
            phase_times=self._clock.times,
        )

    def publish(self) -> TaskResult:
        """Put the result as it is now on disk.

        Returns
        -------
        TaskResult
            As written.

        Raises
        ------
        StorageError
            It cannot be written; the version before stays.
        """
        result = self.result
        write_json_atomic(self.folder.result, result)
        return result

    def warn(self, text: str) -> None:
        """Put a warning on record.

        Parameters
        ----------
        text : str
            For whoever reads the result.
        """
        self._record(Warned(text))
        self._observer.warning(text)

    def take(self, record: DurableEvent) -> None:
        """Put a record on disk that another machine has measured.

        Parameters
        ----------
        record : DurableEvent
            As it came.
        """
        self._record(record)

    def fail(self, failure: Failure) -> None:
        """End the task with a failure.

        Parameters
        ----------
        failure : Failure
            The cause.
        """
        self._record(Failed(failure))
        self._observer.failure(failure)

    def prepare(
        self,
        command: WorkerCommand,
        job: Job,
        on_answer: Callable[[Event], None],
    ) -> bool:
        """Run a job that measures nothing; its failure is the task's.

        Parameters
        ----------
        command : WorkerCommand
            Where it runs.
        job : Job
            What it does.
        on_answer : callable
            Called with its other events: the answer is among them.

        Returns
        -------
        bool
            Whether the job was done; if not, the task has ended.
        """

        def take(event: Event) -> None:
            if isinstance(event, Warned):
                self._record(event)
            show_event(self._observer, event)
            on_answer(event)

        outcome = self._run_worker(command, job, take)
        if outcome.failure is not None:
            self.fail(outcome.failure)
        return outcome.is_ok

    def measure(
        self,
        command: WorkerCommand,
        make_job: Callable[[Done], Job],
    ) -> None:
        """Run measuring workers until the task has ended.

        Parameters
        ----------
        command : WorkerCommand
            Where they run.
        make_job : callable
            Makes the job from what is done.
        """
        said_failed = False

        def take(event: Event) -> None:
            nonlocal said_failed
            if isinstance(event, Failed):
                # Put on record below, with its log tail.
                said_failed = True
                return
            if isinstance(event, TaskDescribed) and self.described is not None:
                changed = changed_environment(self.described, event)
                if changed is not None:
                    self.warn(changed)
            if is_durable(event):
                self._record(event)
            show_event(self._observer, event)

        if self.is_resumed:
            self.warn(
                f"resumed at {utc_now().isoformat(timespec='seconds')}: points before "
                "and after were measured by two commands"
            )
            # The worker says again where it is, so that changes are noticed.
            phases = tuple(name for name in self.done.phases if name != "describe")
            self.done = msgspec.structs.replace(self.done, phases=phases)
        while True:
            outcome = self._run_worker(command, make_job(self.done), take)
            failure = outcome.failure
            if failure is None:
                return
            if said_failed or not self._may_go_on(failure):
                self.fail(failure)
                return
            self._record(PointFailed(failure))
            self._observer.failure(failure)
            self._observer.message("starting another worker for the rest of the task")

    def _may_go_on(self, failure: Failure) -> bool:
        """Whether leaving out what killed a worker brings the task forward."""
        if "compile" not in self.done.phases:
            return False
        if failure.phase in SEPARATE_PHASES:
            return failure.phase not in self.done.phases
        size = failure.batch_size
        return size is not None and size not in self.done.batch_sizes

    def _run_worker(
        self, command: WorkerCommand, job: Job, on_event: Callable[[Event], None]
    ) -> WorkerOutcome:
        def take(event: Event) -> None:
            if isinstance(event, Phase):
                self._clock.begin(event.name, event.batch_size)
            on_event(event)

        self._clock.begin("start")
        outcome = run_worker(
            command.argv,
            job,
            env=command.env,
            log_path=self.folder.log,
            on_event=take,
            startup_deadline_seconds=STARTUP_DEADLINE_SECONDS,
            interruption=self._interruption,
            silence_seconds=self._silence_seconds,
        )
        self._clock.end()
        if outcome.note is not None:
            self.warn(outcome.note)
        return outcome

    def _record(self, record: JournalRecord) -> None:
        """Put a record on disk, and the result as it is now."""
        self._journal.append(record)
        self._records.append(record)
        self.done = with_record(self.done, record)
        # Also in between: whoever kills the command finds a result all the same.
        self.publish()


def show_event(observer: Observer, event: Event) -> None:
    """Tell an observer what an event means for a person.

    Parameters
    ----------
    observer : Observer
        Told.
    event : Event
        On disk already, if it is durable. Those that are of no interest before the
        task's end are not shown.
    """
    if isinstance(event, Phase):
        observer.phase(event.name, event.detail, event.batch_size)
    elif isinstance(event, Progress):
        observer.progress(event.done, event.total, event.text)
    elif isinstance(event, PointDone):
        observer.point(event.point)
    elif isinstance(event, PointSkipped):
        observer.skipped(event.skipped)
    elif isinstance(event, PointFailed):
        observer.failure(event.failure)
    elif isinstance(event, Warned):
        observer.warning(event.text)


def _remove_earlier(folder: TaskFolder) -> None:
    """Remove an earlier run's files, so that nothing old looks new."""
    try:
        for path in (folder.result, folder.journal, folder.log):
            path.unlink(missing_ok=True)
        if folder.timeline.exists():
            shutil.rmtree(folder.timeline)
    except OSError as error:
        raise storage_error(
            "replace the earlier results in", folder.path, error
        ) from error
