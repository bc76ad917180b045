"""Wall time by phase, on a clock that the test moves."""

from __future__ import annotations

import pytest

from bytemlperf.launch import phase_clock
from bytemlperf.launch.phase_clock import PhaseClock
from bytemlperf.report.schema import PhaseTime


class Clock:
    """Stands still until it is told to go on."""

    def __init__(self) -> None:
        self.now_ns = 7

    def pass_seconds(self, seconds: int) -> None:
        self.now_ns += seconds * 1_000_000_000


@pytest.fixture
def clock(monkeypatch) -> Clock:
    moved = Clock()
    monkeypatch.setattr(phase_clock, "now_ns", lambda: moved.now_ns)
    return moved


def test_a_phase_lasts_until_the_next_one_or_the_end(clock) -> None:
    """What passes while nothing runs belongs to nothing."""
    times = PhaseClock()
    times.begin("start")
    clock.pass_seconds(2)
    times.begin("compile")
    clock.pass_seconds(3)
    times.end()
    clock.pass_seconds(50)
    times.begin("load", 4)
    clock.pass_seconds(1)
    assert times.times == [
        PhaseTime("start", None, 2.0),
        PhaseTime("compile", None, 3.0),
        PhaseTime("load", 4, 1.0),
    ]


def test_a_phase_that_comes_again_adds_up(clock) -> None:
    """Also while it is running, and on what an earlier command has spent."""
    times = PhaseClock([PhaseTime("perf", 1, 10.0), PhaseTime("load", 1, 0.5)])
    times.begin("perf", 1)
    clock.pass_seconds(5)
    assert times.times[0] == PhaseTime("perf", 1, 15.0)
    times.begin("perf", 8)
    clock.pass_seconds(2)
    times.end()
    times.end()
    assert times.seconds_in("perf") == 17.0
    assert times.seconds_in("perf", "load") == 17.5
    assert times.seconds_in("compile") == 0
