"""One command over a cluster: its tasks shared out, or each loaded by all machines.

Input: a `SessionRequest`. Output: the same files as of a local run, on this machine. A
machine that is lost costs what it had not sent: its task goes on elsewhere.
"""

from __future__ import annotations

from collections import deque

from bytemlperf.backends import BackendInfo
from bytemlperf.engine.messages import Finished
from bytemlperf.errors import ConfigError, WorkerError
from bytemlperf.launch.cluster.follow import FollowedTask
from bytemlperf.launch.cluster.spread import measure_spread
from bytemlperf.launch.cluster.view import Host, HostLostError, connected
from bytemlperf.launch.hardware import failure_of
from bytemlperf.launch.index_file import IndexFile
from bytemlperf.launch.interruption import Interruption
from bytemlperf.launch.observer import Observer
from bytemlperf.launch.request import SessionRequest
from bytemlperf.launch.resume import save_request
from bytemlperf.launch.session_setup import (
    check_models,
    find_backends,
    hash_models,
    locked_folder,
)
from bytemlperf.launch.task_run import TaskRun
from bytemlperf.report.schema import InvocationIndex
from bytemlperf.report.storage import OutFolder
from bytemlperf.runtime.clock import utc_now
from bytemlperf.workloads import WorkloadFile

__all__ = ["run_cluster_session"]

POLL_SECONDS = 0.1


def run_cluster_session(
    request: SessionRequest,
    observer: Observer,
    *,
    address: str | None = None,
    spread: bool = False,
) -> InvocationIndex:
    """Measure every task of a request on the machines of a Ray cluster.

    Parameters
    ----------
    request : SessionRequest
        What is wanted.
    observer : Observer
        Told of everything, after it is on this machine's disk.
    address : str or None
        Of the cluster's head; None: the cluster this machine belongs to, or else this
        machine alone.
    spread : bool
        False: tasks are shared out, one at a time on each machine. True: every point
        is loaded by all machines at once, which share its clients.

    Returns
    -------
    InvocationIndex
        As written to ``index.json``.

    Raises
    ------
    ConfigError
        As for `run_session`; or Ray is missing, or the cluster does not answer.
    StorageError
        A result cannot be written.
    """
    if spread:
        _check_spread(request)
    sha256_by_task = hash_models(request)
    infos = find_backends(request)
    if request.resume:
        check_models(request, sha256_by_task)
    out = OutFolder.prepare(request.out_dir)
    with locked_folder(out), Interruption() as interruption, interruption.held():
        if not request.resume:
            save_request(request, out, sha256_by_task)
        with connected(address) as hosts:
            session = _ClusterSession(
                request, observer, out, interruption, hosts, sha256_by_task
            )
            return session.run(infos, spread=spread)


def _check_spread(request: SessionRequest) -> None:
    """Refuse what would be loaded with another rate than was asked for."""
    for task in request.tasks:
        if task.workload.is_open:
            raise ConfigError(
                f"{task.name}: --spread shares clients, and the open loop "
                f"{task.workload.scenario} has none",
                hint="leave --spread out: each machine then runs whole tasks",
            )


class _ClusterSession:
    """One command in flight."""

    def __init__(
        self,
        request: SessionRequest,
        observer: Observer,
        out: OutFolder,
        interruption: Interruption,
        hosts: list[Host],
        sha256_by_task: dict[str, str],
    ) -> None:
        self._request = request
        self._observer = observer
        self._out = out
        self._interruption = interruption
        self._hosts = hosts
        self._sha256_by_task = sha256_by_task
        self._index = IndexFile(out, request.command_line)
        self._running: dict[str, FollowedTask] = {}
        # Tasks that this command has begun: those are gone on with.
        self._opened: set[tuple[str, str]] = set()

    def run(self, infos: list[BackendInfo], *, spread: bool) -> InvocationIndex:
        """Measure all of it, or until somebody asks to stop."""
        pairs = deque(
            (info.hardware_type, task) for info in infos for task in self._request.tasks
        )
        for hardware_type, task in pairs:
            self._index.expect(hardware_type, task.name)
        self._write_index()
        count = len(pairs)
        if spread:
            for number, (hardware_type, task) in enumerate(pairs, start=1):
                if self._interruption.is_requested:
                    break
                self._observer.task_started(task.name, hardware_type, number, count)
                self._spread(hardware_type, task)
        else:
            self._share_out(pairs, count)
        return self._write_index()

    def _share_out(self, pending: deque[tuple[str, WorkloadFile]], count: int) -> None:
        """Give every idle machine a task that it can run, until none is left."""
        started: list[tuple[str, WorkloadFile]] = []
        while pending or self._running:
            if self._interruption.is_requested:
                for followed in self._running.values():
                    followed.host.stop()
                    followed.drain()
                    self._end(followed)
                self._running.clear()
                return
            for host in self._hosts:
                pair = self._choose(host, pending)
                if pair is None:
                    continue
                hardware_type, task = pair
                if pair not in started:
                    started.append(pair)
                self._observer.task_started(
                    task.name,
                    f"{hardware_type}, node {host.name}",
                    started.index(pair) + 1,
                    count,
                )
                self._begin(host, hardware_type, task)
            if not self._running and pending:
                hardware_type, task = pending.popleft()
                self._refuse(hardware_type, task)
            for name, followed in list(self._running.items()):
                self._follow(name, followed, pending)

    def _choose(
        self, host: Host, pending: deque[tuple[str, WorkloadFile]]
    ) -> tuple[str, WorkloadFile] | None:
        """Take the first task that an idle machine may run."""
        if host.is_lost or host.name in self._running:
            return None
        for pair in pending:
            if host in self._able(pair[0]):
                pending.remove(pair)
                return pair
        return None

    def _able(self, hardware_type: str) -> list[Host]:
        """Return the machines that have a hardware type.

        Labelled ones, if any machine of the cluster is; else all: the label is for
        hardware that not every machine has.
        """
        alive = [host for host in self._hosts if not host.is_lost]
        labelled = [host for host in self._hosts if host.has_hardware(hardware_type)]
        return [host for host in alive if not labelled or host in labelled]

    def _begin(self, host: Host, hardware_type: str, task: WorkloadFile) -> None:
        run = self._open(hardware_type, task)
        if run.is_ended:
            self._close(run)
            return
        followed = FollowedTask(
            run, host, self._request, self._sha256_by_task, self._observer
        )
        self._running[host.name] = followed

    def _follow(
        self,
        name: str,
        followed: FollowedTask,
        pending: deque[tuple[str, WorkloadFile]],
    ) -> None:
        """Take a machine's news; give its task to another if it is lost."""
        try:
            if not followed.poll(POLL_SECONDS):
                return
        except HostLostError as error:
            run = followed.run
            run.warn(f"node {name} was lost; the task goes on elsewhere ({error})")
            pending.appendleft((run.hardware_type, run.task))
            self._close(run)
            del self._running[name]
            return
        self._end(followed)
        del self._running[name]

    def _end(self, followed: FollowedTask) -> None:
        """Close a task whose command has ended."""
        run = followed.run
        if followed.failure is not None and not run.is_ended:
            run.fail(followed.failure)
        self._close(run)

    def _refuse(self, hardware_type: str, task: WorkloadFile) -> None:
        run = self._open(hardware_type, task)
        error = WorkerError(
            f"no machine of the cluster has {hardware_type}",
            hint=f"a node says that it has by the resource hardware_{hardware_type}",
        )
        run.fail(failure_of(error, "start"))
        self._close(run)

    def _spread(self, hardware_type: str, task: WorkloadFile) -> None:
        run = self._open(hardware_type, task)
        if not run.is_ended:
            measure_spread(
                run,
                lambda: self._able(hardware_type),
                self._request,
                self._sha256_by_task,
                observer=self._observer,
                interruption=self._interruption,
            )
            if not self._interruption.is_requested and not run.is_ended:
                run.take(Finished(utc_now().isoformat()))
        self._close(run)

    def _open(self, hardware_type: str, task: WorkloadFile) -> TaskRun:
        key = (hardware_type, task.name)
        goes_on = self._request.resume or key in self._opened
        self._opened.add(key)
        return TaskRun(
            task,
            hardware_type,
            folder=self._out.task(hardware_type, task.name),
            observer=self._observer,
            interruption=self._interruption,
            command_line=self._request.command_line,
            resume=goes_on,
        )

    def _close(self, run: TaskRun) -> None:
        with run:
            result = run.publish()
        self._index.enter(result, run.folder)
        self._observer.task_finished(result, run.folder.result)
        self._write_index()

    def _write_index(self) -> InvocationIndex:
        self._index.nodes = [host.entry for host in self._hosts]
        return self._index.write(is_interrupted=self._interruption.is_requested)
