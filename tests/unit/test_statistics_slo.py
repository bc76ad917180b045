"""Objectives: what may be written, and when one is met."""

from __future__ import annotations

import numpy as np
import pytest
from queues import mm1_latencies, steady_table, table_of

from bytemlperf.errors import ConfigError
from bytemlperf.statistics.blocks import make_table
from bytemlperf.statistics.slo import judge_slo, parse_percentiles, parse_slos


def one_block(within, over, bound_ns=20_000_000):
    pairs = np.array([[bound_ns, within], [2 * bound_ns, over]], np.int64)
    return make_table([1e9], [0.0], [pairs[pairs[:, 1] > 0]])


def slo(text):
    return parse_slos(text)[0]


def test_objectives_are_read_with_their_units():
    """Latencies become ns; several are divided by commas; blanks do not matter."""
    found = parse_slos("p99 <= 20ms, p99.9<1.5s,mean<250us,qps>=1000,p99<=20ms")
    assert [(each.percentile, each.bound) for each in found] == [
        (99, 20e6), (99.9, 1.5e9), (None, 250e3), (None, 1000),
    ]  # fmt: skip
    assert found[0].text == "p99<=20ms"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "is empty"),
        ("p99", "malformed"),
        ("p99=20ms", "malformed"),
        ("p99<=20", "with a unit"),
        ("p99<=20min", "with a unit"),
        ("p99>=20ms", "bounded from above"),
        ("p9.9.9<=20ms", "malformed number"),
        ("p99<=0ms", "cannot be met by anything"),
        ("p100<=20ms", "below 100"),
        ("p0<=20ms", "above 0"),
        ("qps<=100", "bounded from below"),
        ("qps>=100ms", "no unit"),
        ("median<3ms", "malformed"),
    ],
)
def test_nonsense_is_refused_with_what_is_allowed(text, complaint):
    """Every malformed objective is a usage error that says what it should be."""
    with pytest.raises(ConfigError, match=complaint):
        parse_slos(text)


def test_percentiles_are_read_and_refused():
    """A comma list, ascending; 100 and words are refused."""
    assert parse_percentiles("99, p50,99.9,50") == (50, 99, 99.9)
    for text, complaint in [("50,100", "below 100"), ("most", "not a percentile")]:
        with pytest.raises(ConfigError, match=complaint):
            parse_percentiles(text)


def test_a_percentile_is_met_only_when_shown():
    """458 queries inside do not show a p99, 459 do; one over it then is too many."""
    judge = lambda *counts: judge_slo(slo("p99<=20ms"), one_block(*counts))  # noqa: E731
    assert judge(458, 0).verdict == "not shown"
    assert judge(459, 0).verdict == "met"
    assert judge(460, 1).verdict == "not shown"
    assert "at least 662 queries" in judge(460, 1).reason
    assert judge(661, 1).verdict == "met"
    assert judge(950, 50).verdict == "missed"
    assert judge(950, 50).over_count == 50
    assert judge(950, 50).goodput_samples_per_s == pytest.approx(950)


def test_autocorrelation_makes_it_harder():
    """Queries of a busy queue count for less, so that a met objective needs more."""
    rng = np.random.default_rng(2)
    table = table_of(*mm1_latencies(rng, 20_000, 0.8))
    # The true p90 is 11.5 ms.
    found = judge_slo(slo("p90<=12ms"), table)
    assert found.verdict == "not shown"
    assert "independent" in found.reason
    assert judge_slo(slo("p90<=30ms"), table).verdict == "met"
    assert judge_slo(slo("p90<=4ms"), table).verdict == "missed"


def test_means_and_rates_are_judged_by_their_batches():
    """A mean and a rate are met, missed, or not shown without blocks."""
    table = steady_table(np.random.default_rng(5))
    assert judge_slo(slo("mean<=1.1ms"), table).verdict == "met"
    assert judge_slo(slo("mean<=0.9ms"), table).verdict == "missed"
    assert judge_slo(slo("qps>=15000"), table, samples_per_query=8).verdict == "met"
    assert judge_slo(slo("qps>=17000"), table, samples_per_query=8).verdict == "missed"
    assert judge_slo(slo("mean<=1s"), one_block(10, 0)).verdict == "not shown"
