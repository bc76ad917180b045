"""Searches against queues whose capacity is known, and against functions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from queues import mm1_latencies, table_of

from bytemlperf.errors import ConfigError
from bytemlperf.statistics.search import (
    capacity_steps,
    driven,
    grid,
    tuning_steps,
)
from bytemlperf.statistics.slo import judge_slo, parse_slos

SERVICE_S = 0.001
(SLO,) = parse_slos("p90<=10ms")
# An M/M/1 queue's p90 is ln(10) / (1/s - rate).
CAPACITY = 1 / SERVICE_S - math.log(10) / 0.010


def search_capacity(probe, **options):
    return driven(capacity_steps(**options), probe)


def queue_probe(rng, count=60_000):
    def probe(rate):
        if rate >= 1 / SERVICE_S:
            return "missed"
        arrivals, latencies = mm1_latencies(rng, count, rate * SERVICE_S, SERVICE_S)
        return judge_slo(SLO, table_of(arrivals, latencies, 32)).verdict

    return probe


@pytest.mark.parametrize("start", [40.0, 5000.0])
def test_capacity_of_a_queue_lies_in_the_interval(start):
    """At most 12 probes find an M/M/1 queue's capacity, from far below and above."""
    found = search_capacity(queue_probe(np.random.default_rng(8)), start=start)
    assert len(found.probes) <= 12
    assert found.rate <= CAPACITY <= found.missed_rate
    assert found.rate > 0.75 * CAPACITY
    assert found.probes[-1].purpose == "confirm"
    assert found.probes[-1].verdict == "met"


@pytest.mark.parametrize("capacity", [0.3, 17.0, 1234.5, 90_000.0])
def test_a_sharp_bound_is_found_to_the_precision(capacity):
    """With a bound without noise the interval holds it and is 5 % wide."""
    probe = lambda rate: "met" if rate <= capacity else "missed"  # noqa: E731
    found = search_capacity(probe, start=capacity * 1.7)
    assert found.ended_by == "precision"
    assert found.rate <= capacity <= found.missed_rate <= found.rate * 1.0501
    assert len(found.probes) <= 12


def test_a_rate_that_does_not_hold_is_given_up():
    """What was met once and not again is not the answer; the one below is."""
    tries = {}

    def probe(rate):
        tries[rate] = tries.get(rate, 0) + 1
        if rate > 100:
            return "missed"
        return "not shown" if rate > 60 and tries[rate] > 1 else "met"

    found = search_capacity(probe, start=50, precision=0.5)
    assert found.rate <= 60
    assert [each.verdict for each in found.probes if each.rate == found.rate] == [
        "met",
        "met",
    ]


def test_nothing_and_everything_are_said():
    """If no rate does, there is none; if the limit does, the search says so."""
    nothing = search_capacity(lambda rate: "missed", start=1000)
    assert nothing.rate is None
    assert nothing.ended_by == "nothing"
    assert len(nothing.probes) <= 12
    everything = search_capacity(lambda rate: "met", start=10, limit=300)
    assert everything.rate == 300
    assert everything.missed_rate is None
    assert everything.ended_by == "limit"
    with pytest.raises(ConfigError, match="above 0"):
        search_capacity(lambda rate: "met", start=0)


AXES = {"a": ["1", "2", "3", "4"], "b": ["1", "2", "3"], "c": ["1", "2"]}


def hill(settings):
    if settings["c"] == "1" and settings["b"] == "3":
        return None
    return (
        -abs(int(settings["a"]) - 3) - abs(int(settings["b"]) - 2) + int(settings["c"])
    )


def best(trials):
    usable = [trial for trial in trials if trial.score is not None]
    return max(usable, key=lambda trial: trial.score).settings


@pytest.mark.parametrize("max_trials", [24, 12])
def test_the_best_settings_are_found(max_trials):
    """The whole grid, or axis by axis with half of the trials: the same answer."""
    seen = []
    trials = driven(
        tuning_steps(AXES, max_trials=max_trials),
        lambda settings: seen.append(settings) or hill(settings),
    )
    assert best(trials) == {"a": "3", "b": "2", "c": "2"}
    assert len(seen) == len(trials) <= max_trials
    assert len({tuple(each.values()) for each in seen}) == len(seen)


def test_the_grid_is_the_product():
    """Every combination once, the last axis fastest."""
    assert [tuple(each.values()) for each in grid({"a": "12", "b": "34"})] == [
        ("1", "3"), ("1", "4"), ("2", "3"), ("2", "4"),
    ]  # fmt: skip
