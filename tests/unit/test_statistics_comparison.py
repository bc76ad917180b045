"""Comparisons by simulation: a thing with itself, with a slower one; gates."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from queues import mm1_latencies, steady_table, table_of

from bytemlperf.errors import ConfigError
from bytemlperf.statistics.comparison import (
    MetricComparison,
    compare_runs,
    judge_comparisons,
    noise_between_runs,
)
from bytemlperf.statistics.gate import check_gate, parse_gate

FEW = ("qps", "mean", "p50", "p90")


def judged(base, other, **options):
    options.setdefault("metrics", FEW)
    effect = {
        key: options.pop(key) for key in ("min_effect", "detectable") if key in options
    }
    return judge_comparisons([compare_runs(base, other, **options)], **effect)[0]


def verdicts(comparisons):
    return {each.metric: each.verdict for each in comparisons}


def quiet(rng, slowness=1.0, **options):
    return steady_table(
        rng, rate=2000 / slowness, latency_ns=1e6 * slowness, block_count=32, **options
    )


def test_a_thing_is_the_same_as_itself():
    """A quiet backend against itself is the same, at least 19 times of 20."""
    rng = np.random.default_rng(11)
    found = [verdicts(judged([quiet(rng)], [quiet(rng)])) for _ in range(20)]
    assert sum(set(each.values()) == {"same"} for each in found) >= 19


def test_a_twentieth_slower_is_seen():
    """5 % more latency and 5 % less throughput are called slower, all of 10 times."""
    rng = np.random.default_rng(12)
    for _ in range(10):
        found = judged([quiet(rng)], [quiet(rng, 1.05)])
        assert set(verdicts(found).values()) == {"slower"}
        for each in found:
            truth = 1 / 1.05 if each.metric == "qps" else 1.05
            assert each.low - 0.005 < truth < each.high + 0.005
    assert set(verdicts(judged([quiet(rng, 1.05)], [quiet(rng)])).values()) == {
        "faster"
    }


def test_a_queue_against_itself_is_seldom_called_different():
    """Correlated latencies do not make false alarms: at most a few in 40 pairs."""
    rng = np.random.default_rng(13)
    alarms = 0
    for _ in range(40):
        pair = [
            [table_of(*mm1_latencies(rng, 4000, 0.6), block_count=32)] for _ in "ab"
        ]
        found = judged(*pair, metrics=("qps", "mean", "p90"))
        alarms += bool({"faster", "slower"} & set(verdicts(found).values()))
    # 5 % of 40 is 2; more than 6 come by chance less than once in 100.
    assert alarms <= 6


def test_noise_between_runs_decides_where_there_are_runs():
    """Runs that differ by 10 % hide 5 %; the same runs, side by side, show it."""
    rng = np.random.default_rng(14)
    drifts = rng.lognormal(0, 0.1, 6)
    base = [quiet(rng, drift, seconds=1.0) for drift in drifts]
    other = [quiet(rng, 1.05 * drift, seconds=1.0) for drift in drifts]
    assert verdicts(judged(base, other, metrics=("mean",))) == {"mean": "undecided"}
    assert verdicts(judged(base, other, metrics=("mean",), is_paired=True)) == {
        "mean": "slower"
    }


def test_known_noise_of_the_host_widens_intervals():
    """What the host does between runs is added where one run a side cannot show it."""
    rng = np.random.default_rng(15)
    pair = [quiet(rng)], [quiet(rng, 1.05)]
    alone, noisy = (
        judged(*pair, metrics=("mean",), run_noise={"mean": noise})[0]
        for noise in (0.0, 0.05)
    )
    assert alone.verdict == "slower"
    assert noisy.verdict == "undecided"
    assert noisy.low < alone.low < alone.high < noisy.high
    assert (
        judged(*pair, metrics=("mean",), detectable={"mean": 0.1})[0].verdict == "same"
    )


def test_too_few_queries_are_said():
    """A percentile without enough queries on one side is not compared."""
    rng = np.random.default_rng(16)
    few = steady_table(rng, rate=50, seconds=2.0, block_count=10)
    found = judged([few], [quiet(rng)], metrics=("p50", "p99"))
    assert found[1].ratio is None
    assert found[1].needed_count == 459
    assert found[0].ratio is not None
    with pytest.raises(ConfigError, match="not a metric"):
        compare_runs([few], [few], metrics=("p50", "speed"))


def make(metric="p99", ratio=1.08, p_value=0.001, margin=0.02):
    return MetricComparison(
        metric, 1e6, 1e6 * ratio, ratio, ratio - 0.02, ratio + 0.02, p_value,
        verdict="slower", corrected_p_value=p_value, margin=margin,
    )  # fmt: skip


def test_a_gate_fails_only_for_what_is_shown():
    """Beyond the bound and no chance: failed. Else passed, or said not to be shown."""
    rules = parse_gate("p99 > +5%")
    outcome = lambda each: check_gate(rules, [each])[0].verdict  # noqa: E731
    assert outcome(make()) == "failed"
    assert outcome(make(ratio=1.04)) == "passed"
    assert outcome(make(p_value=0.2)) == "not shown"
    assert outcome(make(margin=0.1)) == "not shown"
    assert outcome(make(ratio=0.9)) == "passed"
    nothing = msgspec.structs.replace(make(), ratio=None, needed_count=459)
    assert outcome(nothing) == "not shown"
    slower = [make("qps", 0.9)]
    assert check_gate(parse_gate("qps<-3%"), slower)[0].verdict == "failed"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "is empty"),
        ("p99>5", "malformed"),
        ("p99=5%", "malformed"),
        ("speed>5%", "malformed"),
        ("p100>+5%", "below 100"),
        ("p99>-5%", "nothing has changed"),
        ("qps<+3%", "nothing has changed"),
    ],
)
def test_nonsense_gates_are_refused(text, complaint):
    """Every malformed rule is a usage error."""
    with pytest.raises(ConfigError, match=complaint):
        parse_gate(text)


def test_calibration_finds_the_noise_between_runs():
    """Runs that differ by 5 % show about that; what one run hides is far more."""
    rng = np.random.default_rng(17)
    tables = [quiet(rng, drift, seconds=1.0) for drift in rng.lognormal(0, 0.05, 30)]
    noise, detectable = noise_between_runs(tables, metrics=("qps", "mean", "p99.9"))
    # 2,000 queries a run do not carry a p99.9.
    assert set(noise) == set(detectable) == {"qps", "mean"}
    assert 0.03 < noise["mean"] < 0.08
    assert 0.1 < detectable["mean"] < 0.4
