"""Where a series of figures changed its level, beyond what chance would make of it.

Input: values in order. Output: places. Pure, and the same every time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["MIN_VALUES", "change_points"]

Floats = npt.NDArray[np.float64]

# Fewer than four on a side can be told from chance by nothing.
MIN_SIDE = 4
MIN_VALUES = 2 * MIN_SIDE
MAX_VALUES = 300
PERMUTATIONS = 999
SIGNIFICANCE = 0.01
# Beyond so many standard deviations a value is an outlier, and counts no more.
OUTLIER = 3.0
# Standard deviation of normal noise over the median distance of neighbours.
PER_DISTANCE = 1.4826 / math.sqrt(2)


def change_points(values: Sequence[float]) -> list[int]:
    """Find where the level changes.

    Candidates are the borders of the cheapest division into stretches of at least four
    values, a stretch costing its squared distances from its median, capped so that
    outliers pull nothing (Fearnhead & Rigaill 2019), and 2 log(n) of the noise. Then
    each has to stand against its two neighbouring stretches alone: of 999 random
    orders of their values at most 1 % may have a split as good (permutation test of the
    maximal rank-sum statistic, Pettitt 1979). The weakest is dropped until all do.

    Parameters
    ----------
    values : sequence of float
        In order of time; fewer than 8 have no change point, and of more than 300 the
        last 300 are looked at.

    Returns
    -------
    list of int
        First place of each new level, ascending.
    """
    offset = max(0, len(values) - MAX_VALUES)
    series = np.asarray(values[offset:], np.float64)
    if len(series) < MIN_VALUES or np.all(series == series[0]):
        return []
    # One generator a call: what comes out is a function of the values.
    rng = np.random.default_rng(0)
    borders = [0, *_candidates(series), len(series)]
    while len(borders) > 2:
        chances = [
            _chance(series[borders[at - 1] : borders[at + 1]], rng)
            for at in range(1, len(borders) - 1)
        ]
        weakest = int(np.argmax(chances))
        if chances[weakest] <= SIGNIFICANCE:
            break
        del borders[weakest + 1]
    return [offset + place for place in borders[1:-1]]


def _candidates(series: Floats) -> list[int]:
    """Divide into stretches at the least cost, by dynamic programming."""
    count = len(series)
    noise = float(np.median(np.abs(np.diff(series)))) * PER_DISTANCE
    # Where neighbours are equal, whatever differs is a change.
    scaled = series / max(noise, 1e-6 * float(np.max(np.abs(series))))
    penalty = 2 * math.log(count)
    costs = np.full(count + 1, np.inf)
    costs[0] = -penalty
    previous = [0] * (count + 1)
    for end in range(MIN_SIDE, count + 1):
        for begin in range(end - MIN_SIDE + 1):
            if not np.isfinite(costs[begin]):
                continue
            stretch = scaled[begin:end]
            distances = np.abs(stretch - np.median(stretch))
            cost = costs[begin] + penalty
            cost += float(
                np.minimum(distances, OUTLIER) @ np.minimum(distances, OUTLIER)
            )
            if cost < costs[end]:
                costs[end], previous[end] = cost, begin
    places = []
    at = previous[count]
    while at:
        places.append(at)
        at = previous[at]
    return places[::-1]


def _chance(values: Floats, rng: np.random.Generator) -> float:
    """Return how often a random order has a split as good as the best one here."""
    ranks = _ranks(values)
    best = float(_best_splits(ranks[None])[0])
    orders = rng.permuted(np.tile(ranks, (PERMUTATIONS, 1)), axis=1)
    # Sums of the same ranks in another order differ by rounding.
    as_good = int(np.sum(_best_splits(orders) >= best * (1 - 1e-9)))
    return (as_good + 1) / (PERMUTATIONS + 1)


def _ranks(values: Floats) -> Floats:
    """Return ranks from 1; equal values share their mean rank."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    lasts = np.cumsum(counts)
    means: Floats = lasts - (counts - 1) / 2
    shared: Floats = means[inverse]
    return shared


def _best_splits(ranks: Floats) -> Floats:
    """Return the standardised rank-sum difference of each row's best split."""
    count = ranks.shape[1]
    sizes = np.arange(MIN_SIDE, count - MIN_SIDE + 1)
    sums = np.cumsum(ranks, axis=1)[:, sizes - 1]
    spread = np.sqrt(sizes * (count - sizes) * (count + 1) / 12)
    best: Floats = np.max(np.abs(sums - sizes * (count + 1) / 2) / spread, axis=1)
    return best
