"""Schedules: exact rates, the laws they claim, and the same moments everywhere."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bytemlperf.errors import ConfigError
from bytemlperf.runtime import (
    Burst,
    ConstantRate,
    Gamma,
    Offline,
    Ramp,
    Server,
    Trace,
)
from bytemlperf.runtime.arrivals import due_times, schedule_seconds, schedule_sha256
from bytemlperf.runtime.plan import SampleOrder, plan_load

TIMED = [
    Server(rate_qps=1000, seconds=5),
    ConstantRate(rate_qps=1000, seconds=5),
    Gamma(rate_qps=1000, seconds=5, burstiness=4),
    Burst(rate_qps=1000, seconds=5, burst_size=10),
    Ramp(rate_qps=200, end_rate_qps=1800, seconds=5),
]


def order(samples=64, step=1):
    return SampleOrder(samples, 1, step=step, seed=0)


@pytest.mark.parametrize("scenario", TIMED, ids=lambda each: type(each).__name__)
def test_offers_exactly_the_rate_asked_for(scenario):
    """The count is rate x seconds, inside the schedule, and never steps back."""
    due_ns = due_times(scenario, 7)
    assert due_ns.dtype == np.int64
    assert len(due_ns) == 5000
    assert (np.diff(due_ns) >= 0).all()
    assert due_ns[0] >= 0
    assert due_ns[-1] < 5e9
    plan = plan_load(scenario, order(), schedule_seed=7)
    assert plan.requested_qps == plan.offered_qps == 1000
    assert plan.sha256 == schedule_sha256(due_ns)
    assert len(plan.samples) == 5000


@given(
    rate=st.floats(0.5, 20_000),
    seconds=st.floats(0.01, 2),
    seed=st.integers(0, 2**64),
)
def test_any_rate_is_kept_to_half_a_query(rate, seconds, seed):
    """What cannot be exact, for queries are whole, is off by less than one query."""
    if round(rate * seconds) < 1:
        with pytest.raises(ConfigError, match="not even one query"):
            Server(rate, seconds)
        return
    plan = plan_load(Server(rate, seconds), order(), schedule_seed=seed)
    assert abs(plan.offered_qps - rate) * seconds <= 0.5 + 1e-6
    assert (np.diff(plan.due_ns) >= 0).all()


def test_seeds_of_64_bits_all_differ():
    """LoadGen takes seeds modulo 2**32; here each bit counts."""
    hashes = {
        schedule_sha256(due_times(TIMED[0], seed)) for seed in (1, 2, 2**32 + 1, 2**64)
    }
    assert len(hashes) == 4


def test_schedules_are_the_same_everywhere():
    """Pinned: raw words, sorting and exact operations leave nothing to the machine.

    The first uniform numbers of numpy's generator with seed 0 are 0.6370, 0.2698,
    0.0410, 0.0165 and 0.8133, which times half a second are these moments.
    """
    assert due_times(Server(10, 0.5), 0).tolist() == [
        8263817, 20486761, 134893356, 318480843, 406635119,
    ]  # fmt: skip
    assert due_times(Ramp(5, 15, 0.5), 0).tolist() == [
        16014694, 38074229, 194289721, 367236456, 434934390,
    ]  # fmt: skip
    assert due_times(ConstantRate(3, 1), 0).tolist() == [0, 333333333, 666666666]
    assert due_times(Burst(4, 1, 3), 0).tolist() == [0, 0, 0, 750000000]


def _kolmogorov(values, cumulative):
    ranks = np.arange(1, len(values) + 1) / len(values)
    expected = cumulative(np.sort(values))
    return max(
        np.abs(ranks - expected).max(), np.abs(ranks - 1 / len(values) - expected).max()
    )


def test_server_gaps_are_exponential():
    """Kolmogorov distance within its 0.1 % bound, for several seeds."""
    for seed in range(5):
        gaps = np.diff(due_times(Server(1000, 20), seed)) / 1e6
        distance = _kolmogorov(gaps, lambda gap: 1 - np.exp(-gap))
        assert distance < 1.95 / np.sqrt(len(gaps))


@pytest.mark.parametrize("burstiness", [0.1, 1, 4])
def test_gamma_gaps_vary_as_asked(burstiness):
    """The squared coefficient of variation is the burstiness."""
    gaps = np.diff(due_times(Gamma(1000, 40, burstiness), 3))
    assert np.var(gaps) / np.mean(gaps) ** 2 == pytest.approx(burstiness, rel=0.15)


def test_ramp_gets_faster_evenly():
    """Arrivals in each tenth of the time follow the line between both rates."""
    due_ns = due_times(Ramp(100, 1900, 40), 1)
    counts = np.histogram(due_ns, bins=10, range=(0, 40e9))[0]
    expected = 4 * np.linspace(100 + 90, 1900 - 90, 10)
    assert (np.abs(counts - expected) < 5 * np.sqrt(expected)).all()


def test_ramp_may_fall_or_be_level():
    """A falling ramp is a rising one backwards; a level one is a Poisson process."""
    falling = due_times(Ramp(1800, 200, 5), 1)
    assert np.median(falling) < 2e9
    level = due_times(Ramp(1000, 1000, 5), 1)
    assert np.abs(level - due_times(Server(1000, 5), 1)).max() <= 1


def test_offline_is_due_at_once_and_in_order():
    """All at 0; samples in the order of the library, whole queries, again and again."""
    plan = plan_load(
        Offline(queries=5, samples_per_query=4),
        SampleOrder(10, 4, step=1, seed=0),
        schedule_seed=0,
    )
    assert plan.due_ns.tolist() == [0] * 5
    assert plan.samples.tolist() == [0, 4, 0, 4, 0]
    assert plan.offered_qps is None
    assert plan.seconds == 0


def test_trace_with_sizes_issues_a_row_for_each_sample():
    """Rows of one query share its moment and its number."""
    trace = Trace(due_ns=np.array([0, 10, 30]), sizes=np.array([1, 3, 2]))
    plan = plan_load(trace, order(), schedule_seed=0)
    assert plan.due_ns.tolist() == [0, 10, 10, 10, 30, 30]
    assert plan.queries.tolist() == [0, 1, 1, 1, 2, 2]
    assert plan.query_count == 3
    assert plan.requested_qps is None
    assert schedule_seconds(trace) == pytest.approx(45e-9)
    assert plan.offered_qps == pytest.approx(3 / 45e-9)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Server(0, 1), "rate_qps must be > 0"),
        (lambda: Server(-5, 1), "rate_qps must be > 0"),
        (lambda: Server(float("nan"), 1), "rate_qps must be > 0"),
        (lambda: Server(2e9, 1), "at most 1e\\+09"),
        (lambda: Server(10, 0), "seconds must be > 0"),
        (lambda: Server(10, 3601), "at most 3600"),
        (lambda: Server(1, 0.1), "not even one query"),
        (lambda: Server(10, 1, 0), "samples_per_query must be >= 1"),
        (lambda: ConstantRate(0, 1), "rate_qps must be > 0"),
        (lambda: Gamma(10, 1, 0), "burstiness must be 0.01 to 100"),
        (lambda: Burst(10, 1, 0), "burst_size must be >= 1"),
        (lambda: Ramp(10, 0, 1), "end_rate_qps must be > 0"),
        (lambda: Offline(0), "queries must be >= 1"),
        (lambda: Offline(1, 0), "samples_per_query must be >= 1"),
        (lambda: Trace(np.array([], np.int64)), "at least one moment"),
        (lambda: Trace(np.array([0.5])), "whole ns"),
        (lambda: Trace(np.array([5, 3])), "arrival 1 is due 2 ns before arrival 0"),
        (lambda: Trace(np.array([-5, 3])), "0 to at most 3600 s"),
        (lambda: Trace(np.array([4 * 10**12])), "0 to at most 3600 s"),
        (lambda: Trace(np.array([1]), sizes=np.array([0])), "whole and >= 1"),
        (lambda: Trace(np.array([1]), sizes=np.array([1, 1])), "one size for each"),
        (lambda: plan_load(TIMED[0], order(), schedule_seed=-1), "seed must be >= 0"),
        (
            lambda: plan_load(Server(1e9, 3600), order(), schedule_seed=0),
            "3,600,000,000,000 queries would take about",
        ),
    ],
)
def test_refuses_what_no_schedule_can_be(make, message):
    """Each bound is named, before anything is drawn."""
    with pytest.raises(ConfigError, match=message):
        make()
