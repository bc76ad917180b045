"""The overhead certificate: a load on a predict that does nothing, and its share."""

from __future__ import annotations

import json
from types import SimpleNamespace

import msgspec
import numpy as np
import pytest

from bytemlperf.cli import run
from bytemlperf.engine.overhead import certify, overhead_reasons, replay
from bytemlperf.errors import InvalidRunError
from bytemlperf.report.overhead_table import overhead_table
from bytemlperf.report.schema import OverheadReport
from bytemlperf.runtime import (
    ArraySamples,
    Batching,
    ClosedLoop,
    ConstantRate,
    Offline,
    Trace,
)

SAMPLES = ArraySamples({"x": np.zeros((64, 16), np.float32)})
REPORT = OverheadReport(
    query_count=500,
    window_ns=1_000_000,
    per_query_ns=2000.0,
    cpu_per_query_ns=1000.0,
    latency_p50_ns=5000,
    latency_p99_ns=9000,
    lag_p50_ns=100,
    lag_p99_ns=200,
    lag_p999_ns=None,
    wakeup_p50_ns=300,
    wakeup_p99_ns=400,
    wakeup_p999_ns=None,
    share=None,
    verdict="VALID",
)


def test_a_closed_loop_is_replayed_for_a_while():
    """Time ends it, however many queries were asked for."""
    report = replay(ClosedLoop(4, 10**6), Batching(max_batch=2), SAMPLES, seconds=0.05)
    assert report.query_count > 4
    assert report.per_query_ns == report.window_ns / report.query_count
    assert report.cpu_per_query_ns > 0
    assert report.share is None


def test_a_schedule_is_replayed_from_its_beginning():
    """So many as are due in that time, and not one more."""
    report = replay(
        ConstantRate(1000, 60), Batching(max_batch=2), SAMPLES, seconds=0.03
    )
    assert report.query_count == 31
    assert report.latency_p50_ns > 0
    assert report.lag_p99_ns is None
    assert report.wakeup_p50_ns == 0


def test_a_trace_is_cut_and_offline_is_bounded():
    """A replay does not take longer for a longer load."""
    trace = Trace(np.arange(1000) * 10**9)
    assert replay(trace, Batching(max_batch=2), SAMPLES, seconds=0.01).query_count == 1
    report = replay(Offline(10**9), Batching(max_batch=64), SAMPLES)
    assert report.query_count == 20_000


def test_a_load_beyond_the_harness_is_said_to_be_so():
    """More than the queue holds: the reason is in the error."""
    scenario = ConstantRate(10_000_000, 0.02)
    with pytest.raises(InvalidRunError, match="queue overflow"):
        replay(scenario, Batching(max_batch=1, max_queued=1), SAMPLES, seconds=0.02)


def point(*, is_open, window_ns=1_000_000, p50_ns=100_000):
    return SimpleNamespace(
        query_count=10,
        window_ns=window_ns,
        load=SimpleNamespace(is_open=is_open),
        latency=SimpleNamespace(p50_ns=p50_ns),
    )


def test_the_share_is_of_time_a_query_or_of_the_median():
    """In a closed loop 2 us of 100 us; in an open one 5 us of 100 us."""
    closed = certify(REPORT, point(is_open=False))
    assert (closed.share, closed.verdict) == (0.02, "VALID")
    open_loop = certify(REPORT, point(is_open=True))
    assert (open_loop.share, open_loop.verdict) == (0.05, "VALID")
    assert overhead_reasons(closed) == overhead_reasons(None) == []
    limited = certify(REPORT, point(is_open=False, window_ns=100_000))
    assert limited.verdict == "harness-limited"
    (reason,) = overhead_reasons(limited)
    assert reason == (
        "harness-limited: the same load on a predict that does nothing takes 20% of "
        "the point's time a query, at most 10%"
    )
    unanswered = msgspec.structs.replace(REPORT, latency_p50_ns=None)
    assert certify(unanswered, point(is_open=True)).share is None


def test_the_table_shows_only_what_is_known():
    """Too few queries are said to be too few, and nobody is woken in an open loop."""
    table = overhead_table([(8, certify(REPORT, point(is_open=True)), True)])
    assert [next(iter(column.cells)) for column in table.columns] == [
        "8", "500", "-", "1.00 us", "5.00 us", "9.00 us", "100 ns", "200 ns", "n<4603",
        "-", "-", "-", "5.00%",
    ]  # fmt: skip
    assert overhead_table([]) is None


def test_the_verb_measures_and_judges(capsys):
    """JSON has a row for each batch size; a load beyond the harness is exit code 4."""
    brief = ("overhead", "--duration", "0.02")
    assert run((*brief, "--batch_sizes", "1,4", "--json")) == 0
    assert list(json.loads(capsys.readouterr().out)) == ["1", "4"]
    assert run((*brief, "--scenario", "server", "--rate", "1000")) == 0
    assert "server on a predict that does nothing" in capsys.readouterr().out
    assert run(("overhead", "--clients", "0")) == 2
    assert run(("overhead", "--scenario", "server")) == 2
    assert "needs rate" in capsys.readouterr().err
