"""What a process holds, and whether it grows: pages, and the allocator's books.

Resident memory alone cannot tell a leak from an allocator that keeps pages: what glibc
says is *in use* (``mallinfo2``, over all arenas) is what somebody still owns.
"""

from __future__ import annotations

import ctypes
import gc
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import psutil

from bytemlperf.statistics.probability import student_quantile

MIB = 1 << 20
# Neighbouring looks resemble each other; means of so many groups of them hardly do.
MAX_GROUPS = 10
MIN_GROUPS = 4
MIN_LOOKS = 4 * MIN_GROUPS


class _MallInfo(ctypes.Structure):
    """``struct mallinfo2`` of glibc 2.33 and later; bytes, except where counted."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            "arena", "ordblks", "smblks", "hblks", "hblkhd",
            "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost",
        )
    ]  # fmt: skip


def _mallinfo() -> _MallInfo | None:
    try:
        function = ctypes.CDLL(None).mallinfo2
    except AttributeError:
        return None
    function.restype = _MallInfo
    return function()


def trim() -> None:
    """Have the allocator give back every page that nobody owns (glibc)."""
    ctypes.CDLL(None).malloc_trim(0)


@dataclass(frozen=True)
class State:
    """What a process holds at a moment.

    Parameters
    ----------
    done : int
        Queries or cycles so far.
    rss_bytes, heap_bytes, file_bytes : int
        Resident memory; of it private pages without a file, and pages of files.
    used_bytes, free_bytes : int
        What the allocator has given out, and what it keeps without an owner; -1 where
        there is no ``mallinfo2``.
    objects : int
        That Python's garbage collector knows.
    threads, descriptors : int
        Of the process.
    """

    done: int
    rss_bytes: int
    heap_bytes: int
    file_bytes: int
    used_bytes: int
    free_bytes: int
    objects: int
    threads: int
    descriptors: int

    @classmethod
    def now(cls, done: int) -> State:
        """Read it."""
        process = psutil.Process()
        books = _mallinfo()
        memory = process.memory_full_info()
        return cls(
            done,
            memory.rss,
            memory.uss,
            memory.rss - memory.uss,
            books.uordblks + books.hblkhd if books else -1,
            books.fordblks if books else -1,
            len(gc.get_objects()),
            process.num_threads(),
            process.num_fds(),
        )

    def row(self) -> str:
        """Write it as a line of `HEADER`'s table."""
        sizes = (self.rss_bytes, self.heap_bytes, self.used_bytes, self.free_bytes)
        return (
            f"| {self.done:,} | {' | '.join(f'{size / MIB:.1f}' for size in sizes)} | "
            f"{self.objects:,} | {self.threads} | {self.descriptors} |"
        )


HEADER = (
    "| done | RSS, MiB | private | in use | free | objects | threads | descriptors |\n"
    "| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
)


@dataclass(frozen=True)
class Slope:
    """Growth over a span of time, by a straight line through the second half.

    Parameters
    ----------
    grown, half_width : float
        From the span's begin to its end, and half of the 95 % interval around it, in
        the unit of the values.
    """

    grown: float
    half_width: float

    @property
    def at_least(self) -> float:
        """The growth that the values show beyond doubt; negative if they show none."""
        return self.grown - self.half_width


def slope_of(moments: Sequence[float], values: Sequence[float]) -> Slope:
    """Fit a line to the second half of a series.

    Parameters
    ----------
    moments : sequence of float
        Rising, at least `MIN_LOOKS`.
    values : sequence of float
        As many.

    Returns
    -------
    Slope
        Over the second half. The interval is Student's around the slope through the
        means of at most `MAX_GROUPS` groups of at least two neighbours, whose errors
        are taken as independent.

    Raises
    ------
    ValueError
        There are too few.
    """
    if len(moments) < MIN_LOOKS:
        raise ValueError(f"expected at least {MIN_LOOKS} looks, got {len(moments)}")
    half = len(moments) // 2
    groups = min(MAX_GROUPS, (len(moments) - half) // 2)
    x = _group_means(moments[half:], groups)
    y = _group_means(values[half:], groups)
    span = moments[-1] - moments[half]
    deviation = x - x.mean()
    square = float(deviation @ deviation)
    slope = float(deviation @ y) / square
    residual = y - y.mean() - slope * deviation
    freedom = groups - 2
    error = math.sqrt(float(residual @ residual) / freedom / square)
    quantile = student_quantile(0.975, freedom)
    return Slope(slope * span, quantile * error * span)


def _group_means(values: Sequence[float], groups: int) -> np.ndarray:
    pieces = np.array_split(np.asarray(values, dtype=float), groups)
    return np.array([piece.mean() for piece in pieces])
