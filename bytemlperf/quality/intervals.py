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
    count: int,
    statistics: Callable[[npt.NDArray[np.int64]], npt.NDArray[np.float64]],
    *,
    seed: int = 0,
    max_resamples: int = 1000,
) -> tuple[Interval, ...]:
    """Give the percentile bootstrap interval of one or several statistics.

    Units are drawn with replacement `max_resamples` times (fewer, but at least 100,
    where that would draw more than 200 million), the statistics are taken of each draw,
    and their 2.5th and 97.5th percentiles are the ends (Efron 1979). Draws for which a
    statistic is not defined (one class only) are left out.

    Parameters
    ----------
    count : int, > 0
        Number of units.
    statistics : callable
        Takes how often each unit was drawn (int64, shape (count,), sum = count) and
        returns the statistics (float64, shape (k,)), NaN where not defined.
    seed : int, default 0
        Seed of the draws.
    max_resamples : int, default 1000
        Number of draws; fewer for statistics that take long.

    Returns
    -------
    tuple of Interval
        k of them, each in its statistic's unit. An interval of which every draw was
        undefined is the whole line.
    """
    random = np.random.Generator(np.random.PCG64(seed))
    resamples = max(_MIN_RESAMPLES, min(max_resamples, _MAX_DRAWS // count))
    drawn = np.array(
        [
            statistics(np.bincount(random.integers(0, count, count), minlength=count))
            for _ in range(resamples)
        ]
    )
    return tuple(_percentile_interval(column) for column in drawn.T)


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
    (interval,) = bootstrap(
        exact.size, lambda drawn: np.array([drawn @ exact / exact.size]), seed=seed
    )
    return interval


def _percentile_interval(drawn: npt.NDArray[np.float64]) -> Interval:
    defined = drawn[~np.isnan(drawn)]
    low, high = -math.inf, math.inf
    if defined.size:
        tail = 100 * (1 - LEVEL) / 2
        low, high = np.percentile(defined, [tail, 100 - tail]).tolist()
    return Interval(
        low=low, high=high, method="bootstrap", resample_count=int(defined.size)
    )
