"""How sure a score is: 95 % intervals.

Input: counts or values per unit. Output: `Interval`. Pure and seeded: the same input
gives the same interval.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt

__all__ = ["Interval", "bootstrap", "bootstrap_mean", "wilson"]

LEVEL = 0.95
_Z = 1.959963984540054  # the normal distribution's 97.5th percentile
_RESAMPLES = 1000
_MIN_RESAMPLES = 100
_MAX_DRAWS = 200_000_000


class Interval(msgspec.Struct, frozen=True, kw_only=True):
    """A 95 % confidence interval.

    Parameters
    ----------
    low, high : float
        Its ends, in the unit of the figure.
    method : {"wilson", "bootstrap"}
        Wilson's score interval of a proportion, or the percentiles of a bootstrap.
    resample_count : int
        Bootstrap resamples; 0 for Wilson.
    """

    low: float
    high: float
    method: Literal["wilson", "bootstrap"]
    resample_count: int = 0


def wilson(good: int, total: int) -> Interval:
    """Give Wilson's score interval of a proportion.

    It stays inside [0, 1] and is sound at 0 and 1, where the normal approximation has
    no width at all (Wilson 1927, JASA 22:209).

    Parameters
    ----------
    good : int
        Successes, ``0 <= good <= total``.
    total : int, > 0
        Trials.

    Returns
    -------
    Interval
        Ends in [0, 1].
    """
    share = good / total
    scale = 1 + _Z**2 / total
    centre = (share + _Z**2 / (2 * total)) / scale
    half = _Z * math.sqrt(share * (1 - share) / total + _Z**2 / (4 * total**2)) / scale
    # The ends are exact at the extremes; rounding must not push them off.
    low = 0.0 if good == 0 else max(0.0, centre - half)
    high = 1.0 if good == total else min(1.0, centre + half)
    return Interval(low=low, high=high, method="wilson")


def bootstrap(
    count: int, statistic: Callable[[npt.NDArray[np.int64]], float], *, seed: int = 0
) -> Interval:
    """Give the percentile bootstrap interval of a statistic.

    Units are drawn with replacement 1,000 times (fewer, but at least 100, where that
    would draw more than 200 million), the statistic is taken of each draw, and the
    2.5th and 97.5th percentiles are the ends (Efron 1979). Draws for which the
    statistic is not defined (one class only) are left out.

    Parameters
    ----------
    count : int, > 0
        Number of units.
    statistic : callable
        Takes how often each unit was drawn (int64, shape (count,), sum = count) and
        returns the statistic, or NaN where it is not defined.
    seed : int, default 0
        Seed of the draws.

    Returns
    -------
    Interval
        In the statistic's unit.
    """
    random = np.random.Generator(np.random.PCG64(seed))
    resamples = max(_MIN_RESAMPLES, min(_RESAMPLES, _MAX_DRAWS // count))
    drawn = np.array(
        [
            statistic(np.bincount(random.integers(0, count, count), minlength=count))
            for _ in range(resamples)
        ]
    )
    drawn = drawn[~np.isnan(drawn)]
    tail = 100 * (1 - LEVEL) / 2
    low, high = np.percentile(drawn, [tail, 100 - tail])
    return Interval(
        low=float(low),
        high=float(high),
        method="bootstrap",
        resample_count=int(drawn.size),
    )


def bootstrap_mean(values: npt.NDArray[Any], *, seed: int = 0) -> Interval:
    """Give the bootstrap interval of a mean.

    Parameters
    ----------
    values : numpy.ndarray
        Shape (count,), one a unit.
    seed : int, default 0
        Seed of the draws.

    Returns
    -------
    Interval
        In the unit of the values.
    """
    exact = np.asarray(values, np.float64)
    return bootstrap(
        exact.size,
        lambda drawn: float(np.dot(drawn, exact)) / exact.size,
        seed=seed,
    )
