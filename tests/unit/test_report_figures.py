"""Figures: their rows are the result's numbers, and their words say the same."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest
from sample_results import distribution, make_compile, make_point, make_result, spread

from bytemlperf.errors import ConfigError
from bytemlperf.report.cells import read_cells
from bytemlperf.report.figures import (
    NamedPoint,
    NamedResult,
    accuracy_speed,
    batch_sizes,
    best_point,
    best_throughput,
    compile_times,
    differences,
    latency_over_time,
    latency_parts,
    rate_over_time,
    spectrum,
    throughput_latency,
)
from bytemlperf.report.schema import AccuracyReport, SeriesSecond


def rows(figure, layer=None):
    """Return the figure's data, or one layer's own."""
    assert figure.spec is not None, figure.summary
    data = figure.spec if layer is None else figure.spec["layer"][layer]
    return data["data"]["values"]


def test_cells_hold_what_was_recorded():
    """Counts are all there, and ranks give the values at the histogram's precision."""
    values = sorted(spread(20_000_000, 500, 3))
    cells = read_cells(distribution(values))
    assert cells.count == 500
    found = cells.at_ranks(np.array([1, 250, 500]))
    assert found == pytest.approx([values[0], values[249], values[499]], rel=1e-3)


@pytest.mark.parametrize("text", ["HISTFAAAA", "not base64 at all", "AAAA" * 20])
def test_a_damaged_histogram_is_refused(text):
    """With one kind of error, whatever the decoder made of it."""
    damaged = msgspec.structs.replace(distribution([1]), hdr_v2_base64=text)
    with pytest.raises(ConfigError, match="could not be decoded"):
        read_cells(damaged)


def test_a_spectrum_passes_through_the_percentiles():
    """At 1 / (1 - p) stands the value at p, and the last point is the maximum."""
    point = make_point(1, query_count=1000)
    found = [row for row in rows(spectrum([("a", point)])) if row["kind"] == "latency"]
    at = [row["inverse"] for row in found]
    assert np.interp(10, at, [row["ms"] for row in found]) == pytest.approx(
        point.latency.p90_ns / 1e6, rel=0.02
    )
    assert found[-1]["ms"] == pytest.approx(point.latency.max_ns / 1e6, rel=1e-3)
    assert at[-1] == 1000


def test_a_spectrum_is_pale_where_queries_are_too_few():
    """The border is the percentile that n = ln(0.01) / ln(p) gives."""
    found = rows(spectrum([("a", make_point(1, query_count=1000))]))
    carried = max(row["inverse"] for row in found if row["carried"])
    border = 1 / (1 - math.exp(math.log(0.01) / 1000))
    assert carried <= border < carried * 1.2
    assert any(not row["carried"] for row in found)


def test_the_curve_leaves_out_what_too_few_queries_say():
    """p99 needs 459 queries: drawn with 600, left out and named with 300."""
    points = [
        NamedPoint("", "batch 1", make_point(1, query_count=600)),
        NamedPoint("", "batch 8", make_point(8, query_count=300)),
    ]
    figure = throughput_latency(points)
    shown = {(row["name"], row["percentile"]) for row in rows(figure)}
    assert shown == {("batch 1", "p50"), ("batch 1", "p99"), ("batch 8", "p50")}
    assert "left out at batch 8" in figure.summary


def test_parts_make_the_whole():
    """Shares add up to one, and the parts' means to the mean round trip."""
    point = make_point(8)
    found = rows(latency_parts([("batch 8", point)]))
    assert sum(row["share"] for row in found) == pytest.approx(1, rel=1e-4)
    assert sum(row["ms"] for row in found) == pytest.approx(
        (point.latency.mean_ns + point.wakeup.mean_ns) / 1e6, rel=1e-3
    )


def test_a_second_cut_short_is_not_slow():
    """The last second's rate is over the part of it that is in the window."""
    point = make_point(
        1,
        window_ns=2_500_000_000,
        series=[
            SeriesSecond(0, 100, 1, 1, 1),
            SeriesSecond(1, 100, 1, 1, 1),
            SeriesSecond(2, 50, 1, 1, 1),
        ],
    )
    assert [row["rate"] for row in rows(rate_over_time(point))] == [100, 100, 100]
    assert rows(rate_over_time(point), layer=0)[0]["to"] == 0


def test_a_long_run_is_drawn_in_few_steps():
    """An hour has as many bars as fit, and the worst second of each is seen."""
    series = [SeriesSecond(each, 10, 1_000_000, 2_000_000, 3_000_000 + each)
              for each in range(3600)]  # fmt: skip
    point = make_point(1, window_ns=3_600_000_000_000, series=series)
    assert len(rows(rate_over_time(point))) == 600
    slowest = [row["ms"] for row in rows(latency_over_time(point))
               if row["line"] == "max"]  # fmt: skip
    assert max(slowest) == pytest.approx(3.003599, rel=1e-4)


def test_seconds_without_an_answer_have_no_latency():
    """-1 is no latency."""
    point = make_point(1, series=[SeriesSecond(0, 0, -1, -1, -1),
                                  SeriesSecond(1, 5, 10, 10, 10)])  # fmt: skip
    assert {row["second"] for row in rows(latency_over_time(point))} == {1}


def test_the_best_point_is_valid():
    """However fast, an invalid point is not the answer."""
    fast = make_point(64, service_ns=1_000_000, invalid_reasons=["too few samples"])
    slow = make_point(1)
    assert best_point(make_result(points=[fast, slow])) is slow
    assert best_point(make_result(points=[fast])) is None
    figure = best_throughput([NamedResult("a", make_result(points=[fast]))])
    assert figure.spec is None
    assert "No valid point: resnet50-torch-fp32" in figure.summary


def test_the_frontier_is_what_nothing_beats():
    """Of the same metric only: a slower, less accurate result is behind it."""

    def scored(task, service_ns, score, metric="top1"):
        accuracy = AccuracyReport(
            status="scored", values={metric: score}, interval_95={}, n=100
        )
        point = make_point(1, service_ns=service_ns, query_count=30)
        return NamedResult(
            "a", make_result(task=task, accuracy=accuracy, points=[point])
        )

    figure = accuracy_speed(
        [
            scored("fast", 1_000_000, 0.70),
            scored("exact", 9_000_000, 0.76),
            scored("neither", 9_500_000, 0.69),
            scored("other", 9_500_000, 0.10, metric="f1"),
        ]
    )
    assert {row["task"]: row["frontier"] for row in rows(figure)} == {
        "fast": True, "exact": True, "neither": False, "other": True,
    }  # fmt: skip


def test_what_is_not_there_is_said():
    """A figure without data has a sentence in its place."""
    none = distribution([])
    empty = make_point(
        1, query_count=3, window_ns=0, series=[], batch_sample_counts={},
        latency=none, service=none,
    )  # fmt: skip
    named = [("batch 1", empty)]
    for figure in (
        spectrum(named),
        latency_parts(named),
        batch_sizes(named),
        throughput_latency([NamedPoint("", "batch 1", empty)]),
        rate_over_time(empty),
        latency_over_time(empty),
        differences(None),
        compile_times(None),
        accuracy_speed([NamedResult("a", make_result())]),
    ):
        assert figure.spec is None
        assert len(figure.summary) > 15


def test_coverage_is_told_in_words():
    """Fallback segments are counted, and the share is called a claim."""
    figure = compile_times(
        make_compile(sg_percent=87.5, segment_count=3, fallback_count=1)
    )
    assert "87.5 % of the operators" in figure.summary
    assert "1 of 3 segments fall back" in figure.summary
