"""Where a task's wall time went."""

from __future__ import annotations

import msgspec

__all__ = ["PhaseTime"]


class PhaseTime(msgspec.Struct, frozen=True):
    """Wall time of one phase of a task, as the command saw it.

    Parameters
    ----------
    phase : str
        Such as ``"prepare model"``, ``"compile"`` or ``"perf"``; ``"start"`` is from
        the beginning of a worker process to its first word.
    batch_size : int or None
        Of ``"load"`` and ``"perf"``.
    seconds : float
        From the phase's first word to that of the next, summed if the phase came more
        than once, >= 0.
    """

    phase: str
    batch_size: int | None
    seconds: float
