"""The rules that decide what is measured, and whether it is a measurement."""

from __future__ import annotations

from types import SimpleNamespace

import msgspec
import numpy as np
import pytest

from bytemlperf.engine.calibration import CalibrationData
from bytemlperf.engine.host import busy_host, describe_host
from bytemlperf.engine.perf import _tell
from bytemlperf.engine.point import distribution
from bytemlperf.engine.point_plan import (
    MAX_POINT_OVERRUN,
    MIN_QUERIES,
    PointPlan,
    predicted_skip,
    warm_up_for,
    warm_up_seconds,
)
from bytemlperf.engine.validity import harness_share, invalid_reasons
from bytemlperf.runtime import Histogram, Progress

MS = 1_000_000


def spread(*values_ns: int):
    return distribution(Histogram.from_values(values_ns))


def reasons(**changes):
    figures = {
        "latency": spread(100 * MS),
        "schedule_lag": spread(1 * MS),
        "wakeup": spread(1 * MS),
        "query_count": 10,
        "failed_count": 0,
        "min_query_count": 7,
        "overflow_count": 0,
    }
    return invalid_reasons(**(figures | changes))


def test_a_sound_point_is_valid():
    """No reason means VALID."""
    assert reasons() == []


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"failed_count": 2}, "2 of 12 queries failed"),
        ({"query_count": 6}, "too few queries: 6 of at least 7"),
        ({"wakeup": spread(20 * MS)}, "harness-limited: our own part is 18%"),
        ({"overflow_count": 1}, "1 durations beyond 1 h"),
    ],
)
def test_each_fault_is_a_reason(changes, reason):
    """Whatever bends the number is said."""
    assert any(text.startswith(reason) for text in reasons(**changes))


def test_our_share_is_of_the_whole_round_trip():
    """(lag + wake-up) / (latency + wake-up), by hand."""
    share = harness_share(spread(80 * MS), spread(10 * MS), spread(20 * MS))

    assert share == pytest.approx(0.3, rel=1e-3)
    assert harness_share(spread(), spread(), spread()) == 0.0


def test_a_batch_size_is_skipped_only_when_it_overruns_many_times():
    """The bound is MIN_QUERIES batches against MAX_POINT_OVERRUN limits."""
    bound_ns = int(MAX_POINT_OVERRUN * 10 / MIN_QUERIES * 1e9)

    assert predicted_skip(32, bound_ns, 10.0) is None
    skipped = predicted_skip(32, 2 * bound_ns, 10.0)
    assert skipped is not None
    assert skipped.predicted_batch_ns == 2 * bound_ns
    assert "160 s" in skipped.reason
    assert predicted_skip(32, 100 * bound_ns, None) is None


@pytest.mark.parametrize(("limit", "expected"), [(2.0, 1.0), (60.0, 5.0), (None, 5.0)])
def test_warm_up_is_bounded(limit, expected):
    """Half the window, at most five seconds."""
    plan = PointPlan(
        clients=1, iterations=1, point_seconds=limit, seed=0, timeline_dir=None
    )

    assert warm_up_seconds(plan) == expected


@pytest.mark.parametrize(
    ("batch_ms", "max_queries", "settle_batches"),
    [(1, None, 8), (300, None, 4), (1000, 5, 1), (20_000, 1, 1)],
)
def test_a_slow_models_warm_up_ends_in_time(batch_ms, max_queries, settle_batches):
    """Three clients of a 20 s model do not spend a minute on warming up."""
    warm_up = warm_up_for(5.0, batch_ms * MS)

    assert warm_up.max_queries == max_queries
    assert warm_up.settle_batches == settle_batches


@pytest.mark.parametrize(("load", "says"), [(0.5, False), (3.0, False), (5.6, True)])
def test_a_busy_machine_is_named(load, says):
    """Numbers taken beside other programs carry a warning with the figures."""
    host = msgspec.structs.replace(
        describe_host(), usable_cores=2.0, load_average_1min=load
    )

    warning = busy_host(host)

    assert (warning is not None) == says
    if warning is not None:
        assert "load average 5.6 on 2 cores" in warning


def test_calibration_drops_no_tail():
    """Seven samples in batches of three are three batches, with rows kept together."""
    arrays = {"a": np.arange(14).reshape(14, 1), "b": np.arange(7).reshape(7, 1)}
    data = CalibrationData(arrays, {"a": 2, "b": 1}, batch_size=3)

    batches = list(data)

    assert [len(batch["a"]) for batch in batches] == [6, 6, 2]
    assert [len(batch["b"]) for batch in batches] == [3, 3, 1]
    assert data.get_item_count() == 7
    with pytest.raises(IndexError, match="batch 3 of 3"):
        data.get_samples(3)


def test_a_point_that_answers_nothing_is_silent():
    """The launcher's deadline sees a hang only if nobody talks beside it."""
    said = []
    emitter = SimpleNamespace(progress=lambda *figures: said.append(figures))
    hung = Progress(
        done_queries=0,
        elapsed_ns=10**9,
        recent_qps=0.0,
        recent_p50_ns=None,
        recent_p99_ns=None,
        is_warm_up=False,
    )
    _tell(emitter, hung, 60, 8)
    assert said == []
    _tell(emitter, msgspec.structs.replace(hung, recent_p50_ns=5), 60, 8)
    assert len(said) == 1
