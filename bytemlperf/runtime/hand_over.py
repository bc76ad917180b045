"""How queries reach predict threads, and what waiting for each other cost.

Plain figures, and the rule by which threads may spin. It knows no samples and no loop.
"""

from __future__ import annotations

import os

import msgspec

__all__ = ["HandOver", "WaitCounts", "can_spin"]


class WaitCounts(msgspec.Struct, frozen=True):
    """How often one side waited for the other, and how.

    Parameters
    ----------
    hit_count : int
        Waits that ended while spinning.
    miss_count : int
        Waits spun for in vain, then slept through.
    parked_count : int
        Waits slept through without a try.
    preempted_count : int
        Times a spinning thread was taken off its processor: it then stops trying.
    spun_ns : int
        Processor time burnt by spinning, ns.
    moved_count : int
        Times it woke up on the other side's processor, and moved to another.
    """

    hit_count: int = 0
    miss_count: int = 0
    parked_count: int = 0
    preempted_count: int = 0
    spun_ns: int = 0
    moved_count: int = 0

    def __add__(self, other: WaitCounts) -> WaitCounts:
        """Sum two sides of the same kind."""
        return WaitCounts(
            *(
                a + b
                for a, b in zip(
                    *map(msgspec.structs.astuple, (self, other)), strict=True
                )
            )
        )

    def __sub__(self, earlier: WaitCounts) -> WaitCounts:
        """Take away what had been counted before."""
        return WaitCounts(
            *(
                a - b
                for a, b in zip(
                    *map(msgspec.structs.astuple, (self, earlier)), strict=True
                )
            )
        )


class HandOver(msgspec.Struct, frozen=True):
    """Waits of both sides of a hand-over.

    Parameters
    ----------
    clients : WaitCounts
        Of whoever asks, for answers.
    predict : WaitCounts
        Of all predict threads, for queries.
    """

    clients: WaitCounts = WaitCounts()
    predict: WaitCounts = WaitCounts()

    def __sub__(self, earlier: HandOver) -> HandOver:
        """Take away what had been counted before."""
        return HandOver(self.clients - earlier.clients, self.predict - earlier.predict)


def can_spin(predict_threads: int) -> bool:
    """Tell whether there is a processor for every thread that could spin.

    Parameters
    ----------
    predict_threads : int
        Beside the one of the event loop.

    Returns
    -------
    bool
        False where this process may use fewer processors than it has such threads.
    """
    return len(os.sched_getaffinity(0)) > predict_threads
