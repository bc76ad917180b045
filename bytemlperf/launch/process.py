"""A worker as the operating system sees it: a session, two pipes and a log file.

Input: a command. Output: descriptors to listen to and a way to end all of it. It
refuses to know what goes through the pipes.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

from bytemlperf.errors import StorageError, WorkerError

__all__ = ["WorkerProcess", "start_guard", "stop_guard"]


class WorkerProcess:
    """Start a worker in a session of its own; leave nothing of it behind.

    Parameters
    ----------
    command : sequence of str
        The program; ``--job-fd N --event-fd M`` is added.
    env : mapping of str to str
        The whole environment.
    log_path : Path
        Both output streams are appended here; the folder exists.

    Attributes
    ----------
    job_fd, event_fd, pid_fd : int
        Writing end, reading end (both non-blocking), and a descriptor that becomes
        readable when the process ends.
    log_start_byte : int
        Where this worker's part of the log begins.

    Raises
    ------
    StorageError
        The log cannot be opened.
    WorkerError
        The program cannot be started.

    Notes
    -----
    Thread-safety: one thread. The job pipe's writing end is in this process only, so
    that the worker reads its end when this process is gone, however it went.
    """

    def __init__(
        self, command: Sequence[str], *, env: Mapping[str, str], log_path: Path
    ) -> None:
        log_fd = _open_log(log_path)
        self.log_path = log_path
        self.log_start_byte = os.fstat(log_fd).st_size
        job_read_fd, self.job_fd = os.pipe()
        self.event_fd, event_write_fd = os.pipe()
        pipe_fds = ["--job-fd", str(job_read_fd), "--event-fd", str(event_write_fd)]
        try:
            self._process = subprocess.Popen(
                [*command, *pipe_fds],
                stdin=subprocess.DEVNULL,
                stdout=log_fd,
                stderr=log_fd,
                env=dict(env),
                pass_fds=(job_read_fd, event_write_fd),
                start_new_session=True,
            )
        except OSError as error:
            os.close(self.job_fd)
            os.close(self.event_fd)
            raise WorkerError(
                f"the worker could not be started: {error.strerror}",
                detail=f"command: {' '.join(command)}",
            ) from error
        finally:
            os.close(log_fd)
            os.close(job_read_fd)
            os.close(event_write_fd)
        os.set_blocking(self.job_fd, False)
        os.set_blocking(self.event_fd, False)
        self.pid = self._process.pid
        self.pid_fd = os.pidfd_open(self.pid)
        self._guard = start_guard(self.pid)

    def __enter__(self) -> WorkerProcess:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.reap()
        for fd in (self.job_fd, self.event_fd, self.pid_fd):
            os.close(fd)

    def write_job(self, data: bytes | bytearray) -> int:
        """Write as much to the job pipe as it takes now.

        Parameters
        ----------
        data : bytes
            What is left to send.

        Returns
        -------
        int
            Bytes that need not be offered again: all of them if the worker closed its
            end, because then nobody will read them.
        """
        if not data:
            return 0
        try:
            return os.write(self.job_fd, data)
        except BlockingIOError:
            return 0
        except BrokenPipeError:
            return len(data)

    def read_events(self, max_bytes: int) -> bytes | None:
        """Read what is there of the event pipe.

        Parameters
        ----------
        max_bytes : int
            Most bytes to take.

        Returns
        -------
        bytes or None
            None if there is nothing now; empty at the end of the stream.
        """
        try:
            return os.read(self.event_fd, max_bytes)
        except BlockingIOError:
            return None

    def wait_exit(self, seconds: float) -> bool:
        """Wait for the process to end.

        Parameters
        ----------
        seconds : float
            Longest wait, >= 0.

        Returns
        -------
        bool
            Whether it has ended (it is not reaped).
        """
        poll = select.poll()
        poll.register(self.pid_fd, select.POLLIN)
        return bool(poll.poll(seconds * 1000))

    def signal_group(self, number: signal.Signals) -> None:
        """Send a signal to every process of the worker's group.

        Parameters
        ----------
        number : signal.Signals
            Sent only while the worker is not reaped, so that its id is still its own.
        """
        if self._process.returncode is not None:
            return
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            # The group is empty: what was wanted is already so.
            return

    def signal_leader(self, number: signal.Signals) -> None:
        """Send a signal to the worker itself and to none of its children.

        Parameters
        ----------
        number : signal.Signals
            Dropped if the worker has ended.
        """
        try:
            # Not Popen.send_signal: it reaps, and with that frees the group's id.
            signal.pidfd_send_signal(self.pid_fd, number)
        except ProcessLookupError:
            # It ended by itself; its exit status tells how.
            return

    def stop(self, grace_seconds: float) -> None:
        """End the worker: ask first, then insist.

        Parameters
        ----------
        grace_seconds : float
            Time between SIGTERM and SIGKILL; 0 insists at once.
        """
        if grace_seconds > 0:
            self.signal_group(signal.SIGTERM)
            self.wait_exit(grace_seconds)
        self.signal_group(signal.SIGKILL)

    def reap(self) -> int:
        """End what is left of the group, and collect the exit status.

        Returns
        -------
        int
            As `subprocess` gives it: negative is a signal.
        """
        # A child that the worker forgot would keep its cores busy under the next
        # measurement. The unreaped leader keeps the group's id from being reused.
        self.signal_group(signal.SIGKILL)
        stop_guard(self._guard)
        return self._process.wait()


def start_guard(pid: int) -> subprocess.Popen[bytes]:
    """Start a process that ends another's group when this process is gone.

    Parameters
    ----------
    pid : int
        The leader of the group.

    Returns
    -------
    Popen
        To be given to `stop_guard` before `pid` is reaped.

    Notes
    -----
    The process itself cannot do that for its children: the kernel's parent-death
    signal reaches only itself, and may do so before any of its threads can act. The
    guard reads from a pipe that only this process writes to, and so never returns from
    reading while this process lives.
    """
    return subprocess.Popen(
        ["/bin/sh", "-c", 'read _; kill -s KILL -- "-$1"', "guard", str(pid)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def stop_guard(guard: subprocess.Popen[bytes]) -> None:
    """End a guard, so that nobody wants to kill a group whose id is free for others.

    Parameters
    ----------
    guard : Popen
        From `start_guard`; may have been stopped.
    """
    if guard.returncode is None:
        guard.kill()
        guard.communicate()


def _open_log(path: Path) -> int:
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        # Named, because os.open would make it a program.
        return os.open(path, flags, 0o666)
    except OSError as error:
        raise StorageError(
            f"cannot write the worker's log {path}: {error.strerror}"
        ) from error
