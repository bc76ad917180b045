"""What predicting leaves behind: changed samples, growing memory, processes.

Input: looks before, during and after a point. Output: reasons why it is no measurement,
and warnings. Memory is read when progress is told, four times a second; the rest lies
outside the measured window.
"""

from __future__ import annotations

import os
import statistics
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import psutil

from bytemlperf.engine.loan import first_difference
from bytemlperf.report.units import format_bytes
from bytemlperf.runtime import ArraySamples

__all__ = ["LeftBehind", "growth_warning", "own_bytes"]

STATM = Path("/proc/self/statm")
PARTS = 5
MIN_LOOKS = 2 * PARTS
MIN_GROWTH_BYTES = 8 << 20
MIN_BYTES_A_BATCH = 512
# Each part of the window must have at least this share of the mean growth: an
# allocator's step is in one of them, a leak in all.
MIN_SHARE = 0.5
NS_PER_S = 1_000_000_000
MAX_SHOWN = 3


class LeftBehind:
    """Watches one point from before its warm-up to after its window.

    Parameters
    ----------
    samples : ArraySamples
        What the point draws from. They are held in memory until `close`.
    who : str
        The hardware type, named in what is found.

    Notes
    -----
    Thread-safety: `look` may be called from another thread than the rest, while a run
    lasts.
    """

    def __init__(self, samples: ArraySamples, who: str) -> None:
        self._who = who
        self._samples = samples
        self._chosen = range(samples.count)
        # The run gets the same memory: loading it again costs nothing.
        self._lent = samples.load(self._chosen)
        self._before = {child.pid for child in _children()}
        self._looks: list[tuple[int, int]] = []

    def look(self, elapsed_ns: int) -> None:
        """Read this process's own memory.

        Parameters
        ----------
        elapsed_ns : int
            Since the window began; looks of a warm-up are not wanted.
        """
        self._looks.append((elapsed_ns, own_bytes()))

    def reasons(self) -> list[str]:
        """Say why the point is no measurement.

        Returns
        -------
        list of str
            One sentence for each input that was written to.
        """
        found = []
        for name, array in self._lent.items():
            row = first_difference(array, self._samples.arrays[name])
            if row is not None:
                found.append(
                    f"{self._who}.predict wrote to its input {name!r} (row {row} has "
                    "changed), so queries were not answered for the samples they are of"
                )
        return found

    def warnings(self, batch_count: int) -> list[str]:
        """Say what is left: memory and processes.

        Parameters
        ----------
        batch_count : int
            Calls of predict in the window.

        Returns
        -------
        list of str
            Empty if nothing is.
        """
        found = []
        growth = growth_warning(self._who, self._looks, batch_count)
        if growth is not None:
            found.append(growth)
        new = [child for child in _children() if child.pid not in self._before]
        if new:
            shown = ", ".join(map(_called, new[:MAX_SHOWN]))
            more = ", ..." if len(new) > MAX_SHOWN else ""
            found.append(
                f"{self._who}.predict left {len(new)} process(es) behind ({shown}"
                f"{more}), which take processor time from this point and the next; end "
                "what is started, or start it in load"
            )
        return found

    def close(self) -> None:
        """Let the samples go."""
        self._lent = {}
        self._samples.unload(self._chosen)


def growth_warning(
    who: str, looks: Sequence[tuple[int, int]], batch_count: int
) -> str | None:
    """Tell a leak from the steps of an allocator.

    Parameters
    ----------
    who : str
        The hardware type.
    looks : sequence of (int, int)
        Time, ns, and bytes of memory, in order of time.
    batch_count : int
        Calls of predict in the window that the looks are of.

    Returns
    -------
    str or None
        A sentence if memory grew in every fifth of the window, by 8 MiB or more in all
        and 512 bytes or more a call; None if not, or if the window is too short to
        tell.
    """
    if len(looks) < MIN_LOOKS or not batch_count:
        return None
    edges = [round(index * len(looks) / PARTS) for index in range(PARTS + 1)]
    levels = [
        statistics.median(size for _, size in looks[first:last])
        for first, last in pairwise(edges)
    ]
    steps = [after - before for before, after in pairwise(levels)]
    growth = levels[-1] - levels[0]
    if min(steps) < MIN_SHARE * growth / len(steps):
        return None
    begins, ends = (
        statistics.median(at for at, _ in looks[first:last])
        for first, last in (edges[:2], edges[-2:])
    )
    window_ns = looks[-1][0] - looks[0][0]
    bytes_a_ns = growth / max(1, ends - begins)
    each = bytes_a_ns * window_ns / batch_count
    if growth < MIN_GROWTH_BYTES or each < MIN_BYTES_A_BATCH:
        return None
    return (
        f"{who}: memory grew throughout the point, by "
        f"{format_bytes(round(bytes_a_ns * NS_PER_S))} a second or "
        f"{format_bytes(round(each))} a predict; a leak ends a long run"
    )


def own_bytes() -> int:
    """Return this process's memory as it is now, in bytes.

    Returns
    -------
    int
        What is resident but for files' pages, which the kernel takes as it likes.
    """
    resident, shared = STATM.read_text().split()[1:3]
    return (int(resident) - int(shared)) * os.sysconf("SC_PAGE_SIZE")


def _children() -> list[psutil.Process]:
    return list(psutil.Process().children(recursive=True))


def _called(child: psutil.Process) -> str:
    try:
        return f"pid {child.pid}: {child.name()}"
    except psutil.Error:
        # It has ended since.
        return f"pid {child.pid}"
