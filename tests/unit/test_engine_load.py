"""From the words of a workload to a load, and what of it can spoil a point."""

from __future__ import annotations

import json
from types import SimpleNamespace

import msgspec
import numpy as np
import pytest

from bytemlperf.engine.load_report import load_reasons, load_report
from bytemlperf.engine.point_load import (
    batching_for,
    check_load,
    expected_queries,
    expected_seconds,
    point_seconds,
    scenario_for,
)
from bytemlperf.errors import ConfigError
from bytemlperf.report.load_table import load_table, load_words
from bytemlperf.runtime import (
    Burst,
    ClosedLoop,
    ConstantRate,
    Gamma,
    Histogram,
    LoadRecording,
    MultiStream,
    Offline,
    Ramp,
    Server,
    SingleStream,
    Trace,
)
from bytemlperf.workloads import Load, parse_workload, read_workload


def scenario(batch_size=4, seconds=2.0, **fields):
    return scenario_for(
        Load(**fields),
        batch_size,
        clients=3,
        iterations=20,
        seconds=seconds,
        batch_ns=100_000_000,
        predict_threads=2,
    )


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, ClosedLoop(3, 20, 4)),
        ({"samples_per_query": 2}, ClosedLoop(3, 20, 2)),
        ({"think_time_ms": 1.5}, ClosedLoop(3, 20, 4, 1_500_000)),
        ({"scenario": "single_stream"}, SingleStream(20, 4)),
        ({"scenario": "multi_stream"}, MultiStream(20, 8)),
        ({"scenario": "offline"}, Offline(40, 4)),
        ({"scenario": "offline", "samples_per_query": 1}, Offline(160, 1)),
        ({"scenario": "offline", "queries": 5}, Offline(5, 4)),
        ({"scenario": "server", "rate": 50}, Server(50, 2)),
        ({"scenario": "constant_rate", "rate": 50}, ConstantRate(50, 2)),
        (
            {"scenario": "gamma", "rate": 50, "burstiness": 3},
            Gamma(50, 2, burstiness=3),
        ),
        ({"scenario": "burst", "rate": 50, "burst_size": 5}, Burst(50, 2, 5)),
        ({"scenario": "ramp", "rate": 50, "end_rate": 90}, Ramp(50, 90, 2)),
    ],
)
def test_each_scenario_is_made_of_its_fields(fields, expected):
    """Batch size, clients, iterations and time go where each scenario has room."""
    assert scenario(**fields) == expected


def test_a_trace_is_read_scaled_and_cut(tmp_path):
    """Rate and time are applied; its length is its own if no time is set."""
    path = tmp_path / "a.csv"
    path.write_text("0\n1\n2\n3\n")
    fields = {"scenario": "trace", "trace": str(path)}
    whole = scenario(seconds=None, **fields)
    assert whole.due_ns.tolist() == [0, 10**9, 2 * 10**9, 3 * 10**9]
    cut = scenario(rate=2, seconds=1.0, **fields)
    assert cut.due_ns.tolist() == [0, 5 * 10**8]
    assert expected_queries(whole) == 4
    assert expected_seconds(whole, seconds=None, query_ns=1e6) == 6


def test_batches_follow_queries_and_batch_size():
    """A batch is the batch size, a query's if larger, or what is asked for."""
    assert batching_for(Load(), 4, predict_threads=2).max_batch == 4
    multi = batching_for(Load(scenario="multi_stream"), 4, predict_threads=2)
    assert (multi.max_batch, multi.predict_threads) == (8, 2)
    asked = batching_for(
        Load(max_batch=16, max_delay_us=500, predict_threads=3), 4, predict_threads=2
    )
    assert (asked.max_batch, asked.max_delay_us, asked.predict_threads) == (16, 500, 3)


def test_expectations_bound_each_scenario():
    """Queries that are asked for, and the time within which something is wrong."""
    assert expected_queries(ClosedLoop(3, 20)) == 60
    assert expected_queries(Ramp(50, 90, 2)) == 140
    assert expected_queries(Trace(np.arange(3), sizes=np.array([1, 2, 3]))) == 6
    assert expected_seconds(Server(50, 2), seconds=None, query_ns=1) == 4
    assert expected_seconds(Offline(100), seconds=5, query_ns=1e8) == 10
    assert expected_seconds(ClosedLoop(3, 20), seconds=5, query_ns=1e8) == 5
    assert expected_seconds(ClosedLoop(3, 20), seconds=None, query_ns=1e8) == 6


def workload(**fields):
    return parse_workload(json.dumps({"model": "m", **fields}).encode(), "w.json")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"rate": 5}, "rate is about the scenario server or .* not about closed_loop"),
        ({"scenario": "server"}, "the scenario server needs rate"),
        ({"scenario": "gamma", "rate": 5}, "gamma needs burstiness"),
        ({"scenario": "burst", "rate": 5}, "burst needs burst_size"),
        ({"scenario": "ramp", "rate": 5}, "ramp needs end_rate"),
        ({"scenario": "trace"}, "trace needs trace"),
        ({"scenario": "server", "rate": 0}, "rate"),
        ({"scenario": "server", "rate": -1}, "rate"),
        ({"scenario": "servers", "rate": 1}, "Invalid enum value 'servers'"),
        ({"scenario": "server", "rate": 1, "queries": 3}, "queries is about the"),
        ({"scenario": "server", "rate": 1, "think_time_ms": 3}, "think_time_ms is"),
        ({"samples_per_query": 8, "max_batch": 4}, "does not fit into a batch"),
        (
            {"scenario": "trace", "trace": "a.csv", "samples_per_query": 2},
            "a trace says itself",
        ),
    ],
)
def test_fields_that_do_not_belong_together_are_refused(fields, message):
    """The message names the field, and what it would belong to."""
    with pytest.raises(ConfigError, match=message):
        workload(**fields)


def test_a_misspelt_field_names_the_nearest():
    """As for all others."""
    with pytest.raises(ConfigError, match=r"unknown field \$\.burstyness") as top:
        workload(burstyness=2)
    assert "did you mean 'burstiness'?" in top.value.hint


def test_old_workloads_are_closed_loops():
    """Files of nine fields mean what they meant."""
    old = workload(clients=2, iterations=5, batch_sizes=[1, 4])
    assert not old.is_open
    assert scenario_for(
        old, 4, clients=2, iterations=5, seconds=None, batch_ns=1, predict_threads=1
    ) == ClosedLoop(2, 5, 4)
    assert point_seconds(old, 10.0) == 10.0


def test_a_trace_beside_its_workload_is_found(tmp_path):
    """Its path is relative to the workload, and it is not cut by a default."""
    (tmp_path / "a.csv").write_text("0\n1\n")
    path = tmp_path / "w.json"
    path.write_text('{"model": "m", "scenario": "trace", "trace": "a.csv"}')
    found = read_workload(path).workload
    assert found.trace == str(tmp_path / "a.csv")
    assert point_seconds(found, 10.0) is None
    check_load(found, None, where="w")
    (tmp_path / "a.csv").write_text("1\n0\n")
    with pytest.raises(ConfigError, match=r"^w: .*line 2: timestamp_s 0 is before"):
        check_load(found, None, where="w")


def test_a_load_beyond_memory_is_refused_before_anything_is_built():
    """Clients and schedules alike."""
    with pytest.raises(ConfigError, match=r"w: 1,000,000,000 clients would take"):
        check_load(workload(clients=10**9), None, where="w")
    huge = workload(scenario="server", rate=1e9, point_seconds=3600)
    with pytest.raises(ConfigError, match=r"w: a schedule of 3,600,000,000,000"):
        check_load(huge, 3600, where="w")


SOUND = LoadRecording(
    scenario="server",
    schedule_seed=3,
    schedule_sha256="ab",
    schedule_ns=2_000_000_000,
    requested_qps=500.0,
    offered_qps=500.0,
    issued_qps=500.0,
    scheduled_count=1000,
    issued_count=1000,
    refused_count=0,
    starved_count=0,
    unissued_count=0,
    dropped_count=0,
    max_queued=1000,
    peak_in_flight=5,
    mean_backlogs=(1.0, 1.0, 1.0, 1.0),
    end_backlog=1,
    is_unstable=False,
    lag=Histogram.from_values([1000] * 1000),
    pacer_cpu_ns=5,
    pacer_spun_ns=4,
    pacer_spin_ns=100_000,
    is_real_time=False,
)


def recorded(latency_ns=10_000_000, **changes):
    return SimpleNamespace(
        load=msgspec.structs.replace(SOUND, **changes),
        latency=Histogram.from_values([latency_ns] * 1000),
        window_ns=2_000_000_000,
        query_count=990,
        seed=1,
        rng="numpy.PCG64",
    )


def test_a_sound_load_is_no_reason():
    """And neither is a closed loop."""
    assert load_reasons(recorded()) == []
    assert load_reasons(SimpleNamespace(load=None)) == []


UNSTABLE = (
    "unstable: more came than was served; queries waiting, mean of each quarter of the "
    "schedule: 1, 20.5, 40, 60; 1 at its end"
)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"refused_count": 7}, "queue overflow: 7 of 1,000 queries found the queue of"),
        ({"dropped_count": 7}, "dropped: 7 of 1,000 queries were still queued"),
        ({"is_unstable": True, "mean_backlogs": (1.0, 20.5, 40.0, 60.0)},
         UNSTABLE),
        ({"starved_count": 7}, "harness-limited: 7 of 1,000 queries were not issued"),
        ({"latency_ns": 9000}, "harness-limited: the p99 of the schedule lag is 1 us"),
    ],
)  # fmt: skip
def test_each_fault_of_the_load_is_a_reason(changes, reason):
    """The word that programs look for comes first, and the figure is in it."""
    (found,) = load_reasons(recorded(**changes))
    assert found.startswith(reason)


def test_the_report_says_what_was_offered_and_what_came_of_it():
    """Rates over their own spans, and the words a person reads."""
    report = load_report(recorded(refused_count=7), Server(500, 2), None)
    assert (report.offered_qps, report.achieved_qps) == (500, 495)
    assert (report.scenario, report.is_open) == ("server", True)
    assert (report.order_seed, report.schedule_seed) == (1, 3)
    point = SimpleNamespace(load=report, point_seconds=2.0, batch_size=4)
    assert load_words(point) == "server, 500 queries/s for 2 s (seed 3)"
    table = load_table([point])
    cells = [list(column.cells) for column in table.columns]
    assert cells == [
        ["4"], ["500"], ["495"], ["1,000"], ["7"], ["0"], ["5"], ["-"], ["-"],
    ]  # fmt: skip


def test_closed_loops_need_no_table():
    """Their words are what they were; a stream says its name."""
    closed = SimpleNamespace(
        load=None, clients=3, iterations=5, point_seconds=None, batch_size=1
    )
    assert load_words(closed) == "closed loop, 3 clients x 5 queries"
    assert load_table([closed]) is None
    recording = SimpleNamespace(
        load=None, window_ns=10**9, query_count=5, seed=0, rng="numpy.PCG64"
    )
    stream = SimpleNamespace(
        load=load_report(recording, SingleStream(5), None),
        iterations=5,
        point_seconds=2.0,
    )
    assert load_words(stream) == "single stream, 5 queries, at most 2 s"
    assert load_table([stream]) is None
