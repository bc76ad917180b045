"""Search, sweep, tune, compare and ab over simulated runs: no clock is read."""

from __future__ import annotations

import asyncio
import itertools
import math

import numpy as np
import pytest
from queues import mm1_latencies
from simulated import recording_of

from bytemlperf.engine.point import latency_block
from bytemlperf.errors import ConfigError, PredictError
from bytemlperf.report.blocks import blocks_table
from bytemlperf.runtime import ab, compare, search, sweep, tune
from bytemlperf.runtime.measured import recording_table

SERVICE_S = 0.001
# An M/M/1 queue's p90 is ln(10) / (1/s - rate).
CAPACITY = 1 / SERVICE_S - math.log(10) / 0.010


async def queue_at(rate_qps, seconds, seed):
    """Serve Poisson arrivals by one server with exponential service times."""
    rng = np.random.default_rng(seed)
    overloaded = rate_qps >= 1 / SERVICE_S
    load = 0.5 if overloaded else rate_qps * SERVICE_S
    arrivals, latencies = mm1_latencies(rng, int(rate_qps * seconds), load, SERVICE_S)
    return recording_of(
        arrivals,
        latencies,
        rate_qps=rate_qps,
        schedule_seed=seed,
        is_unstable=overloaded,
    )


def steady(rng, mean_ms=1.0, count=3000, **options):
    """Answer at an even rate, with lognormal latencies."""
    arrivals = np.arange(count) * mean_ms / 1e3
    return recording_of(
        arrivals, mean_ms / 1e3 * rng.lognormal(0, 0.02, count), **options
    )


def test_search_finds_the_capacity_of_a_queue():
    """The analytic capacity lies in the interval, and every run is handed over."""
    told = []
    found = asyncio.run(
        search(
            queue_at,
            "p90<=10ms",
            start_rate=500,
            seconds=20,
            precision=0.3,
            on_run=told.append,
        )
    )
    assert found.capacity.rate <= CAPACITY <= found.capacity.missed_rate
    assert found.capacity.rate > 0.7 * CAPACITY
    assert len(found.capacity.probes) <= 12
    assert list(found.runs) == told
    seeds = [each.settings["schedule_seed"] for each in found.runs]
    assert seeds == list(range(1, len(told) + 1))
    confirmed = [
        each
        for each in found.runs
        if each.settings["rate_qps"] == found.capacity.rate and each.is_usable
    ]
    assert len(confirmed) == 2
    overloaded = [each for each in told if each.settings["rate_qps"] >= 1000]
    assert all("backlog" in each.faults[0] for each in overloaded)


def test_search_repeats_what_was_not_shown_for_longer():
    """Too short to show p90 with 99 % confidence, though below it: 3 times as long."""
    asked = []

    async def run_at(rate_qps, seconds, seed):
        asked.append((rate_qps, seconds))
        return await queue_at(rate_qps, seconds, seed)

    asyncio.run(search(run_at, "p90<=10ms", start_rate=100, seconds=0.01, max_probes=2))
    assert any(
        first[0] == second[0] and math.isclose(second[1], 3 * first[1])
        for first, second in itertools.pairwise(asked)
    )


def test_search_counts_dropped_queries_as_missed():
    """The latency of a query that was never answered is in no percentile."""

    async def run_at(rate_qps, seconds, seed):
        arrivals, latencies = mm1_latencies(
            np.random.default_rng(seed), 2000, 0.1, SERVICE_S
        )
        return recording_of(
            arrivals,
            latencies,
            rate_qps=rate_qps,
            schedule_seed=seed,
            dropped_count=5,
        )

    found = asyncio.run(search(run_at, "p90<=1s", start_rate=100, max_probes=3))
    assert found.capacity.rate is None
    assert found.capacity.ended_by == "nothing"
    assert found.capacity.missed_rate == min(
        each.rate for each in found.capacity.probes
    )
    assert "still queued" in found.runs[0].faults[0]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"objectives": ""}, "needs an objective"),
        ({"objectives": "p100<=1ms"}, "percentile"),
        ({"start_rate": 0}, "above 0"),
        ({"seconds": 0}, "above 0"),
        ({"max_probes": 1}, "2 probes"),
    ],
)
def test_search_refuses_what_makes_no_sense(options, reason):
    """Nothing runs, and the message says what is expected."""

    async def never(*_):
        pytest.fail("it ran")

    asked = {"objectives": "p90<=10ms", "start_rate": 100.0} | options
    with pytest.raises(ConfigError, match=reason):
        asyncio.run(search(never, **asked))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda rate, seed: (None, seed), "closed loop"),
        (lambda rate, seed: (rate * 2, seed), "asked for 100 queries/s"),
        (lambda rate, seed: (rate, 7), "schedule seed"),
    ],
)
def test_search_refuses_a_run_that_was_not_asked_for(change, reason):
    """A rate that is not passed on would be judged by another load's latencies."""

    async def run_at(rate_qps, seconds, seed):
        rate, used = change(rate_qps, seed)
        rng = np.random.default_rng(0)
        return steady(rng, rate_qps=rate, schedule_seed=used)

    with pytest.raises(ConfigError, match=reason):
        asyncio.run(search(run_at, "p90<=10ms", start_rate=100))


def test_search_hands_on_what_predict_raised():
    """A predict function that never answers has no rate, and says why."""

    async def run_at(rate_qps, seconds, seed):
        empty = np.empty(0)
        error = PredictError("it is broken")
        return recording_of(
            empty, empty, rate_qps=rate_qps, schedule_seed=seed, error=error
        )

    with pytest.raises(PredictError, match="it is broken"):
        asyncio.run(search(run_at, "p90<=10ms", start_rate=100))


def test_sweep_measures_the_grid_and_keeps_what_failed():
    """One row a combination, the last axis fastest; a failure is a row with a fault."""

    async def run_with(settings):
        if settings == {"a": 2, "b": "y"}:
            empty = np.empty(0)
            return recording_of(empty, empty, error=PredictError("too large"))
        return steady(np.random.default_rng(1), mean_ms=settings["a"])

    rows = asyncio.run(
        sweep(run_with, {"a": [1, 2], "b": ["x", "y"]}, objectives="p50<=1.5ms")
    )
    assert [tuple(each.settings.values()) for each in rows] == [
        (1, "x"), (1, "y"), (2, "x"), (2, "y"),
    ]  # fmt: skip
    assert [each.is_usable for each in rows] == [True, True, False, False]
    assert rows[2].unmet == ("p50<=1.5ms: missed",)
    assert "too large" in rows[3].faults[0]
    assert rows[3].statistics is None
    for axes in ({}, {"a": []}, {"a": [1, 1]}):
        with pytest.raises(ConfigError, match=r"vary|different values"):
            asyncio.run(sweep(run_with, axes))


@pytest.mark.parametrize(("max_runs", "is_complete"), [(12, True), (9, False)])
def test_tune_finds_the_best_that_meets_the_objective(max_runs, is_complete):
    """The fastest misses the objective; the best of the others is the answer."""

    async def run_with(settings):
        rate = 1000 * settings["threads"] * settings["batch"]
        rng = np.random.default_rng(rate)
        latency_s = 0.001 * settings["batch"]
        return recording_of(
            np.arange(1000) / rate, latency_s * rng.lognormal(0, 0.1, 1000)
        )

    found = asyncio.run(
        tune(
            run_with,
            {"batch": [1, 2, 4, 8], "threads": [1, 2, 3]},
            objectives="p90<=6ms",
            max_runs=max_runs,
        )
    )
    assert found.best.settings == {"batch": 4, "threads": 3}
    assert found.is_complete is is_complete
    assert len(found.runs) <= max_runs
    least = asyncio.run(tune(run_with, {"batch": [8, 4], "threads": [1]}, goal="p50"))
    assert least.best.settings["batch"] == 4
    none = asyncio.run(
        tune(run_with, {"batch": [1], "threads": [1]}, objectives="p50<=1us")
    )
    assert none.best is None
    with pytest.raises(ConfigError, match="not a metric"):
        asyncio.run(tune(run_with, {"batch": [1]}, goal="speed"))


def test_ab_alternates_and_detects_a_slowdown():
    """A B B A A B: five percent are seen, and a thing is the same as itself."""
    order = []
    numbers = itertools.count()

    def side(name, mean_ms):
        async def measure():
            order.append(name)
            return steady(np.random.default_rng(next(numbers)), mean_ms)

        return measure

    slower = asyncio.run(ab(side("a", 1.0), side("b", 1.05), metrics=["qps", "p50"]))
    assert "".join(order) == "abbaab"
    assert [each.verdict for each in slower.metrics] == ["slower", "slower"]
    assert slower.metrics[1].ratio == pytest.approx(1.05, rel=0.01)
    assert not slower.faults
    assert len(slower.base) == len(slower.other) == 3
    alike = asyncio.run(ab(side("a", 1.0), side("b", 1.0), metrics=["qps", "p50"]))
    assert [each.verdict for each in alike.metrics] == ["same", "same"]
    with pytest.raises(ConfigError, match="rounds"):
        asyncio.run(ab(side("a", 1.0), side("b", 1.0), rounds=0))


def test_compare_refuses_other_loads_and_says_why():
    """Another rate, or a run that is spoilt: refused, or forced with the reason."""
    rng = np.random.default_rng(3)
    base = steady(rng, rate_qps=1000.0)
    with pytest.raises(ConfigError, match=r"1000/s.*2000/s"):
        compare(base, steady(rng, rate_qps=2000.0))
    spoilt = steady(rng, rate_qps=1000.0, failed_count=3)
    with pytest.raises(ConfigError, match="run 1 of other: 3 queries failed"):
        compare([base], [spoilt])
    forced = compare([base], [spoilt], metrics=["p50"], force=True)
    assert forced.faults == ("run 1 of other: 3 queries failed",)
    assert forced.is_noise_assumed
    assert forced.run_noise == {"p50": 0.02}
    (metric,) = forced.metrics
    assert metric.low < 1 < metric.high
    with pytest.raises(ConfigError, match="at least one run"):
        compare([], [base])
    with pytest.raises(ConfigError, match="min_effect"):
        compare(base, base, min_effect=2)


def test_a_recording_says_the_same_as_its_result_file():
    """The library's table is the one that comes out of a stored point."""
    recording = steady(np.random.default_rng(4))
    stored = blocks_table(
        [latency_block(each) for each in recording.blocks], recording.latency.max
    )
    table = recording_table(recording)
    for name in ("durations_ns", "query_counts", "sums_ns", "values_ns", "counts"):
        np.testing.assert_array_equal(getattr(table, name), getattr(stored, name))
