"""Which percentiles a number of samples can carry.

Input: a percentile and a count. Output: whether to print it. Pure.
"""

from __future__ import annotations

from bytemlperf.statistics.order import CONFIDENCE, min_count

__all__ = ["CONFIDENCE", "min_count", "shown_percentile"]


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
