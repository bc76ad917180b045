"""How windows become ratios, verdicts and tables: the arithmetic of the benchmarks."""

from __future__ import annotations

import asyncio
import gc

import pytest

from benchmarks.bars import BARS
from benchmarks.contenders import bare, ours
from benchmarks.results import Machine, Reached, ScriptResult
from benchmarks.table import format_bars, format_costs
from benchmarks.windows import (
    Contender,
    Figures,
    Spread,
    Window,
    measure_in_turns,
    spread_of,
)

MACHINE = Machine("3.11.0", False, "6", "tsc", 2, 0.5, {})


def result(scale="quick", windows=5):
    return ScriptResult(
        script="bench_x",
        scale=scale,
        windows=windows,
        costs={},
        details={},
        reached=[],
        machine=MACHINE,
    )


def test_rounds_take_turns_and_warm_up_is_dropped():
    """Each round measures everybody once, in another order; the first is dropped."""
    order = []

    def contender(name):
        def measure():
            assert not gc.isenabled()
            order.append(name)
            return Window(1, len(order), 0)

        return Contender(name, measure)

    figures = measure_in_turns([contender(name) for name in "abc"], 2)
    assert order == ["a", "b", "c", "b", "c", "a", "c", "a", "b"]
    assert [each.wall_ns for each in figures.windows["a"]] == [6, 8]
    assert gc.isenabled()


def test_without_warm_up_every_round_counts():
    """Windows that are runs of their own need no round before them."""
    figures = measure_in_turns(
        [Contender("a", lambda: Window(1, 1, 1))], 3, warm_up=False
    )
    assert len(figures.windows["a"]) == 3


def test_collections_resume_after_a_failure():
    """A contender that raises leaves the collector as it was."""

    def fail():
        raise RuntimeError("no window")

    with pytest.raises(RuntimeError, match="no window"):
        measure_in_turns([Contender("a", fail)], 1)
    assert gc.isenabled()


def test_names_must_differ():
    """Two contenders of one name would be mixed up."""
    contender = Contender("a", lambda: Window(1, 1, 1))
    with pytest.raises(ValueError, match="share a name"):
        measure_in_turns([contender, contender], 1)


def test_ratio_is_the_median_of_rounds():
    """Costs are divided within a round, by hand: 4, 1 and 3; best by best: 20 / 10."""
    figures = Figures(
        {
            "slow": [Window(10, 400, 40), Window(10, 200, 40), Window(10, 900, 40)],
            "fast": [Window(5, 50, 10), Window(5, 100, 10), Window(5, 150, 10)],
        }
    )
    assert figures.ratio("slow", "fast") == Spread(
        3.0, 1.0, 4.0, quietest=2.0, by_cpu=2.0
    )
    assert figures.ratio("slow", "fast", "cpu").median == 2.0
    assert figures.ratio("slow", "fast", is_cpu_comparable=False).by_cpu is None


def test_spread_is_median_and_range():
    """Median and ends of a few values."""
    assert spread_of([3.0, 1.0, 2.0]) == Spread(2.0, 1.0, 3.0)


@pytest.mark.parametrize("bar", BARS, ids=lambda bar: bar.key)
def test_bar_is_met_on_its_good_side(bar):
    """The bar itself is met, beyond it too, short of it is not."""
    beyond, short = (1.01, 0.99) if bar.better == "higher" else (0.99, 1.01)
    assert bar.is_met(bar.at_least)
    assert bar.is_met(bar.at_least * beyond)
    assert not bar.is_met(bar.at_least * short)


def test_bars_are_consistent():
    """Keys are unique, and what is hoped for lies beyond what is asked."""
    assert len({bar.key for bar in BARS}) == len(BARS)
    for bar in BARS:
        if bar.hoped_for is not None:
            assert bar.is_met(bar.hoped_for), bar.key


def test_verdict_is_by_the_median():
    """A bar is judged by the median, however good the best window was."""
    found = result()
    found.judge("await/uvloop", Spread(5.9, 1.0, 100.0))
    found.judge("memory/task", Spread(700.0, 1.0, 900.0))
    assert [each.verdict for each in found.reached] == ["not met", "met"]


def test_tiny_windows_are_not_judged():
    """Figures of a mere trial get no verdict."""
    found = result(scale="tiny")
    found.judge("await/uvloop", Spread(100.0, 100.0, 100.0))
    assert found.reached[0].verdict == "not judged"


def test_missing_code_has_no_figure():
    """What is not built shows a word, a reason and no number."""
    found = result()
    found.excuse("lane/timed", "not built", "there are no lanes")
    text = format_bars(found.reached, only_these=True)
    assert "not built [1]" in text
    assert "[1] there are no lanes" in text
    assert found.reached[0].value is None


def test_table_shows_every_bar():
    """All bars stand in the table, in their order, whether somebody measured or not."""
    reached = Reached.of("await/uvloop", Spread(7.0, 6.5, 8.0), windows=5)
    text = format_bars([reached])
    places = [text.find(f"  {bar.what}") for bar in BARS]
    assert -1 not in places
    assert text.count("not measured") == len(BARS) - 1
    line = next(line for line in text.splitlines() if "7x" in line)
    assert "6.5..8 (5)" in line
    assert line.endswith("met")


def test_costs_are_listed_by_contender():
    """Median, range, processor time and queries stand in one line."""
    found = result()
    found.add_costs(Figures({"a": [Window(2, 200, 20), Window(2, 400, 20)]}))
    line = format_costs(found.costs).splitlines()[-1]
    assert line.split() == ["a", "150", "100", "200", "10.0", "4"]


@pytest.mark.parametrize("kind", ["native", "bare", "task"])
def test_every_kind_of_client_is_what_it_is_called(kind):
    """Ours never lets the run choose its clients: it might choose another kind."""
    recording = asyncio.run(
        ours.record_run(
            bare.null_predict,
            ours._SAMPLES,
            clients=2,
            queries=2,
            max_batch=2,
            kind=kind,
        )
    )
    assert recording.client_kind == kind
