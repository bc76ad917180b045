"""How queries and their data reached `predict`: waits between threads, and copies."""

from __future__ import annotations

import msgspec

__all__ = ["HandOverReport", "InputReport", "WaitReport"]


class WaitReport(msgspec.Struct, frozen=True):
    """How often one side waited for the other in the window, and how.

    Parameters
    ----------
    spun_count : int
        Waits that ended while spinning: nobody had to be woken.
    slept_count : int
        Waits that ended with a wake-up of a sleeping thread.
    slept_after_spin_count : int
        Of these, how many were spun for in vain first.
    preempted_count : int
        Times a spinning thread lost its processor: it then stops trying for a while.
    spun_ns : int
        Processor time that spinning took.
    moved_count : int
        Times it left the processor that it shared with the other side.
    """

    spun_count: int
    slept_count: int
    slept_after_spin_count: int
    preempted_count: int
    spun_ns: int
    moved_count: int


class HandOverReport(msgspec.Struct, frozen=True):
    """What handing queries over between threads took in the window.

    Parameters
    ----------
    clients : WaitReport
        Waits of whoever asks, for answers.
    predict : WaitReport
        Waits of predict threads, for queries.
    """

    clients: WaitReport
    predict: WaitReport


class InputReport(msgspec.Struct, frozen=True):
    """What a backend did with its inputs, from the warm-up to the window's end.

    Parameters
    ----------
    copied_count : int
        Arrays that the backend copied before its framework could read them.
    copied_bytes : int
        Their size together; the time it took is within `service`.
    """

    copied_count: int
    copied_bytes: int
