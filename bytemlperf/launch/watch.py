"""Listen to one worker until it ends: events, silence, exit, and the wish to stop.

Input: a started worker and its job. Output: what was learned, as attributes. Nothing
here decides what a failure means for the task.
"""

from __future__ import annotations

import selectors
import signal
from collections.abc import Callable

import msgspec

from bytemlperf.engine.messages import (
    Event,
    Failed,
    Finished,
    Job,
    Phase,
    Recorded,
)
from bytemlperf.errors import MALFORMED, WorkerError
from bytemlperf.launch.frames import FrameBuffer, frame
from bytemlperf.launch.interruption import Interruption
from bytemlperf.launch.journal import is_durable
from bytemlperf.launch.postmortem import log_tail
from bytemlperf.launch.process import WorkerProcess
from bytemlperf.report.schema import Failure
from bytemlperf.runtime.clock import now_ns

__all__ = ["Trouble", "WorkerWatch"]

TERMINATE_SECONDS = 3.0
STACKS_SECONDS = 5.0
STACKS_LOOK_SECONDS = 0.2
EXIT_SECONDS = 10.0
STACKS_LINES = 200
READ_BYTES = 1 << 16
NS_PER_S = 1_000_000_000


class Trouble(msgspec.Struct, frozen=True):
    """Why the watch ended the worker.

    Parameters
    ----------
    kind : str
        ``"hang"`` or ``"protocol"``.
    cause : str
        Continues "the worker ...".
    detail : str or None
        The stacks of a hang, or what was wrong with a message.
    log_tail : str
        Of the moment before the stacks were asked for.
    """

    kind: str
    cause: str
    detail: str | None
    log_tail: str


class WorkerWatch:
    """What one worker said and did.

    Parameters
    ----------
    process : WorkerProcess
        Just started.
    on_event : callable
        Called with every event; see `bytemlperf.launch.worker.run_worker`.
    startup_deadline_seconds : float
        Longest silence before the first `Phase`.
    interruption : Interruption, optional
        Held while `run` runs.
    silence_seconds : float, optional
        Longest silence in any phase, instead of its own deadline.

    Attributes
    ----------
    phase : Phase
        The one in flight.
    failed : Failure or None
        What the worker itself said was wrong.
    trouble : Trouble or None
        Why it was ended from here.
    is_finished, is_interrupted, is_overdue : bool
        It said that it is done; it was asked to stop by the user; it had ended its
        work and did not exit.

    Notes
    -----
    Thread-safety: one thread.
    """

    def __init__(
        self,
        process: WorkerProcess,
        on_event: Callable[[Event], None],
        startup_deadline_seconds: float,
        interruption: Interruption | None,
        silence_seconds: float | None = None,
    ) -> None:
        self.process = process
        self._silence_seconds = silence_seconds
        self.phase = self._allowed(Phase("start", startup_deadline_seconds))
        self.failed: Failure | None = None
        self.trouble: Trouble | None = None
        self.is_finished = False
        self.is_interrupted = False
        self.is_overdue = False
        self._on_event = on_event
        self._interruption = interruption
        self._deadline_ns = 0
        self._frames = FrameBuffer()
        self._decoder = msgspec.msgpack.Decoder(Event)
        self._outgoing = bytearray()
        self._durable_count = 0
        self._selector = selectors.DefaultSelector()

    def has_ended(self) -> bool:
        """Return whether the worker said its last word."""
        return self.is_finished or self.failed is not None

    @property
    def unread_bytes(self) -> int:
        """Bytes of a message that was cut short."""
        return self._frames.pending_bytes

    def run(self, job: Job) -> None:
        """Send the job and listen until the process has ended or has to.

        Parameters
        ----------
        job : Job
            Sent as the first frame.
        """
        with self._selector as selector:
            selector.register(self.process.event_fd, selectors.EVENT_READ, self._read)
            selector.register(self.process.pid_fd, selectors.EVENT_READ, self._drain)
            if self._interruption is not None:
                selector.register(
                    self._interruption, selectors.EVENT_READ, self._interrupt
                )
            self._set_deadline(self.phase.deadline_seconds)
            self._send(job)
            is_over = False
            while not is_over:
                left_ns = self._deadline_ns - now_ns()
                if left_ns <= 0:
                    self._expire()
                    return
                for key, _ in selector.select(left_ns / NS_PER_S):
                    key.data()
                    is_over = is_over or key.fd == self.process.pid_fd
                is_over = is_over or self.trouble is not None
            self.process.stop(0.0)

    # Listening

    def _allowed(self, phase: Phase) -> Phase:
        """Return a phase with the deadline that holds here."""
        seconds = self._silence_seconds
        if seconds is None:
            return phase
        return msgspec.structs.replace(phase, deadline_seconds=seconds)

    def _set_deadline(self, seconds: float) -> None:
        self._deadline_ns = now_ns() + int(seconds * NS_PER_S)

    def _read(self) -> None:
        piece = self.process.read_events(READ_BYTES)
        if piece == b"":
            # Its voice is closed; how it ends, its exit status will say.
            self._selector.unregister(self.process.event_fd)
        elif piece:
            self._feed(piece)

    def _drain(self) -> None:
        """Take what an ended worker had said before."""
        while self.trouble is None:
            piece = self.process.read_events(READ_BYTES)
            if not piece:
                return
            self._feed(piece)

    def _feed(self, piece: bytes) -> None:
        try:
            for body in self._frames.feed(piece):
                self._take(self._decoder.decode(body))
        except (WorkerError, *MALFORMED) as error:
            self.trouble = Trouble(
                "protocol", "broke the message protocol", str(error), self._tail()
            )

    def _take(self, event: Event) -> None:
        if self.has_ended():
            return
        if isinstance(event, Phase):
            self.phase = self._allowed(event)
        elif isinstance(event, Failed):
            self.failed = event.failure
        elif isinstance(event, Finished):
            self.is_finished = True
        self._on_event(event)
        if is_durable(event):
            self._durable_count += 1
            self._send(Recorded(self._durable_count))
        if not self.is_interrupted:
            self._set_deadline(
                EXIT_SECONDS if self.has_ended() else self.phase.deadline_seconds
            )

    # Sending

    def _send(self, message: Job | Recorded) -> None:
        self._outgoing += frame(msgspec.msgpack.encode(message))
        self._write()

    def _write(self) -> None:
        del self._outgoing[: self.process.write_job(self._outgoing)]
        is_waiting = self.process.job_fd in self._selector.get_map()
        if self._outgoing and not is_waiting:
            self._selector.register(
                self.process.job_fd, selectors.EVENT_WRITE, self._write
            )
        elif is_waiting and not self._outgoing:
            self._selector.unregister(self.process.job_fd)

    # Ending

    def _interrupt(self) -> None:
        """Ask the worker to stop; the second time, insist."""
        if self._interruption is not None:
            self._interruption.acknowledge()
        if self.is_interrupted:
            self._set_deadline(0.0)
            return
        self.is_interrupted = True
        self._set_deadline(TERMINATE_SECONDS)
        self.process.signal_group(signal.SIGTERM)

    def _expire(self) -> None:
        """End a worker that was silent for too long."""
        if self.has_ended():
            self.is_overdue = True
        elif not self.is_interrupted:
            self._record_hang()
        self.process.stop(0.0)
        self.process.wait_exit(STACKS_SECONDS)
        self._drain_after_kill()

    def _drain_after_kill(self) -> None:
        """Keep what came at the last moment; a finished job is no hang."""
        trouble, self.trouble = self.trouble, None
        self._drain()
        if not self.has_ended():
            self.trouble = trouble or self.trouble

    def _record_hang(self) -> None:
        tail = self._tail()
        stacks_start_byte = self._log_size()
        # Its own process only: children did not register the signal and would die.
        self.process.signal_leader(signal.SIGUSR1)
        self._await_stacks(stacks_start_byte)
        stacks = log_tail(
            self.process.log_path,
            start_byte=stacks_start_byte,
            max_lines=STACKS_LINES,
        )
        self.trouble = Trouble(
            "hang",
            f"hung: it said nothing for {self.phase.deadline_seconds:g} s",
            f"stacks of its threads:\n{stacks}" if stacks else None,
            tail,
        )

    def _await_stacks(self, before_bytes: int) -> None:
        """Wait until the stacks are in the log, however busy the machine is."""
        end_ns = now_ns() + int(STACKS_SECONDS * NS_PER_S)
        size = before_bytes
        while now_ns() < end_ns:
            self.process.wait_exit(STACKS_LOOK_SECONDS)
            last, size = size, self._log_size()
            if before_bytes < last == size:
                return

    def _log_size(self) -> int:
        try:
            return self.process.log_path.stat().st_size
        except OSError:
            # Somebody removed the log; the tail will say so.
            return 0

    def _tail(self) -> str:
        return log_tail(self.process.log_path, start_byte=self.process.log_start_byte)
