"""What a backend does with the inputs that it is lent.

Input: one query's samples. Output: the same in memory as a run lends it, and what was
seen afterwards. Outside the clock: the load phase's pilots are watched, not the run.
"""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from bytemlperf.errors import PredictError
from bytemlperf.runtime import ArraySamples

__all__ = ["Loan", "first_difference"]

Arrays = Mapping[str, npt.NDArray[Any]]

# Pieces in which arrays are compared: they may be as large as memory allows.
PIECE_BYTES = 16 << 20
# A runtime may let go in a thread of its own, a moment after it has answered.
PATIENCE_SECONDS = 0.1
PATIENCE_STEPS = 10


class Loan:
    """One query's samples, copied to aligned memory that numpy calls read-only.

    As in a run, and unlike the mapped files that samples come from: native code that
    writes to those ends the process before anybody can say why.

    Parameters
    ----------
    source : mapping of str to ndarray
        Exactly one query's rows, by input name.
    rows_per_sample : mapping of str to int
        Rows of one sample, by input name.
    who : str
        The hardware type, named in what is found.
    """

    def __init__(
        self, source: Arrays, rows_per_sample: Mapping[str, int], who: str
    ) -> None:
        self._who = who
        self._source = dict(source)
        library = ArraySamples(self._source, rows_per_sample)
        self._chosen = range(library.count)
        self._feeds = dict(library.load(self._chosen))
        library.unload(self._chosen)
        # A view keeps the array alive that lies over the buffer itself.
        self._held = {
            name: weakref.ref(array.base)
            for name, array in self._feeds.items()
            if isinstance(array.base, np.ndarray)
        }

    @property
    def feeds(self) -> dict[str, npt.NDArray[Any]]:
        """A dictionary of its own each time, of the arrays that are lent."""
        return dict(self._feeds)

    def check_untouched(self) -> None:
        """Compare what was lent with what it was.

        Raises
        ------
        PredictError
            An input has been written to.
        """
        for name, array in self._feeds.items():
            row = first_difference(array, self._source[name])
            if row is not None:
                raise PredictError(
                    f"{self._who}.predict wrote to its input {name!r} (row {row} has "
                    "changed): inputs are shared by all queries, so every later "
                    "answer would be wrong",
                    hint="copy an input before changing it",
                )

    def answer_warnings(self, *answers: Arrays) -> list[str]:
        """Look for memory that an answer shares.

        Parameters
        ----------
        *answers : mapping of str to ndarray
            Of calls one after the other, in order.

        Returns
        -------
        list of str
            One sentence for each output that lies in an input, or in an earlier answer.
        """
        found = []
        last = answers[-1]
        for name, array in last.items():
            lent = [
                each
                for each, fed in self._feeds.items()
                if np.may_share_memory(array, fed)
            ]
            if lent:
                found.append(
                    f"{self._who}.predict returned output {name!r} in the memory of "
                    f"its input {lent[0]!r}, which the next batch overwrites; "
                    "return a copy"
                )
            if any(
                np.may_share_memory(array, before[name])
                for before in answers[:-1]
                if name in before
            ):
                found.append(
                    f"{self._who}.predict returned output {name!r} in the memory of "
                    "its previous answer, which is lost by that; return fresh arrays"
                )
        return found

    def end(self) -> list[str]:
        """Take the inputs back, and say which of them somebody still holds.

        Returns
        -------
        list of str
            One sentence for each input.
        """
        self._feeds = {}
        if self._still_held():
            gc.collect()
        wait = threading.Event()
        for _ in range(PATIENCE_STEPS):
            if not self._still_held():
                break
            wait.wait(PATIENCE_SECONDS / PATIENCE_STEPS)
        return [
            f"{self._who} keeps its input {name!r} after predict has returned: its "
            "memory belongs to another batch by then; let it go, or keep a copy"
            for name in self._still_held()
        ]

    def _still_held(self) -> list[str]:
        return [name for name, held in self._held.items() if held() is not None]


def first_difference(found: npt.NDArray[Any], expected: npt.NDArray[Any]) -> int | None:
    """Compare two arrays bit by bit, in pieces.

    Parameters
    ----------
    found, expected : ndarray
        Of one shape and dtype, with rows on axis 0.

    Returns
    -------
    int or None
        The first row that differs; None if none does.
    """
    row_bytes = max(1, expected.nbytes // max(1, len(expected)))
    step = max(1, PIECE_BYTES // row_bytes)
    for start in range(0, len(expected), step):
        ours, theirs = (
            np.ascontiguousarray(array[start : start + step])
            .reshape(-1)
            .view(np.uint8)
            .reshape(-1, row_bytes)
            for array in (found, expected)
        )
        if not np.array_equal(ours, theirs):
            return start + int(np.flatnonzero((ours != theirs).any(axis=1))[0])
    return None
