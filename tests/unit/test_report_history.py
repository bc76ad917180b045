"""The history: kept once, read in order, and changes that are more than chance."""

from __future__ import annotations

import random

import pytest
from sample_results import make_point, make_provenance, make_result

from bytemlperf.errors import ConfigError
from bytemlperf.report.collect import Collected
from bytemlperf.report.history.change_points import change_points
from bytemlperf.report.history.store import (
    Entry,
    Reading,
    add_results,
    history_path,
    read_series,
)
from bytemlperf.report.history.view import reading_figure, reading_lines

RATE = "throughput_samples_per_s"


def add(path, day, rate, tmp_path, **changes):
    point = make_point(1, query_count=20, throughput_samples_per_s=rate)
    provenance = make_provenance(started_at_utc=f"2026-01-{day:02d}T00:00:00+00:00")
    result = make_result(**({"points": [point], "provenance": provenance} | changes))
    return add_results(path, [Collected("run", tmp_path / "result.json", result)])


def reading(values, invalid=()):
    entries = [
        Entry(
            f"2026-01-{day:02d}", "1", None, None, "ok", "", value, day not in invalid
        )
        for day, value in enumerate(values, start=1)
    ]
    return Reading("task", "CPU", "host", "batch 1", RATE, entries)


def test_a_result_is_kept_once_and_in_order(tmp_path):
    """However often and in whatever order it is added; the last word counts."""
    path = tmp_path / "deep" / "history.sqlite"
    for day, rate in ((3, 30.0), (1, 10.0), (2, 20.0), (2, 21.0)):
        assert add(path, day, rate, tmp_path) == 1
    (series,) = read_series(path, RATE)
    assert [entry.value for entry in series.entries] == [10.0, 21.0, 30.0]
    assert series.point == "batch 1, 3 clients"


def test_a_percentile_of_too_few_queries_is_no_figure(tmp_path):
    """What is not printed is not plotted either."""
    path = tmp_path / "history.sqlite"
    add(path, 1, 10.0, tmp_path)
    assert len(read_series(path, "latency_p50_ns")) == 1
    assert read_series(path, "latency_p99_ns") == []


def test_what_is_selected_by_patterns(tmp_path):
    """Tasks and hardware types; another host is another series."""
    path = tmp_path / "history.sqlite"
    add(path, 1, 10.0, tmp_path, task="bert")
    add(path, 2, 10.0, tmp_path, task="vit")
    assert [each.task for each in read_series(path, RATE, task="b*")] == ["bert"]
    assert read_series(path, RATE, hardware_type="GPU*") == []


def test_what_nobody_measured_here_is_left_out(tmp_path):
    """A result without provenance has no place on an axis of time."""
    assert add(tmp_path / "h.sqlite", 1, 1.0, tmp_path, provenance=None) == 0


@pytest.mark.parametrize("content", [b"no database", b""])
def test_another_file_is_refused_or_begun(tmp_path, content):
    """A text file is not overwritten; an empty one is a store to be."""
    path = tmp_path / "history.sqlite"
    path.write_bytes(content)
    if content:
        with pytest.raises(ConfigError, match="cannot be used"):
            add(path, 1, 1.0, tmp_path)
        assert path.read_bytes() == content
    else:
        assert add(path, 1, 1.0, tmp_path) == 1


def test_the_place_of_the_store(monkeypatch, tmp_path):
    """A variable names it, or says that there is none."""
    monkeypatch.setenv("BYTEMLPERF_HISTORY", "off")
    assert history_path() is None
    monkeypatch.setenv("BYTEMLPERF_HISTORY", str(tmp_path / "x"))
    assert history_path() == tmp_path / "x"
    monkeypatch.delenv("BYTEMLPERF_HISTORY")
    assert history_path().name == "history.sqlite"


def test_a_step_is_found_where_it_is():
    """A tenth less, in noise of a hundredth; and one outlier is no step."""
    draw = random.Random(3)
    values = [draw.gauss(100, 1) for _ in range(12)]
    values += [draw.gauss(90, 1) for _ in range(12)]
    assert change_points(values) == [12]
    values[4] = 900
    assert change_points(values) == [12]


def test_two_steps_are_two():
    """There and back again."""
    draw = random.Random(4)
    levels = [100] * 12 + [80] * 12 + [100] * 12
    assert change_points([draw.gauss(level, 1) for level in levels]) == [12, 24]


@pytest.mark.slow
def test_noise_has_steps_as_seldom_as_promised():
    """Of 200 series without a change at most a few percent show one."""
    draw = random.Random(5)
    false_alarms = sum(
        bool(change_points([draw.gauss(100, 5) for _ in range(20)])) for _ in range(200)
    )
    assert false_alarms <= 8


@pytest.mark.parametrize("values", [[], [1.0], [5.0] * 30, [1, 2, 3, 4, 5, 6, 7]])
def test_too_little_to_say_is_no_step(values):
    """Few values, and values that are all the same."""
    assert change_points(values) == []


def test_a_change_is_told_with_both_levels():
    """In the line of the run that first had it; an invalid run takes no part."""
    series = reading([100.0] * 8 + [80.0] * 8 + [1.0], invalid={17})
    lines = reading_lines(series)
    assert "changed from 100 samples/s to 80.0 samples/s (-20.0%)" in lines[2 + 8]
    assert "INVALID" in lines[2 + 16]
    assert sum("changed" in line for line in lines) == 1
    figure = reading_figure(series, "x")
    assert figure.spec["layer"][-1]["data"]["values"] == [{"when": "2026-01-09"}]
