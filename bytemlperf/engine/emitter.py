"""The worker's voice: events up the pipe, with progress held to a readable rate.

Input: events from any thread, and the launcher's receipts. Output: frames. It refuses
to know what they mean.
"""

from __future__ import annotations

import threading
from typing import BinaryIO

from bytemlperf.engine.messages import (
    Event,
    Phase,
    Progress,
    write_frame,
)
from bytemlperf.engine.recordable import check_recordable
from bytemlperf.runtime.clock import now_ns

__all__ = ["Emitter"]

PROGRESS_INTERVAL_NS = 250_000_000


class Emitter:
    """Write events to the launcher.

    Parameters
    ----------
    stream : BinaryIO
        The writing end of the event pipe.

    Notes
    -----
    Thread-safety: every method may be called from any thread.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self._next_progress_ns = 0
        self._receipts = threading.Condition()
        self._sent_count = 0
        self._recorded_count = 0
        self.phase_name = "start"

    def emit(self, event: Event) -> None:
        """Send one event.

        Parameters
        ----------
        event : Event
            Any message of the protocol.
        """
        with self._lock:
            write_frame(self._stream, event)

    def record(self, event: Event) -> None:
        """Send one event and wait until the launcher has it on disk.

        Parameters
        ----------
        event : Event
            One that the journal keeps.

        Raises
        ------
        WorkerError
            It cannot be put on record; nothing was sent.
        """
        check_recordable(event)
        self.emit(event)
        with self._receipts:
            self._sent_count += 1
            self._receipts.wait_for(lambda: self._recorded_count >= self._sent_count)

    def acknowledge(self, recorded_count: int) -> None:
        """Take the launcher's receipt.

        Parameters
        ----------
        recorded_count : int
            Events of this worker on disk so far.
        """
        with self._receipts:
            self._recorded_count = recorded_count
            self._receipts.notify_all()

    def phase(
        self,
        name: str,
        deadline_seconds: float,
        detail: str = "",
        batch_size: int | None = None,
    ) -> None:
        """Announce a phase and how long silence in it may last.

        Parameters
        ----------
        name : str
            Such as ``"compile"``.
        deadline_seconds : float
            Longer silence is taken for a hang, > 0.
        detail : str
            For a person.
        batch_size : int, optional
            The point in flight.
        """
        self.phase_name = name
        self._next_progress_ns = 0
        self.emit(Phase(name, deadline_seconds, detail, batch_size))

    def progress(self, done: int, total: int, text: str = "") -> None:
        """Say how far the phase is, at most four times a second.

        Parameters
        ----------
        done, total : int
            Steps; `total` 0 means unknown.
        text : str
            What the step is.
        """
        moment_ns = now_ns()
        if moment_ns < self._next_progress_ns and done != total:
            return
        self._next_progress_ns = moment_ns + PROGRESS_INTERVAL_NS
        self.emit(Progress(done, total, text))
