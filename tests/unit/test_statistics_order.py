"""Floors and ranks: LoadGen's tables, and exact binomial coverage."""

from __future__ import annotations

import math

import pytest

from bytemlperf.errors import ConfigError
from bytemlperf.statistics.order import (
    interval_ranks,
    loadgen_discarded,
    loadgen_min_count,
    loadgen_rank,
    min_count,
    percentile_share,
    upper_rank,
)
from bytemlperf.statistics.probability import (
    binomial_cdf,
    student_cdf,
    student_quantile,
)

PERCENTILES = (90, 95, 97, 99, 99.9)
# What LoadGen 6.0.17 wants for so many queries over the latency.
LOADGEN_COUNTS = {
    0: (44, 90, 152, 459, 4_603),
    1: (64, 130, 219, 662, 6_636),
    2: (81, 165, 277, 838, 8_403),
    10: (197, 398, 667, 2_010, 20_140),
    100: (1_246, 2_504, 4_182, 12_571, 125_826),
    1000: (10_722, 21_483, 35_831, 107_569, 1_076_032),
}
# What LoadGen discards of n latencies before it reports the largest one left.
LOADGEN_DISCARDED = {
    90: {63: None, 64: 1, 100: 3, 1_000: 78, 10_000: 930, 100_000: 9_779},
    99: {661: None, 662: 1, 1_000: 2, 10_000: 77, 100_000: 927, 1_000_000: 9_768},
}


@pytest.mark.parametrize(("over", "counts"), LOADGEN_COUNTS.items())
def test_counts_equal_loadgens(over, counts):
    """The queries that early stopping wants are LoadGen's, at every percentile."""
    assert tuple(loadgen_min_count(over, each) for each in PERCENTILES) == counts


@pytest.mark.parametrize("percentile", LOADGEN_DISCARDED)
def test_estimate_is_loadgens_rank(percentile):
    """The latency that early stopping reports has LoadGen's rank, or there is none."""
    for count, discarded in LOADGEN_DISCARDED[percentile].items():
        assert loadgen_discarded(count, percentile) == discarded
        rank = None if discarded is None else count - discarded + 1
        assert loadgen_rank(count, percentile) == rank


def exact_cdf(successes, trials, share):
    return sum(
        math.comb(trials, k) * share**k * (1 - share) ** (trials - k)
        for k in range(successes + 1)
    )


@pytest.mark.parametrize(
    ("trials", "share"), [(1, 0.5), (7, 0.9), (60, 0.01), (200, 0.3)]
)
def test_binomial_equals_its_sum(trials, share):
    """The continued fraction agrees with the sum of its terms."""
    for successes in range(trials + 1):
        assert binomial_cdf(successes, trials, share) == pytest.approx(
            exact_cdf(successes, trials, share), rel=1e-9
        )


def test_binomial_holds_for_very_many():
    """At 10^8 trials the median is still where it must be."""
    assert binomial_cdf(5 * 10**7, 10**8, 0.5) == pytest.approx(0.5, abs=1e-4)


@pytest.mark.parametrize(
    ("freedom", "quantile"), [(1, 12.7062), (5, 2.57058), (29, 2.04523), (1e6, 1.95997)]
)
def test_student_equals_the_tables(freedom, quantile):
    """The 97.5th percentiles are those of the printed tables."""
    assert student_quantile(0.975, freedom) == pytest.approx(quantile, rel=1e-4)
    assert student_quantile(0.025, freedom) == pytest.approx(-quantile, rel=1e-4)
    assert student_cdf(quantile, freedom) == pytest.approx(0.975, abs=1e-5)


@pytest.mark.parametrize("percentile", [50, 90, 99])
@pytest.mark.parametrize("count", [10, 60, 459, 5000])
def test_interval_has_at_least_its_level(count, percentile):
    """The ranks enclose the true percentile with 95 %, and no narrower pair does."""
    share = percentile / 100
    low, high = interval_ranks(count, percentile)
    if high is not None:
        assert binomial_cdf(high - 1, count, share) >= 0.975
        assert binomial_cdf(high - 2, count, share) < 0.975
    else:
        assert 1 - share**count < 0.975
    if low is not None:
        assert binomial_cdf(low - 1, count, share) <= 0.025
        assert binomial_cdf(low, count, share) > 0.025


def test_tight_bound_is_a_rank_below_loadgens():
    """From 459 queries on the largest bounds p99; LoadGen asks for 662."""
    assert upper_rank(458, 99) is None
    assert upper_rank(459, 99) == 459 == min_count(99)
    for count in (662, 5_000, 100_000):
        bound, theirs = upper_rank(count, 99), loadgen_rank(count, 99)
        assert theirs is not None
        assert bound == theirs - 1


@pytest.mark.parametrize("percentile", [0, -1, 100, 101, math.nan])
def test_percentiles_without_a_sample_size_are_refused(percentile):
    """No number of samples bounds the 100th percentile."""
    with pytest.raises(ConfigError, match="above 0 and below 100"):
        percentile_share(percentile)
