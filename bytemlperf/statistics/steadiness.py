"""Is the measured part one steady state? Drift over it, and a transient at its begin.

Input: blocks of time. Output: a verdict with the figures behind it. A run that drifts
has no long-run mean, and no interval of one means anything.
"""

from __future__ import annotations

import math
from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt

from bytemlperf.statistics.blocks import BlockTable, settled_batches
from bytemlperf.statistics.probability import student_quantile

__all__ = ["DRIFT_SHARE", "UNSTABLE_SHARE", "Drift", "Steadiness", "judge_steadiness"]

# Surely beyond this share over the window: worth a warning; and no measurement at all.
DRIFT_SHARE = 0.05
UNSTABLE_SHARE = 0.5
LEVEL = 0.99

Floats = npt.NDArray[np.float64]


class Drift(msgspec.Struct, frozen=True):
    """How much a figure changes from the begin of the window to its end.

    Parameters
    ----------
    value : float
        Fitted change, as a share of the figure's mean.
    low, high : float
        Ends of its 99 % interval.
    """

    value: float
    low: float
    high: float

    def is_beyond(self, share: float) -> bool:
        """Whether it is surely more than a share, up or down."""
        return self.low > share or self.high < -share


class Steadiness(msgspec.Struct, frozen=True):
    """Whether the measured part is one steady state.

    Parameters
    ----------
    verdict : str
        ``"steady"``; ``"drifting"``: a figure changes surely by more than 5 %;
        ``"unstable"``: by more than 50 %; ``"unknown"``: fewer than 8 blocks.
    throughput, latency : Drift or None
        Of completions per second and of the mean latency; None: unknown.
    transient_ns : int
        Length of the begin that is unlike the rest, 0 if there is none: the truncation
        that gives the mean latency the smallest standard error (MSER, White 1997), if
        it moves the mean by more than 5 %.
    """

    verdict: Literal["steady", "drifting", "unstable", "unknown"]
    throughput: Drift | None
    latency: Drift | None
    transient_ns: int


def judge_steadiness(table: BlockTable) -> Steadiness:
    """Judge whether a run was in one steady state.

    Parameters
    ----------
    table : BlockTable
        Of its measured part.

    Returns
    -------
    Steadiness
        With the drifts of throughput and mean latency, by a weighted straight line
        through batches long enough to be nearly independent.
    """
    counts = table.query_counts.astype(np.float64)
    rate = settled_batches(counts, table.durations_ns / 1e9)
    latency = settled_batches(table.sums_ns, counts)
    if rate is None or latency is None:
        return Steadiness("unknown", None, None, 0)
    drifts = [_drift(*rate), _drift(*latency)]
    known = [drift for drift in drifts if drift is not None]
    verdict: Literal["steady", "drifting", "unstable"] = "steady"
    if any(drift.is_beyond(UNSTABLE_SHARE) for drift in known):
        verdict = "unstable"
    elif any(drift.is_beyond(DRIFT_SHARE) for drift in known):
        verdict = "drifting"
    return Steadiness(verdict, drifts[0], drifts[1], _transient_ns(table))


def _drift(above: Floats, below: Floats) -> Drift | None:
    """Fit a line to above / below over the batches, weighted by `below`."""
    usable = below > 0
    weights = below[usable]
    if len(weights) < 4 or above.sum() <= 0:
        return None
    mean = above.sum() / below.sum()
    heights = above[usable] / weights / mean
    # Middles of the batches, the window being -1/2 .. 1/2.
    places = ((np.arange(len(below)) + 0.5) / len(below) - 0.5)[usable]
    centred = places - np.average(places, weights=weights)
    spread = float(weights @ centred**2)
    slope = float(weights @ (centred * (heights - 1))) / spread
    residuals = heights - np.average(heights, weights=weights) - slope * centred
    freedom = len(weights) - 2
    error = math.sqrt(float(weights @ residuals**2) / freedom / spread)
    half = student_quantile(1 - (1 - LEVEL) / 2, freedom) * error
    return Drift(slope, slope - half, slope + half)


def _transient_ns(table: BlockTable) -> int:
    """Find the begin that is unlike the rest, by the marginal standard error rule."""
    filled = np.flatnonzero(table.query_counts)
    means = table.sums_ns[filled] / table.query_counts[filled]
    count = len(means)
    errors = [
        float(np.var(means[start:])) / (count - start) for start in range(count // 2)
    ]
    if not errors:
        return 0
    start = int(np.argmin(errors))
    moved = abs(float(means[start:].mean() / means.mean()) - 1)
    if start == 0 or moved <= DRIFT_SHARE:
        return 0
    return int(table.durations_ns[: filled[start]].sum())
