"""Is one run faster than another? Ratios with intervals, and a verdict for each.

Input: blocks of time of two runs, or of several runs of each. Output: for each metric
its ratio, its interval, a p-value corrected for their number, and a word. It compares
logarithms: a ratio of 2 and one of 1/2 are equally far from 1.

It is long, but one derivation, from blocks to a word; half of it is what each step
assumes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt

from bytemlperf.errors import ConfigError
from bytemlperf.statistics.blocks import (
    BlockTable,
    joined_pairs,
    mean_estimate,
    quantile_estimate,
    rate_estimate,
    settled_batches,
)
from bytemlperf.statistics.order import min_count, percentile_share
from bytemlperf.statistics.probability import (
    normal_quantile,
    student_cdf,
    student_quantile,
)

__all__ = [
    "METRICS",
    "MIN_EFFECT",
    "MIN_RUNS",
    "MetricComparison",
    "Verdict",
    "assumed_noise",
    "compare_runs",
    "judge_comparisons",
    "metric_percentile",
    "noise_between_runs",
]

Verdict = Literal["faster", "slower", "same", "undecided"]

METRICS = ("qps", "mean", "p50", "p90", "p99", "p99.9")
# Differences below this share are of no consequence unless somebody says otherwise.
MIN_EFFECT = 0.02
ALPHA = 0.05
RESAMPLES = 500
# With so many runs a side, runs are the units; with fewer, blocks of time within them.
MIN_RUNS = 3
# A cell of a histogram is at most this wide, as a share of its values.
CELL_SHARE = 0.001
# Where fewer than three runs a side say nothing of the noise between runs, and it was
# never measured on this host, so much is taken for granted (standard deviation of the
# logarithm); of the tail more.
ASSUMED_NOISE = 0.02
ASSUMED_TAIL_NOISE = 0.05
TAIL_PERCENTILE = 99

Floats = npt.NDArray[np.float64]


class MetricComparison(msgspec.Struct, frozen=True):
    """One metric of two sides.

    Parameters
    ----------
    metric : str
        ``"qps"``, ``"mean"`` or such as ``"p99"``; the latter of the latency, in ns.
    base, other : float or None
        The figures; None: too few queries.
    ratio : float or None
        other / base.
    low, high : float or None
        95 % interval of the ratio, of this metric alone; None: nothing is known of its
        spread.
    p_value : float or None
        Two-sided, for a ratio of 1; not corrected.
    corrected_p_value : float or None
        Corrected for all metrics that are compared together (Holm 1979).
    verdict : str
        ``"faster"``, ``"slower"``, ``"same"`` or ``"undecided"``.
    margin : float
        The share that a difference must reach to be one.
    needed_count : int or None
        Queries that a percentile needs, where there are fewer.
    """

    metric: str
    base: float | None
    other: float | None
    ratio: float | None
    low: float | None
    high: float | None
    p_value: float | None
    verdict: Verdict = "undecided"
    corrected_p_value: float | None = None
    margin: float = MIN_EFFECT
    needed_count: int | None = None


class _Side(msgspec.Struct, frozen=True):
    """The logarithm of one side's figure: value, variance, degrees of freedom."""

    value: float
    variance: float
    freedom: float
    run_values: tuple[float, ...]


def metric_percentile(metric: str) -> float | None:
    """Return a metric's percentile; None for qps and mean.

    Parameters
    ----------
    metric : str
        ``"qps"``, ``"mean"``, or such as ``"p99"``.

    Returns
    -------
    float or None
        In percent.

    Raises
    ------
    ConfigError
        It is none of these.
    """
    if metric in {"qps", "mean"}:
        return None
    try:
        percentile = float(metric.removeprefix("p")) if metric[:1] == "p" else None
    except ValueError:
        percentile = None
    if percentile is None:
        raise ConfigError(
            f"{metric!r} is not a metric",
            hint="metrics: qps, mean, p50, p99, p99.9 ...",
        )
    percentile_share(percentile)
    return percentile


def assumed_noise(metrics: Sequence[str]) -> dict[str, float]:
    """Return the noise between runs that is taken for granted where none was measured.

    Parameters
    ----------
    metrics : sequence of str
        ``"qps"``, ``"mean"``, or such as ``"p99"``.

    Returns
    -------
    dict of str to float
        Metric to the standard deviation of its logarithm.

    Raises
    ------
    ConfigError
        A metric does not exist.
    """
    return {
        metric: (
            ASSUMED_TAIL_NOISE
            if (metric_percentile(metric) or 0) >= TAIL_PERCENTILE
            else ASSUMED_NOISE
        )
        for metric in metrics
    }


def compare_runs(
    base: Sequence[BlockTable],
    other: Sequence[BlockTable],
    *,
    samples_per_query: int = 1,
    metrics: Sequence[str] = METRICS,
    run_noise: Mapping[str, float] | None = None,
    is_paired: bool = False,
    seed: int = 0,
) -> list[MetricComparison]:
    """Compare runs of one thing with runs of another.

    With three or more runs on both sides, each run is one value and the spread between
    runs decides (Welch's t; paired where the runs alternated). With fewer, the spread
    between blocks of time within the runs decides, by a bootstrap of batches long
    enough to be nearly independent, to which the host's own run-to-run noise is added,
    if it is known.

    Parameters
    ----------
    base, other : sequence of BlockTable
        One a run, at least one.
    samples_per_query : int, default 1
        Of both.
    metrics : sequence of str
        ``"qps"``, ``"mean"``, or such as ``"p99"``.
    run_noise : mapping of str to float, optional
        Metric to the standard deviation of its logarithm between runs of one thing.
    is_paired : bool, default False
        Whether run i of one side was made next to run i of the other.
    seed : int, default 0
        Of the bootstrap.

    Returns
    -------
    list of MetricComparison
        One a metric, without a verdict: `judge_comparisons` gives it.

    Raises
    ------
    ConfigError
        A metric does not exist.
    """
    noise = run_noise or {}
    random = np.random.Generator(np.random.PCG64(seed))
    compared = []
    for metric in metrics:
        percentile = metric_percentile(metric)
        counts = [
            sum(int(t.query_counts.sum()) for t in side) for side in (base, other)
        ]
        needed = 1 if percentile is None else min_count(percentile)
        if min(counts) < needed:
            compared.append(
                MetricComparison(
                    metric, None, None, None, None, None, None, needed_count=needed
                )
            )
            continue
        sides = [
            _side(tables, metric, percentile, samples_per_query, random)
            for tables in (base, other)
        ]
        compared.append(
            _compare(metric, sides[0], sides[1], noise.get(metric, 0.0), is_paired)
        )
    return compared


def judge_comparisons(
    families: Sequence[Sequence[MetricComparison]],
    *,
    min_effect: float = MIN_EFFECT,
    detectable: Mapping[str, float] | None = None,
) -> list[list[MetricComparison]]:
    """Give every comparison its verdict, correcting for how many there are.

    A metric is *faster* or *slower* if its corrected p-value is below 5 % and its ratio
    is off 1 by the margin at least: in no more than 5 % of comparisons of a thing with
    itself any metric is. It is the *same* if the whole 95 % interval of its ratio lies
    within the margin. Else it is *undecided*.

    Parameters
    ----------
    families : sequence of sequence of MetricComparison
        All that are reported together.
    min_effect : float, default 0.02
        Share below which a difference is of no consequence.
    detectable : mapping of str to float, optional
        Metric to the smallest difference that this host can tell from noise; where it
        is larger than `min_effect`, it is the margin.

    Returns
    -------
    list of list of MetricComparison
        As they came, judged.
    """
    flat = [each for family in families for each in family]
    corrected = _holm([each.p_value for each in flat])
    margins = detectable or {}
    judged = iter(
        _judged(each, p_value, max(min_effect, margins.get(each.metric, 0.0)))
        for each, p_value in zip(flat, corrected, strict=True)
    )
    return [[next(judged) for _ in family] for family in families]


def _judged(
    each: MetricComparison, p_value: float | None, margin: float
) -> MetricComparison:
    verdict: Verdict = "undecided"
    if each.ratio is not None and each.low is not None and each.high is not None:
        # Of a latency more is slower, of a rate less.
        slowness = math.log(each.ratio) * (-1 if each.metric == "qps" else 1)
        if each.low >= 1 / (1 + margin) and each.high <= 1 + margin:
            verdict = "same"
        elif (
            p_value is not None
            and p_value < ALPHA
            and abs(slowness) >= math.log1p(margin)
        ):
            verdict = "slower" if slowness > 0 else "faster"
    return msgspec.structs.replace(
        each, verdict=verdict, corrected_p_value=p_value, margin=margin
    )


def _holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Correct p-values for their number, step by step (Holm 1979)."""
    known = sorted((p, place) for place, p in enumerate(p_values) if p is not None)
    corrected: list[float | None] = [None] * len(p_values)
    worst = 0.0
    for step, (p, place) in enumerate(known):
        worst = max(worst, min(1.0, p * (len(known) - step)))
        corrected[place] = worst
    return corrected


def _compare(
    metric: str, base: _Side, other: _Side, noise: float, is_paired: bool
) -> MetricComparison:
    difference = other.value - base.value
    runs = len(base.run_values), len(other.run_values)
    if min(runs) >= MIN_RUNS:
        variance, freedom = _between_runs(base.run_values, other.run_values, is_paired)
    else:
        variance = base.variance + other.variance
        freedom = _welch(
            [(base.variance, base.freedom), (other.variance, other.freedom)]
        )
        variance += noise**2 * (1 / runs[0] + 1 / runs[1])
    low = high = p_value = None
    if math.isfinite(variance):
        # A figure is known to a cell of its histogram, and no better.
        error = math.sqrt(variance + 2 * CELL_SHARE**2 / 12)
        half = student_quantile(1 - ALPHA / 2, freedom) * error
        low, high = math.exp(difference - half), math.exp(difference + half)
        p_value = 2 * student_cdf(-abs(difference) / error, freedom)
    return MetricComparison(
        metric=metric,
        base=math.exp(base.value),
        other=math.exp(other.value),
        ratio=math.exp(difference),
        low=low,
        high=high,
        p_value=p_value,
    )


def _between_runs(
    base: Sequence[float], other: Sequence[float], is_paired: bool
) -> tuple[float, float]:
    """Variance of the difference of means, and its degrees of freedom."""
    if is_paired and len(base) == len(other):
        differences = np.subtract(other, base)
        return float(np.var(differences, ddof=1)) / len(base), len(base) - 1
    parts = [
        (float(np.var(values, ddof=1)) / len(values), len(values) - 1.0)
        for values in (base, other)
    ]
    return sum(variance for variance, _ in parts), _welch(parts)


def _welch(parts: Sequence[tuple[float, float]]) -> float:
    """Degrees of freedom of a sum of variances (Satterthwaite 1946)."""
    total = sum(variance for variance, _ in parts)
    below = sum(
        variance**2 / freedom for variance, freedom in parts if math.isfinite(freedom)
    )
    return total**2 / below if below > 0 else math.inf


def _side(
    tables: Sequence[BlockTable],
    metric: str,
    percentile: float | None,
    samples_per_query: int,
    random: np.random.Generator,
) -> _Side:
    """Take a figure's logarithm from every run; its value is their mean."""
    values, variances, freedoms = [], [], []
    for table in tables:
        if percentile is None:
            estimate = (
                rate_estimate(table, per_query=samples_per_query)
                if metric == "qps"
                else mean_estimate(table)
            )
            value = estimate.value
            error = estimate.relative_error
            variance = math.inf if error is None else error**2
            freedom = float(max(1, estimate.batch_count - 1))
        else:
            value, variance, freedom = _quantile(table, percentile, random)
        values.append(math.log(max(value, 1e-9)))
        variances.append(variance)
        freedoms.append(freedom)
    count = len(values)
    return _Side(
        value=float(np.mean(values)),
        variance=sum(variances) / count**2,
        freedom=_welch(list(zip(variances, freedoms, strict=True)))
        if math.isfinite(sum(variances))
        else 1.0,
        run_values=tuple(values),
    )


def _quantile(
    table: BlockTable, percentile: float, random: np.random.Generator
) -> tuple[float, float, float]:
    """Return a percentile, its logarithm's variance by a block bootstrap, and freedom.

    With fewer than 8 batches there is nothing to resample: the variance is that of the
    ranks' interval, which takes the queries for independent.
    """
    estimate = quantile_estimate(table, percentile)
    value = float(estimate.value_ns)
    cumulated = np.cumsum(table.counts, axis=1)
    place = int(np.searchsorted(table.values_ns, estimate.value_ns))
    batches = settled_batches(
        cumulated[:, place].astype(np.float64), table.query_counts.astype(np.float64)
    )
    if batches is None:
        if estimate.low_ns is None or estimate.high_ns is None:
            return value, math.inf, 1.0
        width = math.log(estimate.high_ns / max(1, estimate.low_ns)) / (2 * 1.96)
        return value, width**2, math.inf
    count = len(batches[0])
    # No resample's percentile lies further off than this; what lies beyond is not
    # looked at. Floats: numpy has a fast product of matrices for them only.
    share = percentile / 100
    reach = 10 * math.sqrt(share * (1 - share) / estimate.effective_count)
    total = cumulated.sum(axis=0)
    first, last = np.searchsorted(
        total, [(share - reach) * total[-1], (share + reach) * total[-1]]
    )
    values = table.values_ns[first : last + 1]
    rows = np.column_stack([cumulated[:, first : last + 1], table.query_counts]).astype(
        np.float64
    )
    while len(rows) > count:
        rows = joined_pairs(rows)
    # Weights of so many draws with replacement; the variance of n draws is (n-1)/n.
    draws = random.multinomial(count, np.full(count, 1 / count), size=RESAMPLES).astype(
        np.float64
    )
    found = np.empty(RESAMPLES)
    for start in range(0, RESAMPLES, 100):
        part = draws[start : start + 100] @ rows
        ranks = np.ceil(share * part[:, -1:] - 1e-6)
        places = np.minimum((part[:, :-1] < ranks).sum(axis=1), len(values) - 1)
        found[start : start + 100] = np.log(np.maximum(1, values[places]))
    variance = float(np.var(found)) * count / (count - 1)
    return value, variance, float(count - 1)


def noise_between_runs(
    tables: Sequence[BlockTable], *, metrics: Sequence[str] = METRICS, seed: int = 0
) -> tuple[dict[str, float], dict[str, float]]:
    """Say how far runs of one thing are apart, and what that hides.

    Parameters
    ----------
    tables : sequence of BlockTable
        One a run, three or more, all of the same thing.
    metrics : sequence of str
        Those with too few queries, or of no known spread, are left out.
    seed : int, default 0
        Of the bootstrap.

    Returns
    -------
    dict of str to float
        Metric to the standard deviation of its logarithm between runs beyond what the
        noise within them explains: sqrt(max(0, s^2 - mean of the variances within)).
    dict of str to float
        Metric to the smallest share that one run a side tells from noise at the 5 %
        level in 80 % of cases: exp((t + z) s sqrt(2)) - 1, with t the 97.5th
        percentile of Student's t of the runs and z the 80th of the normal distribution.
    """
    random = np.random.Generator(np.random.PCG64(seed))
    noise: dict[str, float] = {}
    detectable: dict[str, float] = {}
    for metric in metrics:
        percentile = metric_percentile(metric)
        needed = 1 if percentile is None else min_count(percentile)
        if min(int(table.query_counts.sum()) for table in tables) < needed:
            continue
        sides = [_side([table], metric, percentile, 1, random) for table in tables]
        within = float(np.mean([side.variance for side in sides]))
        if not math.isfinite(within):
            continue
        total = float(np.var([side.value for side in sides], ddof=1))
        noise[metric] = math.sqrt(max(0.0, total - within))
        # Runs that happen to agree do not make the noise within them go away.
        spread = math.sqrt(max(total, within))
        quantiles = student_quantile(0.975, len(tables) - 1) + normal_quantile(0.8)
        detectable[metric] = math.expm1(quantiles * spread * math.sqrt(2))
    return noise, detectable
