"""Every benchmark script runs, and says what it found in well-formed JSON.

Only that: how fast anything was on the machine that runs the tests is nobody's concern.
"""

from __future__ import annotations

import importlib.util
import math
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from benchmarks.bars import BARS
from benchmarks.results import ScriptResult

ROOT = Path(__file__).parents[2]
SCRIPTS = sorted(path.stem for path in (ROOT / "benchmarks").glob("bench_*.py"))
HAS_LOADGEN = importlib.util.find_spec("mlperf_loadgen") is not None

# Bars that a script answers for; each bar belongs to one script.
BARS_OF = {
    "bench_await": "await/",
    "bench_threads": "threads/",
    "bench_loadgen": ("loadgen/", "native/"),
    "bench_single": ("lane/", "handover/"),
    "bench_population": "population/",
    "bench_memory": "memory/",
    "bench_recorder": "recorder/",
    "bench_model": "model/",
    "bench_pacing": "pacing/",
    "bench_endurance": "endurance/",
    "bench_gather": (),
    "bench_scaling": (),
}


def run(*arguments):
    """Run a module of the benchmarks as people do; what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_bar_has_its_script():
    """No script and no bar is left out of the lists above."""
    assert sorted(BARS_OF) == SCRIPTS
    prefixes = [
        p
        for each in BARS_OF.values()
        for p in ((each,) if isinstance(each, str) else each)
    ]
    for bar in BARS:
        assert sum(bar.key.startswith(prefix) for prefix in prefixes) == 1, bar.key


@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS)
def test_script_reports(script):
    """A tiny run reports its own bars, finite figures, and no verdict on them."""
    printed = run(f"benchmarks.{script}", "--tiny", "--json")
    result = msgspec.json.decode(printed, type=ScriptResult)
    assert result.script == script
    assert result.scale == "tiny"
    assert result.windows == 1
    for cost in result.costs.values():
        assert cost.queries > 0
        assert cost.windows == 1
        assert 0 < cost.wall_ns.low <= cost.wall_ns.median <= cost.wall_ns.high
    assert all(math.isfinite(value) for value in result.details.values())
    expected = [
        bar.key
        for bar in BARS
        if bar.key.startswith(BARS_OF[script] or "\0") and "-10000" not in bar.key
    ]
    assert sorted(each.bar for each in result.reached) == sorted(expected)
    for each in result.reached:
        if each.verdict == "not judged":
            assert each.value is not None
            assert math.isfinite(each.value)
        else:
            assert each.verdict in {"not built", "not measured"}
            assert each.value is None
            assert each.note
    if script == "bench_loadgen":
        assert any("LoadGen" in name for name in result.costs) == HAS_LOADGEN


@pytest.mark.slow
def test_bytes_of_both_recorders_are_the_same():
    """The one figure that time cannot touch is right even in a tiny run."""
    printed = run("benchmarks.bench_recorder", "--tiny", "--json")
    result = msgspec.json.decode(printed, type=ScriptResult)
    found = {each.bar: each.value for each in result.reached}
    assert found["recorder/bytes"] == 1.0


@pytest.mark.slow
def test_report_prints_the_whole_table():
    """The program runs the scripts it is given, and shows every bar all the same."""
    printed = run("benchmarks", "--tiny", "--only", "recorder", "gather")
    for bar in BARS:
        assert f"  {bar.what}" in printed
    assert "np.copyto" in printed
    assert "not judged" in printed
    report = msgspec.json.decode(
        run("benchmarks", "--tiny", "--json", "--only", "bench_recorder")
    )
    assert [each["script"] for each in report["results"]] == ["bench_recorder"]
    assert report["seconds"] > 0


def test_unknown_script_is_refused():
    """A name that is no script is told what there is."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--only", "nothing"],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0
    assert "bench_nothing" in done.stderr
    assert "bench_recorder" in done.stderr


@pytest.mark.parametrize("script", SCRIPTS)
def test_script_says_what_it_measures(script):
    """Each docstring says what is measured and what is not."""
    text = (ROOT / "benchmarks" / f"{script}.py").read_text(encoding="utf-8")
    docstring = text.split('"""')[1]
    assert "\nMeasures\n" in docstring
    assert "\nDoes not measure\n" in docstring
