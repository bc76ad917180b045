"""What runs on a machine of the cluster: the ordinary command, and its journal sent on.

Input: orders. Output: news of them. A machine measures as it would alone, with its own
environments, cache and supervision; what is lost with the machine is the point in
flight, for every record before it has left.
"""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec

import bytemlperf
from bytemlperf.launch.cluster.orders import (
    GateAsked,
    JournalGrew,
    NodeFacts,
    NodeNews,
    TaskEnded,
    TaskOrder,
)
from bytemlperf.launch.resume import REQUEST_NAME, relocated
from bytemlperf.report.storage import OutFolder
from bytemlperf.runtime.clock import now_ns

__all__ = ["Node"]

POLL_SECONDS = 0.1
TAIL_BYTES = 16 * 1024
PR_SET_PDEATHSIG = 1
# The kernel ends the command when the process that holds this program is gone.
TIED = (
    "import ctypes, os, signal, sys;"
    f"ctypes.CDLL(None).prctl({PR_SET_PDEATHSIG}, signal.SIGTERM);"
    "os.execv(sys.executable, [sys.executable, '-m', 'bytemlperf', *sys.argv[1:]])"
)


class Node:
    """One machine; the driver makes it a Ray actor with two threads.

    Notes
    -----
    Thread-safety: one `run` at a time; `now`, `release` and `stop` beside it.
    """

    def __init__(self) -> None:
        self._gate: _Gate | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def facts(self) -> bytes:
        """Return `NodeFacts`."""
        return msgspec.msgpack.encode(
            NodeFacts(
                host=platform.node(),
                cores=os.cpu_count() or 1,
                bytemlperf_version=bytemlperf.__version__,
                python_version=platform.python_version(),
            )
        )

    def now(self) -> int:
        """Return this machine's monotonic clock, ns."""
        return now_ns()

    def release(self, start_ns: int) -> None:
        """Let the point that waits begin at a moment of this machine's clock."""
        if self._gate is not None:
            self._gate.release(start_ns)

    def stop(self) -> None:
        """End the command, as Ctrl-C would."""
        if self._process is not None:
            self._process.terminate()

    def run(self, order_body: bytes) -> Iterator[bytes]:
        """Do an order.

        Parameters
        ----------
        order_body : bytes
            A `TaskOrder`.

        Yields
        ------
        bytes
            `NodeNews`; the last is a `TaskEnded`.
        """
        order = msgspec.msgpack.decode(order_body, type=TaskOrder)
        folder = Path(tempfile.mkdtemp(prefix="bytemlperf-node-"))
        try:
            for news in self._run(order, folder):
                yield msgspec.msgpack.encode(news)
        finally:
            self.stop()
            shutil.rmtree(folder, ignore_errors=True)

    def _run(self, order: TaskOrder, folder: Path) -> Iterator[NodeNews]:
        out = folder / "out"
        task = OutFolder(out).task(order.hardware_type, order.task)
        task.path.mkdir(parents=True)
        answers = None
        if order.answers is not None:
            answers = folder / "answers.json"
            answers.write_bytes(order.answers)
        if order.journal:
            task.journal.write_bytes(order.journal)
        with contextlib.ExitStack() as stack:
            if order.has_gate:
                self._gate = stack.enter_context(_Gate(folder / "gate"))
            (out / REQUEST_NAME).write_bytes(
                relocated(
                    order.request,
                    answers=answers,
                    start_gate=str(folder / "gate") if order.has_gate else None,
                )
            )
            said = stack.enter_context((folder / "said").open("w+b"))
            self._process = subprocess.Popen(
                [sys.executable, "-c", TIED, "--resume", str(out), "--ui", "plain"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=said,
            )
            yield from self._follow(task.journal, len(order.journal))
            said.seek(0)
            yield TaskEnded(
                exit_code=self._process.returncode,
                said=said.read()[-TAIL_BYTES:].decode(errors="replace"),
                log=task.log.read_bytes()[-TAIL_BYTES:] if task.log.exists() else b"",
            )

    def _follow(self, journal: Path, start: int) -> Iterator[NodeNews]:
        """Send what is appended to the journal until the command has ended.

        Yields
        ------
        NodeNews
            Without the end.
        """
        process = self._process
        assert process is not None
        asked = 0
        while True:
            # Read after the end has been seen, not before: nothing is missed.
            has_ended = process.poll() is not None
            data = _read_from(journal, start)
            start += len(data)
            if data:
                yield JournalGrew(data)
            if self._gate is not None:
                waiting = self._gate.asked[asked:]
                asked += len(waiting)
                for batch_size in waiting:
                    yield GateAsked(batch_size)
            if has_ended:
                return
            threading.Event().wait(POLL_SECONDS)


def _read_from(path: Path, start: int) -> bytes:
    try:
        with path.open("rb") as stream:
            stream.seek(start)
            return stream.read()
    except FileNotFoundError:
        return b""


class _Gate:
    """Where a warm point asks when to begin; one at a time."""

    def __init__(self, path: Path) -> None:
        self.asked: list[int] = []
        self._channel: socket.socket | None = None
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(path))
        self._listener.listen()

    def __enter__(self) -> _Gate:
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        # Wakes the thread up; closing alone would not.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                channel, _ = self._listener.accept()
            except OSError:
                # Closed: the command has ended.
                return
            line = channel.makefile("rb").readline(64)
            self._channel = channel
            self.asked.append(int(line))

    def release(self, start_ns: int) -> None:
        if self._channel is not None:
            self._channel.sendall(f"{start_ns}\n".encode())
            self._channel.close()
            self._channel = None
