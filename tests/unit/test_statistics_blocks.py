"""Intervals from blocks of time: coverage on queues whose truth is known."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest
from queues import mm1_latencies, steady_table, table_of

from bytemlperf.errors import ConfigError
from bytemlperf.statistics.blocks import (
    make_table,
    mean_estimate,
    quantile_estimate,
    rate_estimate,
    settled_batches,
)
from bytemlperf.statistics.order import interval_ranks
from bytemlperf.statistics.steadiness import judge_steadiness
from bytemlperf.statistics.summary import summarise

RUNS = 60
# Of 60 runs at 95 %, fewer than this many hits come by chance less than once in 1000.
LEAST_HITS = 51


def cells(*pairs):
    return np.array(pairs, np.int64).reshape(-1, 2)


@pytest.mark.parametrize("utilisation", [0.3, 0.6])
def test_intervals_cover_the_truth_of_a_queue(utilisation):
    """p90 and p99 of an M/M/1 queue lie in their interval; a naive one misses most."""
    rng = np.random.default_rng(20)
    hits, naive = {90: 0, 99: 0}, 0
    mean_s = 0.001 / (1 - utilisation)
    for _ in range(RUNS):
        arrivals, latencies = mm1_latencies(rng, 6000, utilisation)
        table = table_of(arrivals, latencies)
        for percentile in hits:
            truth_ns = -math.log(1 - percentile / 100) * mean_s * 1e9
            found = quantile_estimate(table, percentile)
            # Half a cell on either side.
            hits[percentile] += (
                found.low_ns <= truth_ns * 1.005
                and (found.high_ns or math.inf) >= truth_ns * 0.995
            )
        low, high = interval_ranks(6000, 90)
        ordered = np.sort(latencies)
        naive += ordered[low - 1] <= -math.log(0.1) * mean_s <= ordered[high - 1]
    assert min(hits.values()) >= LEAST_HITS
    assert naive < LEAST_HITS


@pytest.mark.parametrize(("utilisation", "count"), [(0.8, 1000), (0.9, 3000)])
def test_few_independent_queries_are_known_to_be_few(utilisation, count):
    """Of a crowded queue and a short run: it holds the truth, or has no upper end."""
    rng = np.random.default_rng(11)
    mean_ns = 1e6 / (1 - utilisation)
    held = {"mean": 0, "p90": 0}
    open_ended = 0
    for _ in range(RUNS):
        table = table_of(*mm1_latencies(rng, count, utilisation))
        mean, tail = mean_estimate(table), quantile_estimate(table, 90)
        held["mean"] += mean.low <= mean_ns <= (mean.high or math.inf)
        held["p90"] += (
            (tail.low_ns or 0) <= math.log(10) * mean_ns <= (tail.high_ns or math.inf)
        )
        open_ended += mean.high is None
        assert tail.effective_count < count / 4
    assert min(held.values()) >= LEAST_HITS
    assert open_ended > RUNS / 20


def test_mean_and_rate_cover_the_truth_of_a_queue():
    """The mean and the throughput of an M/M/1 queue lie in their intervals."""
    rng = np.random.default_rng(4)
    means = rates = 0
    for _ in range(RUNS):
        table = table_of(*mm1_latencies(rng, 6000, 0.5))
        mean, rate = mean_estimate(table), rate_estimate(table, per_query=8)
        means += mean.low <= 2e6 <= mean.high
        rates += rate.low <= 8 * 500 <= rate.high
    assert means >= LEAST_HITS
    assert rates >= LEAST_HITS


def test_independent_samples_lose_little():
    """Where nothing is correlated the effective count stays near the count."""
    table = steady_table(np.random.default_rng(1))
    found = quantile_estimate(table, 90)
    assert found.effective_count > 0.4 * 10_000
    assert found.low_ns < found.value_ns < found.high_ns


def test_few_blocks_give_no_interval_of_a_mean():
    """Seven blocks say nothing about a spread, and no end is made up."""
    table = make_table([1e9] * 7, [50.0] * 7, [cells([10, 5])] * 7)
    assert rate_estimate(table).low is None
    assert mean_estimate(table).relative_error is None
    assert judge_steadiness(table).verdict == "unknown"
    # Ranks need no blocks.
    assert quantile_estimate(table, 50).high_ns == 10


def test_a_short_last_block_joins_the_one_before():
    """A tail of a tenth is no block of its own, and no query is lost."""
    table = make_table([100, 100, 10], [5, 5, 9], [cells([1, 5])] * 2 + [cells([9, 1])])
    assert table.durations_ns.tolist() == [100, 110]
    assert table.query_counts.tolist() == [5, 6]
    assert table.values_ns.tolist() == [1, 9]


def test_correlated_blocks_are_joined():
    """Slow waves over the blocks leave fewer, longer batches."""
    waves = 100 + 50 * np.sin(np.arange(32) / 5)
    over, _ = settled_batches(waves, np.ones(32))
    assert len(over) == 8
    assert over.sum() == pytest.approx(waves.sum())
    quick = np.random.default_rng(0).normal(100, 10, 32)
    assert len(settled_batches(quick, np.ones(32))[0]) == 32


def test_a_percentile_without_enough_queries_has_no_value():
    """60 queries carry p50 and p90; p99 needs 459, and 100 is refused."""
    table = make_table([1e9], [600.0], [cells([10, 60])])
    said = summarise(table, percentiles=(50, 90, 99))
    assert [each.value_ns for each in said.percentiles] == [10, 10, None]
    assert said.percentiles[2].needed_count == 459
    assert said.percentiles[1].loadgen_ns is None
    with pytest.raises(ConfigError, match="below 100"):
        summarise(table, percentiles=(100,))
    assert summarise(make_table([1e9], [0.0], [cells()])) is None


@pytest.mark.parametrize("seed", range(4))
def test_what_is_said_can_be_written(seed):
    """Plain numbers only: numpy's own cannot go into a message or a file."""
    rng = np.random.default_rng(seed)
    table = table_of(*mm1_latencies(rng, 2000, 0.8))
    said = summarise(table)
    assert msgspec.json.decode(msgspec.json.encode(said), type=type(said)) == said


def test_steadiness_tells_steady_from_drifting_and_overloaded():
    """A steady run is steady; latencies that grow for ever are unstable."""
    rng = np.random.default_rng(3)
    assert judge_steadiness(steady_table(rng)).verdict == "steady"
    arrivals = np.arange(10_000) / 2000
    rising = 0.001 * (1 + 0.25 * arrivals / 5) * rng.lognormal(0, 0.1, 10_000)
    found = judge_steadiness(table_of(arrivals, rising))
    assert found.verdict == "drifting"
    assert found.latency.low < 0.22 < found.latency.high
    overloaded = 0.001 + arrivals * 0.3
    assert judge_steadiness(table_of(arrivals, overloaded)).verdict == "unstable"


def test_a_transient_at_the_begin_is_found():
    """Two slow blocks of fifty at the begin are named, with their length."""
    rng = np.random.default_rng(9)
    arrivals = np.arange(10_000) / 2000
    latencies = 0.001 * rng.lognormal(0, 0.1, 10_000)
    latencies[arrivals < 0.2] *= 5
    found = judge_steadiness(table_of(arrivals, latencies))
    # The answers of the slow ones reach into a third block.
    assert found.transient_ns == pytest.approx(0.3e9, rel=0.02)
