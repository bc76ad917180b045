"""A vendor's own figures stand beside ours, with a ratio or a reason."""

from __future__ import annotations

import pytest
from support.sample_results import make_point, make_result

from bytemlperf.report.task_words import task_facts
from bytemlperf.report.vendor_figures import vendor_figures

POINT = make_point(8)
RATE = POINT.throughput_samples_per_s
SERVICE_MS = POINT.service.mean_ns / 1e6


def lines(figures, point=POINT):
    return list(vendor_figures(figures, [point]))


@pytest.mark.parametrize(
    "figures",
    [
        {"BS": 8, "QPS": RATE * 2, "AVG Latency": SERVICE_MS / 2},
        {"batch_size": 8, "samples_per_s": RATE * 2, "mean_latency_ms": SERVICE_MS / 2},
        {"Performance": [{"BS": 8, "QPS": RATE * 2, "AVG_Latency": SERVICE_MS / 2}]},
        {"8": {"throughput": RATE * 2, "latency_ms": SERVICE_MS / 2}},
    ],
    ids=["byte_mlperf", "ours", "rows", "by batch size"],
)
def test_the_same_batch_size_has_a_ratio(figures):
    """Ours over theirs: half the rate, twice the time."""
    (line,) = lines(figures)
    assert line.startswith("batch 8: ")
    assert "samples/s, 0.5 of its figure" in line
    assert "2 of its figure" in line.partition("mean service time")[2]


@pytest.mark.parametrize(
    ("figures", "reason"),
    [
        ({"QPS": 100}, "it names no batch size"),
        ({"BS": 16, "QPS": 100}, "no point of ours has this batch size"),
        ({"tops": 130, "QPS": "fast"}, 'not comparable with ours: {"tops":130'),
        ({"BS": 8, "QPS": 0}, "not comparable with ours"),
        ({"BS": 8, "QPS": True}, "not comparable with ours"),
        ({"8": {"watts": 3}}, "not comparable with ours"),
    ],
)
def test_what_cannot_be_compared_says_why(figures, reason):
    """A ratio between different things is no figure."""
    (line,) = lines(figures)
    assert reason in line
    assert "of its figure" not in line


def test_an_invalid_point_is_compared_with_nothing():
    """Neither side of a ratio may be no measurement."""
    invalid = make_point(8, invalid_reasons=["too few queries"])
    (line,) = lines({"BS": 8, "QPS": 100}, invalid)
    assert "our point is INVALID (too few queries)" in line


def test_several_points_have_a_line_each_in_the_report():
    """Only the first has the name in front."""
    figures = {"8": {"QPS": RATE}, "16": {"QPS": 1}}
    result = make_result(points=[POINT], vendor_benchmark=figures)
    facts = task_facts(result)
    first = [name for name, _ in facts].index("vendor")
    assert "samples/s, 1 of its figure" in facts[first][1]
    assert facts[first + 1][0] == ""
    assert facts[first + 1][1].startswith("batch 16: 1")
