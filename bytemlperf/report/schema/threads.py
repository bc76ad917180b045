"""Where a point's threads were allowed to run, and what they used."""

from __future__ import annotations

import msgspec

__all__ = ["ThreadGroup"]


class ThreadGroup(msgspec.Struct, frozen=True):
    """Threads of one role that were allowed on the same processors.

    Parameters
    ----------
    role : str
        ``"loop"`` (of events, or of native clients), ``"pacer"``, ``"predict"``,
        ``"intra_op"`` (not made by Python: a framework's) or ``"other"``.
    count : int
        Threads.
    busy_count : int
        Those that used at least a tenth of the window.
    cpus : list of int
        Processors that they were allowed to use, as read back from the kernel.
    is_as_asked : bool or None
        Whether these are the ones that were asked for; None: none were.
    cpu_ns : int
        Their processor time over the window.
    run_delay_ns : int or None
        How long they could have run, but had no processor; None: not readable.
    involuntary_switches : int
        Times a processor was taken away from them.
    """

    role: str
    count: int
    busy_count: int
    cpus: list[int]
    is_as_asked: bool | None
    cpu_ns: int
    run_delay_ns: int | None
    involuntary_switches: int
