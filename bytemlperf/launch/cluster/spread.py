"""Every point of a task loaded by all machines at once.

Input: a task and the machines. Output: merged points in the task's journal. Each
machine runs the ordinary command with its share of the clients; a warm point waits
until all machines are warm, then all begin at one moment.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from bytemlperf.engine.merge import merge_points
from bytemlperf.engine.messages import (
    Failed,
    Finished,
    PointDone,
    PointFailed,
    PointSkipped,
    Warned,
)
from bytemlperf.engine.placement import Placement, share_out
from bytemlperf.engine.point_plan import MIN_QUERIES
from bytemlperf.errors import WorkerError
from bytemlperf.launch.cluster.follow import (
    RecordStream,
    failure_of_ending,
    make_order,
)
from bytemlperf.launch.cluster.orders import GateAsked, JournalGrew, TaskEnded
from bytemlperf.launch.cluster.view import Host, HostLostError
from bytemlperf.launch.done import DONE_PHASES
from bytemlperf.launch.hardware import failure_of
from bytemlperf.launch.interruption import Interruption
from bytemlperf.launch.journal import JournalRecord, TaskOpened
from bytemlperf.launch.observer import Observer
from bytemlperf.launch.request import SessionRequest
from bytemlperf.launch.task_run import TaskRun, show_event
from bytemlperf.report.schema import Point
from bytemlperf.runtime.clock import now_ns
from bytemlperf.workloads import WorkloadFile

__all__ = ["measure_spread", "merge_hosts"]

# The start has reached every machine by then.
START_DELAY_NS = 500_000_000
POLL_SECONDS = 0.05


class _Member:
    """A machine that loads a share."""

    def __init__(self, host: Host, stream: Any) -> None:
        self.host = host
        self.stream = stream
        self.records = RecordStream()
        self.points: dict[int, Point] = {}
        self.left_out: set[int] = set()
        self.waiting: int | None = None
        self.has_ended = False


def measure_spread(
    run: TaskRun,
    able: Callable[[], list[Host]],
    request: SessionRequest,
    sha256_by_task: dict[str, str],
    *,
    observer: Observer,
    interruption: Interruption,
) -> None:
    """Measure every point of a task on all machines together.

    Parameters
    ----------
    run : TaskRun
        Gets the records.
    able : callable
        Returns the machines that are alive and have the hardware.
    request : SessionRequest
        Of the whole command.
    sha256_by_task : dict of str to str
        Hashes of the models' jsons.
    observer : Observer
        Told.
    interruption : Interruption
        Looked at between news.
    """
    while not run.is_ended and not interruption.is_requested:
        left = tuple(
            size
            for size in run.task.workload.batch_sizes
            if size not in run.done.batch_sizes
        )
        if not left and "compile" in run.done.phases:
            return
        hosts = able()[: run.task.workload.clients]
        if not hosts:
            run.fail(failure_of(WorkerError("no machine is left"), "perf"))
            return
        round_ = _Round(run, hosts, left, observer)
        try:
            round_.begin(request, sha256_by_task)
            if _drive(round_, interruption):
                return
        except HostLostError as error:
            lost = ", ".join(host.name for host in hosts if host.is_lost)
            run.warn(
                f"node {lost} was lost; what was in flight is measured again by the "
                f"others ({error})"
            )
        round_.stop()


def _drive(round_: _Round, interruption: Interruption) -> bool:
    """Follow a round to its end; False if somebody asked to stop before."""
    while not round_.is_over:
        if interruption.is_requested:
            return False
        round_.poll()
    return True


class _Round:
    """The machines that are there, until one of them is lost."""

    def __init__(
        self,
        run: TaskRun,
        hosts: list[Host],
        batch_sizes: tuple[int, ...],
        observer: Observer,
    ) -> None:
        self._run = run
        self._hosts = hosts
        self._batch_sizes = batch_sizes
        self._observer = observer
        self._members: list[_Member] = []

    def begin(self, request: SessionRequest, sha256_by_task: dict[str, str]) -> None:
        """Give every machine its share; the first also judges quality, once."""
        task = self._run.task
        shares = share_out(task.workload.clients, len(self._hosts))
        for number, (host, clients) in enumerate(zip(self._hosts, shares, strict=True)):
            quality = number == 0
            done = self._run.done.phases
            workload = msgspec.structs.replace(
                task.workload,
                clients=clients,
                batch_sizes=self._batch_sizes or task.workload.batch_sizes,
                processes=min(task.workload.processes, clients),
                test_accuracy=(
                    task.workload.test_accuracy and quality and "accuracy" not in done
                ),
                test_numeric=(
                    task.workload.test_numeric and quality and "numeric" not in done
                ),
            )
            share = WorkloadFile(task.name, task.path, task.sha256, workload)
            seeded = msgspec.structs.replace(request, seed=request.seed + number)
            order = make_order(
                seeded, share, self._run.hardware_type, sha256_by_task, has_gate=True
            )
            self._members.append(_Member(host, host.start(order)))

    @property
    def is_over(self) -> bool:
        """Whether every machine's command has ended."""
        return all(member.has_ended for member in self._members)

    def poll(self) -> None:
        """Take one piece of news from each machine."""
        for number, member in enumerate(self._members):
            if member.has_ended:
                continue
            news = member.host.next_news(member.stream, POLL_SECONDS)
            if isinstance(news, JournalGrew):
                for record in member.records.feed(news.data):
                    self._take(number, member, record)
            elif isinstance(news, GateAsked):
                member.waiting = news.batch_size
            elif isinstance(news, TaskEnded):
                member.has_ended = True
                failure = failure_of_ending(news, member.host.name)
                if failure is not None and not self._run.is_ended:
                    self._run.fail(failure)
        self._release()

    def _take(self, number: int, member: _Member, record: JournalRecord) -> None:
        """Put a machine's record where it belongs."""
        if isinstance(record, PointDone):
            member.points[record.point.batch_size] = record.point
            self._merge(record.point.batch_size)
        elif isinstance(record, PointSkipped):
            self._leave_out(member, record.skipped.batch_size, record)
        elif isinstance(record, PointFailed):
            self._leave_out(member, record.failure.batch_size, record)
        elif isinstance(record, Warned):
            self._run.warn(f"node {member.host.name}: {record.text}")
        elif isinstance(record, Failed):
            if not self._run.is_ended:
                self._run.fail(record.failure)
        elif (
            number == 0
            and not isinstance(record, TaskOpened | Finished)
            and DONE_PHASES.get(type(record)) not in self._run.done.phases
        ):
            self._run.take(record)

    def _leave_out(
        self,
        member: _Member,
        batch_size: int | None,
        record: PointSkipped | PointFailed,
    ) -> None:
        """Say once that a point is left out, for whatever machine's reason."""
        if batch_size is not None:
            member.left_out.add(batch_size)
        if batch_size is None or batch_size not in self._run.done.batch_sizes:
            self._run.take(record)
            show_event(self._observer, record)

    def _merge(self, batch_size: int) -> None:
        """Record a point when every machine has measured its share."""
        if batch_size in self._run.done.batch_sizes:
            return
        if not all(batch_size in member.points for member in self._members):
            return
        workload = self._run.task.workload
        merged = merge_hosts(
            [member.points[batch_size] for member in self._members],
            self._hosts,
            clients=workload.clients,
            min_queries=min(MIN_QUERIES, workload.clients * workload.iterations),
        )
        self._run.take(PointDone(merged))
        self._observer.point(merged)

    def _release(self) -> None:
        """Start a point when nobody is left that could still join it."""
        waiting = {member.waiting for member in self._members} - {None}
        for batch_size in waiting:
            if all(
                member.waiting == batch_size
                or member.has_ended
                or batch_size in member.left_out
                for member in self._members
            ):
                start_ns = now_ns() + START_DELAY_NS
                for member in self._members:
                    if member.waiting == batch_size:
                        member.host.release(start_ns)
                        member.waiting = None

    def stop(self) -> None:
        """End every machine's command, and wait for it."""
        for member in self._members:
            member.host.stop()
        for member in self._members:
            try:
                while not member.has_ended:
                    news = member.host.next_news(member.stream, 1.0)
                    member.has_ended = isinstance(news, TaskEnded)
            except HostLostError:
                member.has_ended = True


def merge_hosts(
    points: list[Point], hosts: list[Host], *, clients: int, min_queries: int
) -> Point:
    """Put the machines' shares of a point together, on this machine's clock.

    Parameters
    ----------
    points : list of Point
        One for each machine.
    hosts : list of Host
        In the same order; their clocks' offsets are taken off.
    clients, min_queries : int
        See `merge_points`.

    Returns
    -------
    Point
        Its `parts` are all processes of all machines.
    """
    shifted = [
        msgspec.structs.replace(
            point, window_start_ns=point.window_start_ns - host.offset_ns
        )
        for point, host in zip(points, hosts, strict=True)
    ]
    merged = merge_points(
        shifted,
        placements=[Placement()] * len(shifted),
        clients=clients,
        min_queries=min_queries,
        names=[host.name for host in hosts],
    )
    parts = []
    for point, part, host in zip(shifted, merged.parts, hosts, strict=True):
        for inner in point.parts or [part]:
            offset_ns = inner.start_offset_ns
            if point.parts:
                offset_ns += part.start_offset_ns
            parts.append(
                msgspec.structs.replace(
                    inner, host=host.name, start_offset_ns=offset_ns
                )
            )
    return msgspec.structs.replace(merged, parts=parts)
