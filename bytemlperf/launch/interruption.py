"""A wish to stop, told by signal, that never tears what is being written.

Input: SIGINT, SIGTERM and SIGHUP. Output: `KeyboardInterrupt` where nothing is at
stake; inside `Interruption.held` a readable descriptor instead, so that an event that
has been read is also journalled.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any

__all__ = ["Interruption"]

INSISTENT_COUNT = 3
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interruption:
    """Listen for the signals that ask a command to stop, while the context is open.

    Outside the main thread nothing is installed (Python allows it nowhere else) and
    the owner of the process interrupts as it likes.

    Parameters
    ----------
    is_listening : bool, default True
        Whether signals are listened for; if not, only `request` asks to stop.

    Notes
    -----
    Thread-safety: open and close it in one thread; `request` may be called from any.
    Signals that the parent process had ignored (nohup) stay ignored.
    """

    def __init__(self, *, is_listening: bool = True) -> None:
        self._is_listening = is_listening
        self._read_fd, self._write_fd = -1, -1
        self._before: dict[signal.Signals, Any] = {}
        self._holds = 0
        self.signal_name: str | None = None
        self.count = 0

    def __repr__(self) -> str:
        """Show what came."""
        return f"<Interruption [{self.count} received | {self.signal_name}]>"

    @property
    def is_requested(self) -> bool:
        """Whether somebody asked to stop."""
        return self.count > 0

    def __enter__(self) -> Interruption:
        self._read_fd, self._write_fd = os.pipe()
        os.set_blocking(self._read_fd, False)
        os.set_blocking(self._write_fd, False)
        is_main = threading.current_thread() is threading.main_thread()
        if self._is_listening and is_main:
            for number in SIGNALS:
                before = signal.getsignal(number)
                if before is not signal.SIG_IGN:
                    self._before[number] = before
                    signal.signal(number, self._receive)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, before in self._before.items():
            # None: the handler was not installed from Python and cannot be put back.
            signal.signal(number, signal.SIG_DFL if before is None else before)
        self._before.clear()
        os.close(self._read_fd)
        os.close(self._write_fd)

    def request(self, cause: str) -> None:
        """Ask to stop as a signal does that comes while it is held.

        Parameters
        ----------
        cause : str
            Such as the name of a signal.
        """
        self.signal_name = cause
        self.count += 1
        self._wake()

    def fileno(self) -> int:
        """Return a descriptor that is readable after a signal came while held."""
        return self._read_fd

    def acknowledge(self) -> None:
        """Make the descriptor wait for the next signal."""
        try:
            while os.read(self._read_fd, 64):
                pass
        except BlockingIOError:
            # The pipe is empty, which is what was wanted.
            return

    @contextmanager
    def held(self) -> Iterator[None]:
        """Turn signals into `fileno` being readable while the context is open."""
        self._holds += 1
        try:
            yield
        finally:
            self._holds -= 1

    @contextmanager
    def released(self) -> Iterator[None]:
        """Let signals raise again, for a long call that watches no descriptor.

        Raises
        ------
        KeyboardInterrupt
            At once if a signal came before, else when one comes.
        """
        holds, self._holds = self._holds, 0
        try:
            if self.is_requested:
                raise KeyboardInterrupt(self.signal_name)
            yield
        finally:
            self._holds = holds

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self.signal_name = signal.Signals(number).name
        self.count += 1
        # The third time somebody means it, whatever is being written.
        if self._holds and self.count < INSISTENT_COUNT:
            self._wake()
        else:
            raise KeyboardInterrupt(self.signal_name)

    def _wake(self) -> None:
        """Make the descriptor readable."""
        try:
            os.write(self._write_fd, b"!")
        except BlockingIOError:
            # Full of unread signals: the reader will see those.
            return
