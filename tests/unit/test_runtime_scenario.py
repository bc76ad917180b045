"""What may be asked of a run, and what is refused."""

from __future__ import annotations

import datetime

import pytest

from bytemlperf.errors import ConfigError
from bytemlperf.runtime import (
    Batching,
    ClosedLoop,
    Limits,
    WarmUp,
    cpu_time_ns,
    now_ns,
    utc_now,
)


@pytest.mark.parametrize(
    ("kind", "fields", "message"),
    [
        (ClosedLoop, {"clients": 0, "iterations": 1}, "clients must be >= 1, not 0"),
        (ClosedLoop, {"clients": 1, "iterations": 0}, "iterations must be >= 1"),
        (
            ClosedLoop,
            {"clients": 1, "iterations": 1, "samples_per_query": 0},
            "samples_per_query must be >= 1",
        ),
        (
            ClosedLoop,
            {"clients": 1, "iterations": 1, "think_time_ns": -1},
            "think_time_ns must be >= 0",
        ),
        (Batching, {"max_batch": 0}, "max_batch must be >= 1"),
        (Batching, {"max_batch": 1, "max_delay_us": -1}, "max_delay_us must be"),
        (Batching, {"max_batch": 1, "predict_threads": 0}, "predict_threads must be"),
        (Batching, {"max_batch": 1, "max_queued": 0}, "max_queued must be >= 1"),
        (Batching, {"max_batch": 1, "max_wake_delay_us": -1}, "max_wake_delay_us"),
        (Limits, {"max_seconds": 0}, "max_seconds must be > 0"),
        (Limits, {"min_queries": -1}, "min_queries must be >= 0"),
        (Limits, {"drain_seconds": -1}, "drain_seconds must be >= 0"),
        (WarmUp, {"max_seconds": -1}, "max_seconds must be >= 0"),
        (WarmUp, {"max_queries": -1}, "max_queries must be >= 0"),
        (WarmUp, {"min_queries": -1}, "min_queries must be >= 0"),
        (WarmUp, {"settle_windows": 1}, "settle_windows >= 2"),
        (WarmUp, {"settle_tolerance": -0.1}, "settle_tolerance must be >= 0"),
    ],
)
def test_refuses_fields_out_of_range(kind, fields, message):
    """Each field is checked when the value is made, and named."""
    with pytest.raises(ConfigError, match=message):
        kind(**fields)


def test_batches_are_whole_queries():
    """A batch holds as many queries as fit, and a query must fit."""
    assert Batching(max_batch=10).queries_per_batch(4) == 2
    with pytest.raises(ConfigError, match=r"11 samples does not fit .* at most 10"):
        Batching(max_batch=10).queries_per_batch(11)


def test_warm_up_can_be_skipped():
    """Either limit at zero means no warm-up."""
    assert not WarmUp().is_skipped
    assert WarmUp(max_seconds=0).is_skipped
    assert WarmUp(max_queries=0).is_skipped


def test_clock():
    """The clock is monotonic, in nanoseconds; the wall clock is aware."""
    first = now_ns()
    assert isinstance(first, int)
    assert now_ns() >= first
    assert cpu_time_ns() > 0
    assert utc_now().tzinfo is datetime.UTC
