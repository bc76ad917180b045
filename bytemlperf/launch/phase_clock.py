"""How long each phase of a task takes, by the launcher's own clock.

Input: phases as workers announce them. Output: `PhaseTime`s. The launcher measures, not
the worker: starting a process and importing a framework are part of the wait as well.
"""

from __future__ import annotations

from collections.abc import Iterable

from bytemlperf.report.schema import PhaseTime
from bytemlperf.runtime.clock import now_ns

__all__ = ["PhaseClock"]

NS_PER_S = 1_000_000_000
Key = tuple[str, int | None]


class PhaseClock:
    """Wall time by phase.

    Parameters
    ----------
    earlier : iterable of PhaseTime
        What an earlier command has spent on the task.

    Notes
    -----
    Thread-safety: one thread.
    """

    def __init__(self, earlier: Iterable[PhaseTime] = ()) -> None:
        self._spent_ns: dict[Key, int] = {
            (each.phase, each.batch_size): round(each.seconds * NS_PER_S)
            for each in earlier
        }
        self._running: Key | None = None
        self._since_ns = 0

    def begin(self, phase: str, batch_size: int | None = None) -> None:
        """End the running phase, if there is one, and begin another.

        Parameters
        ----------
        phase : str
            Its name.
        batch_size : int, optional
            Of the point that it is about.
        """
        self.end()
        self._running = (phase, batch_size)
        self._since_ns = now_ns()

    def end(self) -> None:
        """End the running phase; nothing runs until the next one begins."""
        if self._running is not None:
            self._spent_ns[self._running] = self._total_ns(self._running)
        self._running = None

    @property
    def times(self) -> list[PhaseTime]:
        """Every phase so far, in the order of their first beginnings."""
        keys = list(self._spent_ns)
        if self._running is not None and self._running not in self._spent_ns:
            keys.append(self._running)
        return [
            PhaseTime(phase, size, self._total_ns((phase, size)) / NS_PER_S)
            for phase, size in keys
        ]

    def seconds_in(self, *phases: str) -> float:
        """Sum up what some phases took, whatever the batch size.

        Parameters
        ----------
        *phases : str
            Names.

        Returns
        -------
        float
            s, >= 0.
        """
        return sum(each.seconds for each in self.times if each.phase in phases)

    def _total_ns(self, key: Key) -> int:
        """Return what a phase has taken, up to now if it is running."""
        since = now_ns() - self._since_ns if key == self._running else 0
        return self._spent_ns.get(key, 0) + since
