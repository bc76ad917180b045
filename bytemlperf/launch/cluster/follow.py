"""A task that a machine of the cluster measures, copied record by record.

Input: a machine's news. Output: records in this machine's journal, durable before the
next news is looked at.
"""

from __future__ import annotations

from typing import Any

import msgspec

from bytemlperf.errors import WorkerError
from bytemlperf.launch.cluster.orders import (
    GateAsked,
    JournalGrew,
    TaskEnded,
    TaskOrder,
)
from bytemlperf.launch.cluster.view import Host, HostLostError
from bytemlperf.launch.hardware import failure_of
from bytemlperf.launch.journal import JournalRecord, TaskOpened, parse_records
from bytemlperf.launch.observer import Observer
from bytemlperf.launch.request import SessionRequest
from bytemlperf.launch.resume import stored_request
from bytemlperf.launch.task_run import TaskRun, show_event
from bytemlperf.report.schema import Failure
from bytemlperf.workloads import WorkloadFile

__all__ = ["FollowedTask", "RecordStream", "make_order"]

DRAIN_SECONDS = 30.0
DRAIN_STEP_SECONDS = 0.25
# Of a command that ran: good, failed, invalid, interrupted.
KNOWN_EXIT_CODES = (0, 3, 4, 130)


class RecordStream:
    """Bytes of a journal in any pieces -> whole records."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[JournalRecord]:
        """Return the records that `data` completes."""
        contents = parse_records(self._rest + data)
        self._rest = (self._rest + data)[contents.good_bytes :]
        return contents.records


def make_order(
    request: SessionRequest,
    task: WorkloadFile,
    hardware_type: str,
    sha256_by_task: dict[str, str],
    *,
    journal: bytes = b"",
    has_gate: bool = False,
) -> TaskOrder:
    """Put one task of a request into an order.

    Parameters
    ----------
    request : SessionRequest
        Of the whole command.
    task : WorkloadFile
        Which task, as this machine is to measure it.
    hardware_type : str
        On what.
    sha256_by_task : dict of str to str
        Hashes of the models' jsons: a machine with others refuses.
    journal : bytes
        What is measured already.
    has_gate : bool
        Whether points wait for a common start.

    Returns
    -------
    TaskOrder
        To be sent.

    Raises
    ------
    OSError
        The file of answers cannot be read.
    """
    alone = msgspec.structs.replace(
        request, tasks=(task,), hardware_types=(hardware_type,), resume=False
    )
    body = stored_request(alone, {task.name: sha256_by_task[task.name]})
    return TaskOrder(
        request=msgspec.json.encode(body),
        journal=journal,
        hardware_type=hardware_type,
        task=task.name,
        answers=request.answers.read_bytes() if request.answers else None,
        has_gate=has_gate,
    )


class FollowedTask:
    """A whole task on one machine.

    Parameters
    ----------
    run : TaskRun
        Gets the records.
    host : Host
        Where it runs; the order is given here.
    request : SessionRequest
        Of the whole command.
    sha256_by_task : dict of str to str
        Hashes of the models' jsons.
    observer : Observer
        Told.
    """

    def __init__(
        self,
        run: TaskRun,
        host: Host,
        request: SessionRequest,
        sha256_by_task: dict[str, str],
        observer: Observer,
    ) -> None:
        self.run = run
        self.host = host
        self.failure: Failure | None = None
        self._observer = observer
        self._records = RecordStream()
        self._stream: Any = host.start(
            make_order(
                request,
                run.task,
                run.hardware_type,
                sha256_by_task,
                journal=run.folder.journal.read_bytes(),
            )
        )

    def poll(self, timeout_seconds: float) -> bool:
        """Take the next news, if there is any.

        Returns
        -------
        bool
            Whether the task's command has ended.

        Raises
        ------
        HostLostError
            The machine is gone.
        """
        news = self.host.next_news(self._stream, timeout_seconds)
        if isinstance(news, JournalGrew):
            for record in self._records.feed(news.data):
                if not isinstance(record, TaskOpened):
                    self.run.take(record)
                    show_event(self._observer, record)
        elif isinstance(news, TaskEnded):
            self.run.folder.log.write_bytes(news.log)
            self.failure = failure_of_ending(news, self.host.name)
            return True
        elif isinstance(news, GateAsked):
            raise AssertionError("a whole task waits for nobody")
        return False

    def drain(self) -> None:
        """Take what still comes from a command that was told to stop."""
        for _ in range(round(DRAIN_SECONDS / DRAIN_STEP_SECONDS)):
            try:
                if self.poll(DRAIN_STEP_SECONDS):
                    return
            except HostLostError:
                return


def failure_of_ending(news: TaskEnded, host: str) -> Failure | None:
    """Say what went wrong if a command did not measure.

    Parameters
    ----------
    news : TaskEnded
        How it ended.
    host : str
        Where.

    Returns
    -------
    Failure or None
        None for the exit codes of a command that ran.
    """
    if news.exit_code in KNOWN_EXIT_CODES:
        return None
    error = WorkerError(
        f"the command on node {host} ended with exit code {news.exit_code}",
        detail=news.said,
    )
    return failure_of(error, "start")
