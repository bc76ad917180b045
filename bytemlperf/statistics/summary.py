"""All that is said about one run's sureness, in one value.

Input: blocks of time, the latency's count, percentiles and objectives. Output:
`RunStatistics`, which is part of every point in the result file.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from bytemlperf.statistics.blocks import (
    BlockTable,
    Estimate,
    mean_estimate,
    quantile_estimate,
    rate_estimate,
)
from bytemlperf.statistics.order import (
    CONFIDENCE,
    LEVEL,
    interval_ranks,
    loadgen_discarded,
    min_count,
    upper_rank,
)
from bytemlperf.statistics.slo import Slo, SloJudgement, judge_slo
from bytemlperf.statistics.steadiness import Steadiness, judge_steadiness

__all__ = ["DEFAULT_PERCENTILES", "PercentileStatistics", "RunStatistics", "summarise"]

DEFAULT_PERCENTILES = (50.0, 90.0, 99.0, 99.9)


class PercentileStatistics(msgspec.Struct, frozen=True):
    """One percentile of the latency, and how sure it is.

    Parameters
    ----------
    percentile : float
        In percent.
    needed_count : int
        Queries from which on it is worth printing.
    value_ns : int or None
        Nearest rank; None: there are fewer.
    low_ns, high_ns : int or None
        95 % interval that takes account of autocorrelation; None: no query bounds it.
    independent_low_ns, independent_high_ns : int or None
        The same, were the queries independent.
    upper_bound_ns : int or None
        Tight one-sided 99 % bound, were the queries independent.
    loadgen_ns : int or None
        What LoadGen's early stopping reports from the same latencies: one rank above
        the tight bound; None where LoadGen refuses.
    effective_count : float
        Independent queries that would say as much.
    """

    percentile: float
    needed_count: int
    value_ns: int | None
    low_ns: int | None = None
    high_ns: int | None = None
    independent_low_ns: int | None = None
    independent_high_ns: int | None = None
    upper_bound_ns: int | None = None
    loadgen_ns: int | None = None
    effective_count: float = 0.0


class RunStatistics(msgspec.Struct, frozen=True):
    """How sure the figures of a run are.

    Parameters
    ----------
    level, confidence : float
        Of two-sided intervals, and of one-sided bounds and floors.
    throughput_samples_per_s : Estimate
        Over whole blocks of time.
    mean_latency_ns : Estimate
        Per query.
    percentiles : list of PercentileStatistics
        Of the latency, as asked.
    steadiness : Steadiness
        Whether it was one steady state.
    block_count : int
        Blocks of time that the intervals come from.
    slos : list of SloJudgement
        Of the objectives that were asked.
    """

    level: float
    confidence: float
    throughput_samples_per_s: Estimate
    mean_latency_ns: Estimate
    percentiles: list[PercentileStatistics]
    steadiness: Steadiness
    block_count: int
    slos: list[SloJudgement] = []


def summarise(
    table: BlockTable,
    *,
    samples_per_query: int = 1,
    percentiles: Sequence[float] = DEFAULT_PERCENTILES,
    slos: Sequence[Slo] = (),
) -> RunStatistics | None:
    """Say how sure the figures of a run are.

    Parameters
    ----------
    table : BlockTable
        Its measured part.
    samples_per_query : int, default 1
        Samples of each query.
    percentiles : sequence of float
        In percent, (0, 100).
    slos : sequence of Slo
        Objectives to judge.

    Returns
    -------
    RunStatistics or None
        None if there is no query.

    Raises
    ------
    ConfigError
        A percentile is out of range.
    """
    if not table.query_counts.sum():
        return None
    return RunStatistics(
        level=LEVEL,
        confidence=CONFIDENCE,
        throughput_samples_per_s=rate_estimate(table, per_query=samples_per_query),
        mean_latency_ns=mean_estimate(table),
        percentiles=[percentile_statistics(table, each) for each in percentiles],
        steadiness=judge_steadiness(table),
        block_count=len(table),
        slos=[
            judge_slo(slo, table, samples_per_query=samples_per_query) for slo in slos
        ],
    )


def percentile_statistics(table: BlockTable, percentile: float) -> PercentileStatistics:
    """Say how sure one percentile is.

    Parameters
    ----------
    table : BlockTable
        With at least one query.
    percentile : float
        In percent, (0, 100).

    Returns
    -------
    PercentileStatistics
        Without a value if there are too few queries.

    Raises
    ------
    ConfigError
        The percentile is out of range.
    """
    count = int(table.query_counts.sum())
    needed = min_count(percentile)
    estimate = quantile_estimate(table, percentile)
    if count < needed:
        return PercentileStatistics(
            percentile, needed, None, effective_count=estimate.effective_count
        )
    cumulated = np.cumsum(table.counts.sum(axis=0))

    def at(rank: int | None) -> int | None:
        if rank is None:
            return None
        return int(table.values_ns[int(np.searchsorted(cumulated, rank))])

    low, high = interval_ranks(count, percentile)
    discarded = loadgen_discarded(count, percentile)
    return PercentileStatistics(
        percentile=percentile,
        needed_count=needed,
        value_ns=estimate.value_ns,
        low_ns=estimate.low_ns,
        high_ns=estimate.high_ns,
        independent_low_ns=at(low),
        independent_high_ns=at(high),
        upper_bound_ns=at(upper_rank(count, percentile)),
        loadgen_ns=at(None if discarded is None else count - discarded + 1),
        effective_count=estimate.effective_count,
    )
