"""Results side by side: what is paired, what is refused, what is said."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest
from rich.console import Console
from sample_results import make_point, make_result

from bytemlperf.errors import ConfigError
from bytemlperf.report.collect import Collected
from bytemlperf.report.comparing import compare_results
from bytemlperf.report.comparison_text import comparison_markdown, comparison_view
from bytemlperf.report.formats.comparison_junit import comparison_junit
from bytemlperf.report.schema.comparison import Comparison
from bytemlperf.statistics.gate import parse_gate


def collected(run, **changes):
    changes.setdefault("points", [make_point(1), make_point(8)])
    return Collected(run, Path(run) / "result.json", make_result(**changes))


def pair(**changes):
    return [collected("before"), collected("after", **changes)]


def shown(comparison):
    console = Console(width=140, record=True, file=None, markup=False)
    with console.capture() as page:
        console.print(comparison_view(comparison))
    return page.get()


def test_points_are_paired_and_every_metric_is_compared():
    """Two batch sizes in both runs: two points, six metrics each, all judged."""
    comparison = compare_results(pair())
    assert [point.point for point in comparison.points] == [
        "batch 1, 3 clients", "batch 8, 3 clients",
    ]  # fmt: skip
    metrics = {each.metric: each for each in comparison.points[0].metrics}
    assert metrics["p50"].ratio == 1
    assert metrics["p50"].verdict in {"same", "undecided"}
    assert metrics["p99.9"].needed_count == 4603
    assert comparison.is_noise_assumed
    text = shown(comparison)
    assert "after against before" in text
    assert "n < 4603" in text
    assert "noise between runs is assumed" in text


def test_other_models_and_data_are_refused_and_named():
    """Another model is another measurement; --force compares, and says so."""
    model = make_result().model
    other = msgspec.structs.replace(model, sha256="ab" * 32)
    with pytest.raises(
        ConfigError, match=r"not comparable: model\.sha256 is"
    ) as caught:
        compare_results(pair(model=other))
    assert "--force" in str(caught.value)
    comparison = compare_results(pair(model=other), force=True)
    assert "model.sha256" in comparison.overridden[0]
    assert "NOT COMPARABLE" in shown(comparison)


def test_an_invalid_point_is_refused():
    """What is no measurement is not compared."""
    points = [make_point(1, invalid_reasons=["harness-limited: 40 %"])]
    with pytest.raises(ConfigError, match="is INVALID \\(harness-limited"):
        compare_results(pair(points=points))


def test_other_hardware_is_compared_and_named():
    """The hardware is what one wants to compare: it is named, not refused."""
    comparison = compare_results(pair(hardware_type="GOYA"))
    assert "hardware_type is CPU and GOYA (after)" in comparison.differences
    assert "differs: hardware_type" in shown(comparison)


def test_a_gate_fails_and_is_in_every_format():
    """A run twice as slow fails p50>+5%; Markdown and JSON say so too."""
    slow = [make_point(1, service_ns=42_600_000)]
    comparison = compare_results(
        pair(points=slow), rules=parse_gate("p50>+5%"), min_effect=0.03
    )
    assert comparison.has_failed
    assert comparison.left_out == ["after: batch 8, 3 clients"]
    assert "gate p50>+5%: FAILED" in shown(comparison)
    page = comparison_markdown(comparison)
    assert "| p50 |" in page
    assert "slower |" in page
    assert msgspec.json.decode(msgspec.json.encode(comparison), type=Comparison) == (
        comparison
    )


def test_what_this_host_cannot_tell_from_noise_is_said():
    """A change of 10 % counts, but not where 20 % is the least that can be seen."""
    slow = [make_point(1, service_ns=23_430_000)]
    known = {"qps": 0.2, "mean": 0.01, "p50": 0.2}
    comparison = compare_results(pair(points=slow), detectable=known)
    text = " ".join(shown(comparison).split())
    assert "warning: less than this host can tell from noise" in text
    assert "qps -9.0% (below 20.0%)" in text or "qps -9.1% (below" in text
    assert "mean +" not in text.partition("warning:")[2]
    verdicts = {each.metric: each.verdict for each in comparison.points[0].metrics}
    assert verdicts["qps"] in {"same", "undecided"}
    quiet = compare_results(pair(points=slow), detectable={"qps": 0.01})
    assert "less than this host" not in shown(quiet)


def test_junit_fails_where_the_gate_does():
    """A test for each metric and rule; only a rule that failed is a failure."""
    slow = [make_point(1, service_ns=42_600_000)]
    comparison = compare_results(
        pair(points=slow),
        rules=parse_gate("p50>+5%,qps<-90%"),
        metrics=["p50", "p99.9"],
    )
    root = ElementTree.fromstring(comparison_junit(comparison))
    (suite,) = root
    assert suite.get("name").endswith("batch 1, 3 clients: after against before")
    tests = {each.get("name"): each for each in suite}
    assert list(tests) == ["p50", "p99.9", "qps", "gate p50>+5%", "gate qps<-90%"]
    assert (suite.get("tests"), suite.get("failures")) == ("5", "1")
    assert tests["gate p50>+5%"].find("failure").get("type") == "gate"
    assert tests["gate qps<-90%"].find("failure") is None
    assert "needs 4603" in tests["p99.9"].find("skipped").get("message")
    assert "slower: +99" in tests["p50"].find("system-out").text


def test_repeats_of_a_side_are_pooled():
    """Runs named to one side are its repeats; three a side need no assumed noise."""
    runs = [collected(f"{side}{number}") for number in range(3) for side in "ab"]
    comparison = compare_results(
        runs, groups={each.run: each.run[0] for each in runs}, is_paired=True
    )
    assert comparison.base == "a"
    assert comparison.others == ["b"]
    assert comparison.points[0].run_counts == (3, 3)


def test_one_run_or_nothing_in_common_is_refused():
    """There is nothing to compare, and the message says what there is."""
    with pytest.raises(ConfigError, match="two runs or more"):
        compare_results([collected("alone")])
    with pytest.raises(ConfigError, match="no point in common: before has"):
        compare_results(pair(points=[make_point(64)]))
