"""What a count of samples can say about a percentile: ranks, bounds and floors.

Input: a count, a percentile, a confidence. Output: ranks of the sorted sample, from 1.
Distribution-free: of n independent samples the number above the true p-quantile is
binomial, whatever the latency's shape (David & Nagaraja, Order Statistics, 7.1).
"""

from __future__ import annotations

import math

from bytemlperf.errors import ConfigError
from bytemlperf.statistics.probability import binomial_cdf

__all__ = [
    "CONFIDENCE",
    "LEVEL",
    "LOADGEN_CONFIDENCE",
    "interval_ranks",
    "loadgen_discarded",
    "loadgen_min_count",
    "loadgen_rank",
    "min_count",
    "percentile_share",
    "upper_rank",
]

# One-sided, of floors and upper bounds; LoadGen's, so that both can be compared.
CONFIDENCE = 0.99
LOADGEN_CONFIDENCE = 0.99
# Two-sided, of intervals.
LEVEL = 0.95


def percentile_share(percentile: float) -> float:
    """Return a percentile as a share, refusing what no sample can say.

    Parameters
    ----------
    percentile : float
        In percent, (0, 100).

    Returns
    -------
    float
        (0, 1).

    Raises
    ------
    ConfigError
        It is out of range.
    """
    if not 0 < percentile < 100:
        raise ConfigError(
            f"expected a percentile above 0 and below 100, got {percentile:g}",
            hint="no number of samples bounds the largest latency there can be; "
            "99.9 needs 4,603 of them"
            if percentile == 100
            else None,
        )
    return percentile / 100


def min_count(percentile: float, confidence: float = CONFIDENCE) -> int:
    """Return how many samples a percentile needs before it is worth printing.

    Of n independent samples, all lie below the true percentile p with probability
    ``p ** n``; then even the largest one understates it. n is enough when that happens
    in at most ``1 - confidence`` of all runs: ``n >= ln(1 - confidence) / ln(p)``.

    Parameters
    ----------
    percentile : float
        In percent, (0, 100).
    confidence : float, default 0.99
        One-sided, (0, 1).

    Returns
    -------
    int
        7 for p50, 44 for p90, 459 for p99, 4603 for p99.9 at 99 %.

    Raises
    ------
    ConfigError
        An argument is out of its range.
    """
    share = percentile_share(percentile)
    if not 0 < confidence < 1:
        raise ConfigError(f"expected a confidence in (0, 1), got {confidence:g}")
    return math.ceil(math.log(1 - confidence) / math.log(share))


def upper_rank(
    count: float, percentile: float, confidence: float = CONFIDENCE
) -> int | None:
    """Return the rank that is, with this confidence, not below the true percentile.

    The smallest r with ``P[Bin(n, p) <= r - 1] >= confidence``: tight, one rank below
    LoadGen's estimate.

    Parameters
    ----------
    count : float
        Samples, or effective samples, >= 0.
    percentile : float
        In percent, (0, 100).
    confidence : float, default 0.99
        One-sided.

    Returns
    -------
    int or None
        1 to `count`; None if even the largest sample does not reach so high.
    """
    share = percentile_share(percentile)
    return _smallest_rank(count, share, confidence)


def interval_ranks(
    count: float, percentile: float, level: float = LEVEL
) -> tuple[int | None, int | None]:
    """Return the ranks between which the true percentile lies.

    Both tails have at most ``(1 - level) / 2``, so that coverage is at least `level`
    for every continuous distribution.

    Parameters
    ----------
    count : float
        Samples, or effective samples, >= 0.
    percentile : float
        In percent, (0, 100).
    level : float, default 0.95
        Two-sided.

    Returns
    -------
    (int or None, int or None)
        None where no sample bounds it on that side.
    """
    share = percentile_share(percentile)
    tail = (1 - level) / 2
    high = _smallest_rank(count, share, 1 - tail)
    # The lower end of p is the upper end of 1 - p, counted from the other side.
    mirrored = _smallest_rank(count, 1 - share, 1 - tail)
    low = None if mirrored is None else math.floor(count) + 1 - mirrored
    return low, high


def _smallest_rank(count: float, share: float, confidence: float) -> int | None:
    """Bisect for the smallest r with P[Bin(count, share) <= r - 1] >= confidence."""
    last = math.floor(count)
    # Below the last rank the binomial must leave room for one above it.
    if last < 1 or 1 - share**count < confidence:
        return None
    low, high = 1, last
    while low < high:
        middle = (low + high) // 2
        if binomial_cdf(middle - 1, count, share) >= confidence:
            high = middle
        else:
            low = middle + 1
    return low


def loadgen_min_count(over_count: int, percentile: float) -> int:
    """Return how many queries LoadGen wants where so many were over the latency.

    ``h_min(t) + t`` with ``h_min(t) = min{h : I_p(h, t + 1) < 0.01}`` (MLPerf inference
    policies, early stopping; LoadGen's code has ``<``, the rules' text ``<=``).

    Parameters
    ----------
    over_count : int
        Queries over the target latency, t >= 0.
    percentile : float
        In percent, (0, 100).

    Returns
    -------
    int
        662 for one query over p99.
    """
    share = percentile_share(percentile)
    low = high = over_count + 1
    while not _loadgen_odds(high, over_count, share) < 1 - LOADGEN_CONFIDENCE:
        low, high = high + 1, high * 2
    while low < high:
        middle = (low + high) // 2
        if _loadgen_odds(middle, over_count, share) < 1 - LOADGEN_CONFIDENCE:
            high = middle
        else:
            low = middle + 1
    return low


def loadgen_discarded(count: int, percentile: float) -> int | None:
    """Return LoadGen's t: it reports the t-th largest of `count` latencies.

    Parameters
    ----------
    count : int
        Queries, >= 0.
    percentile : float
        In percent, (0, 100).

    Returns
    -------
    int or None
        The largest t >= 1 that `count` queries tolerate; None where LoadGen refuses
        to give an estimate (below 64 for p90, below 662 for p99).
    """
    share = percentile_share(percentile)

    def tolerates(over_count: int) -> bool:
        odds = _loadgen_odds(count, over_count, share)
        return odds < 1 - LOADGEN_CONFIDENCE

    if count < 2 or not tolerates(1):
        return None
    low, high = 1, count - 1
    while low < high:
        middle = (low + high + 1) // 2
        if tolerates(middle):
            low = middle
        else:
            high = middle - 1
    return low


def loadgen_rank(count: int, percentile: float) -> int | None:
    """Return the rank whose latency LoadGen's early stopping estimates; None: none."""
    discarded = loadgen_discarded(count, percentile)
    return None if discarded is None else count - discarded + 1


def _loadgen_odds(count: int, over_count: int, share: float) -> float:
    """P[Bin(n, 1 - p) <= t]: that so few are over, were the true share only p."""
    return binomial_cdf(over_count, count, 1 - share)
