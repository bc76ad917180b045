"""Histograms of several processes -> one, cell by cell, with its figures. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bytemlperf.engine.point import distribution
from bytemlperf.errors import ConfigError
from bytemlperf.report.schema import Distribution
from bytemlperf.runtime import Histogram

__all__ = ["merge_distributions"]


def merge_distributions(parts: Sequence[Distribution]) -> Distribution:
    """Add distributions.

    Parameters
    ----------
    parts : sequence of Distribution
        At least one.

    Returns
    -------
    Distribution
        Of all values; the same as if one recorder had seen them.

    Raises
    ------
    ConfigError
        A histogram is damaged, or is not of the figures that stand beside it.
    """
    filled = [part for part in parts if part.count]
    if not filled:
        return parts[0]
    counts = sum(_histogram(part).counts for part in filled)
    return distribution(
        Histogram(
            np.asarray(counts, dtype=np.int64),
            # Decoded cells know these only to three digits.
            min=min(part.min_ns for part in filled),
            max=max(part.max_ns for part in filled),
            total=sum(round(part.mean_ns * part.count) for part in filled),
            overflow_count=sum(part.overflow_count for part in filled),
        )
    )


def _histogram(part: Distribution) -> Histogram:
    """Return a distribution's histogram, proved to belong to its other figures."""
    decoded = Histogram.decode(part.hdr_v2_base64)
    # Its own minimum and maximum are ends of cells: the exact ones lie within them. A
    # mean that was merged before is good to a nanosecond.
    is_same = (
        decoded.count == part.count
        and decoded.min <= part.min_ns <= part.max_ns <= decoded.max
        and part.min_ns - 1 <= part.mean_ns <= part.max_ns + 1
        and part.overflow_count >= 0
    )
    if not is_same:
        raise ConfigError(
            f"a histogram of {decoded.count} values from {decoded.min} to "
            f"{decoded.max} ns stands beside a count of {part.count} and values from "
            f"{part.min_ns} to {part.max_ns} ns",
            hint="the result was damaged or edited",
        )
    return decoded
