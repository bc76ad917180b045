"""What a probe of a rate shows."""

from __future__ import annotations

import numpy as np
import pytest
from queues import mm1_latencies, table_of

from bytemlperf.statistics.probing import ProbeOutcome, judge_probe
from bytemlperf.statistics.slo import parse_slos
from bytemlperf.statistics.summary import summarise


def statistics_of(bound):
    rng = np.random.default_rng(1)
    arrivals, latencies = mm1_latencies(rng, 60_000, 0.3, 0.001)
    return summarise(table_of(arrivals, latencies, 32), slos=parse_slos(bound))


def test_a_probe_that_is_no_measurement_is_not_met_but_worth_repeating():
    """The same figures are met if the run was valid."""
    statistics = statistics_of("p90<=100ms")
    assert judge_probe(statistics).verdict == "met"
    judged = judge_probe(statistics, is_invalid=True)
    assert judged == ProbeOutcome("not shown", may_be_met=True)


@pytest.mark.parametrize(
    "lost", [{"failed_count": 1}, {"lost_count": 1}, {"is_unstable": True}]
)
def test_a_probe_that_lost_queries_missed(lost):
    """Whatever the latencies of those that were answered."""
    assert judge_probe(statistics_of("p90<=100ms"), **lost).verdict == "missed"


def test_a_miss_stays_a_miss_without_a_valid_measurement():
    """And nothing answered is one too."""
    statistics = statistics_of("p90<=0.01ms")
    assert judge_probe(statistics, is_invalid=True).verdict == "missed"
    assert judge_probe(None).verdict == "missed"
