"""Blocks of time -> intervals that know that neighbouring latencies are alike.

Input: for each block of a run, its length, its queries and their latencies in cells.
Output: estimates with intervals. A queue makes latencies alike over many queries, so
that n of them say less than n independent ones; the spread between long enough blocks
says how much less.

It is long, but one derivation: rates, means and quantiles share the joining of blocks
and what autocorrelation is left; half of it is what each step assumes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from bytemlperf.errors import ConfigError
from bytemlperf.statistics.order import LEVEL, interval_ranks, percentile_share
from bytemlperf.statistics.probability import normal_quantile, student_quantile

__all__ = [
    "MIN_BATCHES",
    "BlockTable",
    "Estimate",
    "QuantileEstimate",
    "joined_pairs",
    "make_table",
    "mean_estimate",
    "quantile_estimate",
    "rate_estimate",
    "settled_batches",
]

# Schmeiser (1982): little is gained by more than 30 batches, and fewer than about 8
# leave the estimate of the spread itself too uncertain.
MAX_BATCHES = 32
MIN_BATCHES = 8
# Of intervals; by simulation (benchmarks/coverage.py) as few as hold the truth.
BATCHES = 10
# Beyond this the batches are no batches.
MAX_LEFT = 0.9

Counts = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
_Number = TypeVar("_Number", np.int64, np.float64)


class BlockTable(msgspec.Struct, frozen=True):
    """Consecutive blocks of time.

    Parameters
    ----------
    durations_ns : ndarray
        float64, shape (b,).
    query_counts : ndarray
        int64, shape (b,).
    sums_ns : ndarray
        float64, shape (b,): sum of the latencies of each block.
    values_ns : ndarray
        int64, shape (k,), ascending: the latencies that occur, at the tops of their
        cells.
    counts : ndarray
        int64, shape (b, k): how often each occurs in each block.
    """

    durations_ns: Floats
    query_counts: Counts
    sums_ns: Floats
    values_ns: Counts
    counts: Counts

    def __len__(self) -> int:
        return len(self.durations_ns)


class Estimate(msgspec.Struct, frozen=True):
    """A figure and the interval of its long-run value.

    Parameters
    ----------
    value : float
        Of this run.
    low, high : float or None
        Ends of the 95 % interval; None: too few blocks to say. Only `high` is None:
        too few independent ones to bound it above.
    relative_error : float or None
        Standard error over value, which comparisons use.
    batch_count : int
        Batches the interval stands on.
    autocorrelation : float or None
        Of neighbouring batches; near 0 if they are long enough.
    """

    value: float
    low: float | None
    high: float | None
    relative_error: float | None
    batch_count: int
    autocorrelation: float | None


class QuantileEstimate(msgspec.Struct, frozen=True):
    """A percentile and the interval of its long-run value.

    Parameters
    ----------
    value_ns : int
        Nearest rank.
    low_ns, high_ns : int or None
        Ends of the 95 % interval; None: no sample bounds it on that side.
    effective_count : float
        Independent samples that would say as much.
    batch_count : int
        Batches that the effective count was taken from; 0: too few, so that the samples
        were taken to be independent.
    """

    value_ns: int
    low_ns: int | None
    high_ns: int | None
    effective_count: float
    batch_count: int


def make_table(
    durations_ns: Sequence[float],
    sums_ns: Sequence[float],
    cells: Sequence[Counts],
) -> BlockTable:
    """Lay blocks side by side.

    Parameters
    ----------
    durations_ns, sums_ns : sequence of float
        One a block.
    cells : sequence of ndarray
        int64, shape (k_i, 2) each: latency in ns and its count, ascending.

    Returns
    -------
    BlockTable
        A last block shorter than half the others is joined to the one before it: its
        rate would be mostly chance.
    """
    values = np.unique(
        np.concatenate([np.empty(0, np.int64), *(c[:, 0] for c in cells)])
    )
    counts = np.zeros((len(cells), values.size), np.int64)
    for row, block in zip(counts, cells, strict=True):
        np.add.at(row, np.searchsorted(values, block[:, 0]), block[:, 1])
    durations = np.asarray(durations_ns, np.float64)
    sums = np.asarray(sums_ns, np.float64)
    if len(cells) > 1 and durations[-1] < durations[0] / 2:
        counts = np.vstack([counts[:-2], counts[-2:].sum(axis=0)])
        durations = np.append(durations[:-2], durations[-2:].sum())
        sums = np.append(sums[:-2], sums[-2:].sum())
    return BlockTable(durations, counts.sum(axis=1), sums, values, counts)


def rate_estimate(table: BlockTable, *, per_query: float = 1.0) -> Estimate:
    """Estimate the completions per second.

    Parameters
    ----------
    table : BlockTable
        Of one run.
    per_query : float, default 1
        Samples of each query.

    Returns
    -------
    Estimate
        Samples per second; its value is all completions over the blocks' whole time.
    """
    return _ratio(
        table.query_counts.astype(np.float64) * per_query, table.durations_ns / 1e9
    )


def mean_estimate(table: BlockTable) -> Estimate:
    """Estimate the mean latency, ns.

    Parameters
    ----------
    table : BlockTable
        Of one run, with at least one query.

    Returns
    -------
    Estimate
        In ns.
    """
    return _ratio(table.sums_ns, table.query_counts.astype(np.float64))


def quantile_estimate(
    table: BlockTable, percentile: float, *, level: float = LEVEL
) -> QuantileEstimate:
    """Estimate a percentile of the latency.

    The share of latencies that do not exceed the percentile is a mean, so its variance
    comes from batches as any mean's does. Over that of independent samples, p(1-p)/n,
    it is the design effect; n over the design effect (never below 1) is the effective
    sample size of which the binomial ranks are taken (Woodruff 1952; Korn & Graubard
    1998). Where batches show that queries depend on each other, it is less by (z / t)^2
    for the few batches and by (1 + h / 2)^2, with h the relative half-width of the mean
    latency: where that is wide, the design effect itself is hardly known.

    Parameters
    ----------
    table : BlockTable
        Of one run, with at least one query.
    percentile : float
        In percent, (0, 100).
    level : float, default 0.95
        Two-sided.

    Returns
    -------
    QuantileEstimate
        In ns, at the resolution of the cells.

    Raises
    ------
    ConfigError
        The percentile is out of range, or there is no query.
    """
    share = percentile_share(percentile)
    count = int(table.query_counts.sum())
    if not count:
        raise ConfigError("there are no queries to take a percentile of")
    cumulated = np.cumsum(table.counts.sum(axis=0))
    rank = max(1, math.ceil(round(share * count, 6)))
    place = int(np.searchsorted(cumulated, rank))
    not_above = table.counts[:, : place + 1].sum(axis=1).astype(np.float64)
    effective, batch_count = _effective_count(
        table, not_above, share, float(cumulated[place]) / count, level
    )
    low, high = interval_ranks(effective, percentile, level)
    scale = count / max(1.0, math.floor(effective))

    def at(rank_of: float) -> int:
        place_of = np.searchsorted(cumulated, min(count, max(1.0, rank_of)))
        return int(table.values_ns[int(place_of)])

    return QuantileEstimate(
        value_ns=int(table.values_ns[place]),
        low_ns=None if low is None else at(math.floor((low - 1) * scale) + 1),
        high_ns=None if high is None else at(math.ceil(high * scale)),
        effective_count=effective,
        batch_count=batch_count,
    )


def settled_batches(above: Floats, below: Floats) -> tuple[Floats, Floats] | None:
    """Join blocks into batches that are long enough to be nearly independent.

    Parameters
    ----------
    above, below : ndarray
        float64, shape (b,): numerators and denominators of a ratio, block by block.

    Returns
    -------
    (ndarray, ndarray) or None
        Numerators and denominators of 8 to 32 batches: neighbours are joined as long as
        the lag-1 autocorrelation of their residuals is beyond what chance makes of it
        (1.645 / sqrt(batches)) and 8 remain. None if there are fewer than 8 blocks.
    """
    while len(above) > MAX_BATCHES:
        above, below = joined_pairs(above), joined_pairs(below)
    if len(above) < MIN_BATCHES:
        return None
    while len(above) >= 2 * MIN_BATCHES:
        found = _autocorrelation(above, below)
        if found is None or abs(found) <= 1.645 / math.sqrt(len(above)):
            break
        above, below = joined_pairs(above), joined_pairs(below)
    return above, below


def joined_pairs(blocks: npt.NDArray[_Number]) -> npt.NDArray[_Number]:
    """Add neighbours; an odd one at the end goes to the last pair.

    Parameters
    ----------
    blocks : ndarray
        Shape (b, ...), b >= 2.

    Returns
    -------
    ndarray
        Shape (b // 2, ...).
    """
    count, *rest = blocks.shape
    pairs: npt.NDArray[_Number] = (
        blocks[: count // 2 * 2].reshape(-1, 2, *rest).sum(axis=1)
    )
    if count % 2:
        pairs[-1] += blocks[-1]
    return pairs


def _effective_count(
    table: BlockTable, not_above: Floats, share: float, reached: float, level: float
) -> tuple[float, int]:
    """Return the independent samples that would say as much, and batches; 0: unknown.

    Queries are taken for independent if neither their latencies nor the share below the
    percentile vary more from batch to batch than chance has it in 95 % of runs.
    """
    counts = table.query_counts.astype(np.float64)
    count = float(counts.sum())
    own, latency = (
        _even_batches(not_above, counts),
        _even_batches(table.sums_ns, counts),
    )
    if own is None or latency is None:
        return count, 0
    batch_count = len(own[0])
    # Where every latency is one value there is nothing to be unsure of. Plain floats:
    # what comes of them goes into messages and files.
    spread = max(reached * (1 - reached), share * (1 - share)) / count
    moments = table.counts.sum(axis=0) / count
    mean = float(moments @ table.values_ns)
    squares = float(moments @ (table.values_ns - mean) ** 2) / count
    plain = max(1.0, _variance(*own, reached) / spread)
    of_mean = _variance(*latency, mean)
    chance = _chi_square_ratio(batch_count - 1)
    if plain <= chance and of_mean <= chance * squares:
        return count / plain, batch_count
    tail = 1 - (1 - level) / 2
    student = student_quantile(tail, batch_count - 1)
    design = max(1.0, _inflated_variance(*own, reached) / spread)
    width = student * math.sqrt(_inflated_variance(*latency, mean)) / mean
    few = normal_quantile(tail) / student / (1 + width / 2)
    return count / design * few**2, batch_count


def _chi_square_ratio(freedom: int) -> float:
    """95th percentile of chi-square over its freedom (Wilson & Hilferty 1931)."""
    small = 2 / (9 * freedom)
    return (1 - small + normal_quantile(0.95) * math.sqrt(small)) ** 3


def _even_batches(above: Floats, below: Floats) -> tuple[Floats, Floats] | None:
    """Join blocks to 10 batches of nearly equal length; None if there are fewer than 8.

    Few and long: what is left between neighbours then is little enough to be corrected
    for, and Student's t pays for their small number. A number chosen by what the blocks
    look like would be chosen too large in just those runs that look too quiet.
    """
    blocks = len(above)
    if blocks < MIN_BATCHES:
        return None
    count = min(BATCHES, blocks)
    first = np.arange(count) * blocks // count
    return np.add.reduceat(above, first), np.add.reduceat(below, first)


def _variance(above: Floats, below: Floats, value: float) -> float:
    """Variance of the ratio sum(above) / sum(below), were the batches independent."""
    count = len(above)
    residuals = above - value * below
    power = float(residuals @ residuals)
    return power * count / (count - 1) / float(below.sum()) ** 2


def _inflated_variance(above: Floats, below: Floats, value: float) -> float:
    """Variance of the ratio, with what autocorrelation is left between neighbours.

    That of a first-order autoregression's mean, (1 + r) / (1 - r); r is raised by
    1.5 / batches, for the estimate is too low by about (1 + 4 r) / batches (Marriott &
    Pope 1954).
    """
    found = _autocorrelation(above, below)
    left = 0.0
    if found is not None:
        left = min(MAX_LEFT, max(0.0, found + 1.5 / len(above)))
    return _variance(above, below, value) * (1 + left) / (1 - left)


def _autocorrelation(above: Floats, below: Floats) -> float | None:
    """Lag-1 autocorrelation of the residuals; None where nothing varies."""
    residuals = above - above.sum() / below.sum() * below
    power = float(residuals @ residuals)
    # Rounding is no variation.
    if power <= 1e-18 * float(above @ above):
        return None
    return float(residuals[1:] @ residuals[:-1]) / power


def _ratio(above: Floats, below: Floats, level: float = LEVEL) -> Estimate:
    """Estimate sum(above) / sum(below) by batch means, as a ratio estimator.

    The interval is one of the reciprocal, and wider by a term of second order: near
    saturation a queue's mean has a standard error that grows with its square, so that a
    run which saw too little of it also believes itself too much.
    """
    whole = float(below.sum())
    value = float(above.sum()) / whole if whole else 0.0
    batches = _even_batches(above, below) if whole else None
    if batches is None:
        return Estimate(value, None, None, None, len(above), None)
    count = len(batches[0])
    error = math.sqrt(_inflated_variance(*batches, value))
    share = error / value if value else 0.0
    half = student_quantile(1 - (1 - level) / 2, count - 1) * share
    half *= 1 + 2 * half
    return Estimate(
        value=value,
        low=value / (1 + half),
        # A run that says so little bounds it on one side only.
        high=value / (1 - half) if half < 1 else None,
        relative_error=share if value else None,
        batch_count=count,
        autocorrelation=_autocorrelation(*batches),
    )
