"""Which percentiles a number of samples can carry.

Input: a percentile and a count. Output: whether to print it. Pure.
"""

from __future__ import annotations

import math

__all__ = ["CONFIDENCE", "min_count", "shown_percentile"]

CONFIDENCE = 0.99


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
    ValueError
        An argument is out of its range.
    """
    if not (0 < percentile < 100 and 0 < confidence < 1):
        raise ValueError(
            "expected a percentile in (0, 100) and a confidence in (0, 1), got "
            f"{percentile!r} and {confidence!r}"
        )
    return math.ceil(math.log(1 - confidence) / math.log(percentile / 100))


def shown_percentile(text: str, percentile: float, count: int) -> str:
    """Return a percentile as it is printed.

    Parameters
    ----------
    text : str
        The formatted value.
    percentile : float
        In percent, (0, 100).
    count : int
        Samples it was taken from.

    Returns
    -------
    str
        `text`, or such as ``"n<459"`` if there are not enough samples; ``"-"`` if there
        are none.
    """
    if not count:
        return "-"
    needed = min_count(percentile)
    return text if count >= needed else f"n<{needed}"
