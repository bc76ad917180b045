"""Exact percentiles of more numbers than fit into memory.

Input: a function that yields the numbers in chunks, as often as asked. Output: order
statistics. The idea is a radix selection: the bits of a non-negative float64, read as
an integer, sort as the float does, so four counting passes of 16 bits find any rank.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["percentiles", "select_ranks"]

Floats = npt.NDArray[np.float64]

_DIGIT_BITS = 16
_DIGIT_MASK = np.uint64((1 << _DIGIT_BITS) - 1)
# Below so many candidates, sorting them is cheaper than another counting pass.
_SORT_COUNT = 1 << 20


def percentiles(
    chunks: Callable[[], Iterator[Floats]], count: int, percents: Sequence[float]
) -> list[float]:
    """Find percentiles by the nearest-rank definition.

    The p-th percentile of n numbers is the smallest of them that at least p % are not
    above: rank ``ceil(p / 100 * n)``, counted from 1. It is always one of the numbers.

    Parameters
    ----------
    chunks : callable
        Yields the same non-negative float64 numbers every time it is called.
    count : int, > 0
        How many numbers it yields.
    percents : sequence of float
        In ``(0, 100]``.

    Returns
    -------
    list of float
        One for each of `percents`.
    """
    ranks = [
        min(count, max(1, math.ceil(percent / 100 * count))) - 1 for percent in percents
    ]
    found = select_ranks(chunks, ranks)
    return [found[rank] for rank in ranks]


def select_ranks(
    chunks: Callable[[], Iterator[Floats]], ranks: Sequence[int]
) -> dict[int, float]:
    """Find the numbers that would stand at given places if all were sorted.

    Parameters
    ----------
    chunks : callable
        Yields the same non-negative float64 numbers every time it is called.
    ranks : sequence of int
        Places counted from 0.

    Returns
    -------
    dict of int to float
        Place to number.
    """
    # For each rank: the leading digits known so far, and the place that is left among
    # the numbers that begin with them.
    state = {rank: (0, rank) for rank in ranks}
    for shift in range(64 - _DIGIT_BITS, -1, -_DIGIT_BITS):
        counts = _count_digits(chunks, {prefix for prefix, _ in state.values()}, shift)
        candidates = 0
        for rank, (prefix, place) in state.items():
            cumulated = np.cumsum(counts[prefix])
            digit = int(np.searchsorted(cumulated, place, side="right"))
            before = int(cumulated[digit - 1]) if digit else 0
            candidates += int(counts[prefix][digit])
            state[rank] = (prefix << _DIGIT_BITS | digit, place - before)
        if shift and candidates <= _SORT_COUNT:
            return _sort_candidates(chunks, state, shift)
    return {
        rank: float(np.array(prefix, np.uint64).view(np.float64))
        for rank, (prefix, _) in state.items()
    }


def _count_digits(
    chunks: Callable[[], Iterator[Floats]], prefixes: set[int], shift: int
) -> dict[int, npt.NDArray[np.int64]]:
    """Count the next digit of the numbers that begin with each prefix."""
    counts = {prefix: np.zeros(1 << _DIGIT_BITS, np.int64) for prefix in prefixes}
    for bits in _bits(chunks):
        digits = (bits >> np.uint64(shift)) & _DIGIT_MASK
        for prefix, total in counts.items():
            chosen = digits[_begins_with(bits, prefix, shift + _DIGIT_BITS)]
            total += np.bincount(chosen.astype(np.intp), minlength=total.size)
    return counts


def _sort_candidates(
    chunks: Callable[[], Iterator[Floats]],
    state: dict[int, tuple[int, int]],
    shift: int,
) -> dict[int, float]:
    gathered: dict[int, list[npt.NDArray[np.uint64]]] = {
        prefix: [] for prefix, _ in state.values()
    }
    for bits in _bits(chunks):
        for prefix, parts in gathered.items():
            parts.append(bits[_begins_with(bits, prefix, shift)])
    ordered = {
        prefix: np.sort(np.concatenate(parts)).view(np.float64)
        for prefix, parts in gathered.items()
    }
    return {
        rank: float(ordered[prefix][place]) for rank, (prefix, place) in state.items()
    }


def _begins_with(
    bits: npt.NDArray[np.uint64], prefix: int, shift: int
) -> npt.NDArray[np.bool_]:
    if shift == 64:
        return np.ones(bits.shape, np.bool_)
    begins: npt.NDArray[np.bool_] = bits >> np.uint64(shift) == np.uint64(prefix)
    return begins


def _bits(
    chunks: Callable[[], Iterator[Floats]],
) -> Iterator[npt.NDArray[np.uint64]]:
    for chunk in chunks():
        # Adding zero turns -0.0, whose sign bit would sort last, into 0.0.
        yield (np.ascontiguousarray(chunk) + 0.0).view(np.uint64)
