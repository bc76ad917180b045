"""Count the inputs that a framework could not read where they lay.

Input: sizes of arrays that were copied. Output: two counts. It times nothing: a copy is
inside `service`.
"""

from __future__ import annotations

import threading

__all__ = ["CopiedInputs"]


class CopiedInputs:
    """Arrays that were copied before a framework could read them.

    Notes
    -----
    Thread-safety: any thread.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count = 0
        self._bytes = 0

    def add(self, nbytes: int) -> None:
        """Count one more.

        Parameters
        ----------
        nbytes : int
            Its size, >= 0.
        """
        with self._lock:
            self._count += 1
            self._bytes += nbytes

    @property
    def so_far(self) -> tuple[int, int]:
        """Arrays copied, and their bytes together."""
        with self._lock:
            return self._count, self._bytes
