"""What a task's points may take together."""

from __future__ import annotations

import msgspec
import pytest

from bytemlperf.cli.options import Overrides
from bytemlperf.engine import perf_budget
from bytemlperf.engine.perf_budget import PerfBudget, predicted_point_seconds
from bytemlperf.engine.point_plan import PointPlan
from bytemlperf.workloads import Load, Workload

S = 1_000_000_000


def plan(**changes) -> PointPlan:
    given = {
        "clients": 3,
        "iterations": 100,
        "point_seconds": 4.0,
        "seed": 0,
        "timeline_dir": None,
    }
    return PointPlan(**(given | changes))


def needed(batch_ns: int, **changes) -> float:
    return predicted_point_seconds(plan(**changes), 8, batch_ns, predict_threads=1)


def test_without_a_limit_everything_fits() -> None:
    """However long it takes."""
    assert PerfBudget(None).skipped(8, 100 * S, 1e6) is None


def test_what_does_not_fit_says_what_it_would_have_taken() -> None:
    """And what was left, also of what earlier workers have spent."""
    budget = PerfBudget(40, spent_seconds=28)
    assert budget.skipped(8, 1 * S, 12.0) is None
    skipped = budget.skipped(8, 1 * S, 12.5)
    assert skipped is not None
    assert (skipped.batch_size, skipped.predicted_batch_ns) == (8, 1 * S)
    assert skipped.reason == (
        "it would take about 12 s, and 12 s are left of perf_seconds = 40"
    )


def test_time_is_spent_also_by_what_fails(monkeypatch) -> None:
    """And nothing is left that is less than nothing."""
    moments = iter([0, 30 * S, 40 * S, 75 * S])
    monkeypatch.setattr(perf_budget, "now_ns", lambda: next(moments))
    budget = PerfBudget(60)
    with budget.spending():
        pass
    assert budget.skipped(1, 1, 30.0) is None
    with pytest.raises(RuntimeError), budget.spending():
        raise RuntimeError
    skipped = budget.skipped(1, 1, 0.1)
    assert skipped is not None
    assert "0 s are left" in skipped.reason


def test_a_fast_point_takes_its_time_limit_and_its_warm_up() -> None:
    """4 s of window, 2 s of warm-up, three pilots of 1 ms, two answers on the way."""
    assert needed(S // 1000) == pytest.approx(6.005)


def test_a_slow_point_takes_its_fewest_queries() -> None:
    """Two pilots, one to warm up, seven of the window, two more on the way."""
    assert needed(10 * S) == pytest.approx(120.0)
    # One client has nothing on the way when the window ends.
    assert needed(10 * S, clients=1) == pytest.approx(100.0)
    # A point of three queries is over after three.
    assert needed(10 * S, clients=1, iterations=3) == pytest.approx(60.0)


def test_an_open_loop_is_as_long_as_its_schedule_and_its_backlog() -> None:
    """Twice the schedule, if it is overloaded."""
    load = Load(scenario="server", rate=5.0)
    assert needed(S // 1000, load=load) == pytest.approx(8.0 + 2.0, abs=0.1)


def test_who_says_how_long_points_are_wants_all_of_them() -> None:
    """A workload's own limits fit its own points only."""
    assert Overrides().fields() == {}
    assert Overrides(point_seconds=9).fields() == {
        "point_seconds": 9,
        "perf_seconds": None,
    }
    assert Overrides(iterations=5).fields() == {
        "iterations": 5,
        "point_seconds": None,
        "perf_seconds": None,
    }
    both = Overrides(iterations=5, point_seconds=2.0, perf_seconds=30.0).fields()
    assert both == {"iterations": 5, "point_seconds": 2.0, "perf_seconds": 30.0}


def test_a_limit_is_more_than_nothing() -> None:
    """Zero seconds would be a limit that nobody could keep."""
    with pytest.raises(msgspec.ValidationError, match="perf_seconds"):
        msgspec.convert({"model": "m", "perf_seconds": 0}, Workload)
