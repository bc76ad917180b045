"""Where the wall time went, as a person reads it."""

from __future__ import annotations

import io
from pathlib import Path

import msgspec
from support.sample_results import make_result

from bytemlperf.launch.index_file import IndexFile
from bytemlperf.report.console import invocation_report, open_console
from bytemlperf.report.schema import PhaseTime, TaskResult
from bytemlperf.report.storage import OutFolder
from bytemlperf.report.task_words import task_facts
from bytemlperf.report.wall_time import (
    TIME_HEADINGS,
    format_clock,
    time_rows,
    wall_time_words,
)

TIMES = [
    PhaseTime("prepare model", None, 61.0),
    PhaseTime("prepare reference", None, 30.0),
    PhaseTime("start", None, 0.5),
    PhaseTime("import", None, 4.5),
    PhaseTime("load", 1, 1.0),
    PhaseTime("perf", 1, 12.0),
    PhaseTime("load", 8, 2.0),
    PhaseTime("perf", 8, 20.0),
    PhaseTime("vendor_benchmark", None, 3.0),
]


def timed(task: str = "a-torch-fp32", seconds: float = 140.0) -> TaskResult:
    return msgspec.structs.replace(
        make_result(status="ok", failures=[]),
        task=task,
        duration_seconds=seconds,
        phase_times=TIMES,
    )


def test_stages_and_the_rest_add_up() -> None:
    """What no column is about, and what lay between the phases, is `other`."""
    rows = time_rows([("a", timed())], None)
    assert [name for name, _ in rows] == ["a", "all"]
    by_stage = dict(zip(TIME_HEADINGS, rows[0][1], strict=True))
    assert by_stage["prepare"] == 91
    assert by_stage["start"] == 5
    assert (by_stage["load"], by_stage["perf"]) == (3, 32)
    assert by_stage["other"] == 140 - 91 - 5 - 3 - 32
    assert sum(rows[0][1][:-1]) == rows[0][1][-1] == 140


def test_the_longest_comes_first_and_the_command_has_its_own_time() -> None:
    """Making environments belongs to no task, and to the whole."""
    tasks = [("short", timed(seconds=140)), ("long", timed(seconds=200))]
    rows = time_rows(tasks, 400.0)
    assert [name for name, _ in rows] == ["long", "short", "all"]
    assert rows[-1][1][-1] == 400
    assert rows[-1][1][-2] == sum(seconds[-2] for _, seconds in rows[:-1]) + 60


def test_a_result_that_kept_no_times_shows_none() -> None:
    """Results of older versions, and imported ones."""
    result = make_result()
    assert wall_time_words(result) is None
    assert "time" not in dict(task_facts(result))
    assert time_rows([("old", result)], 10.0) == []


def test_a_task_says_it_in_a_line() -> None:
    """What took nothing is left out."""
    words = wall_time_words(timed())
    assert words == (
        "2 min 20 s: prepare 1 min 31 s, start 5.0 s, load 3.0 s, perf 32 s, "
        "other 9.0 s"
    )


def test_a_command_of_several_tasks_shows_the_table(tmp_path: Path) -> None:
    """One row a task below the verdicts, and one for all."""
    out = OutFolder.prepare(tmp_path / "out")
    index = IndexFile(out, ())
    for name in ("a-torch-fp32", "b-torch-fp32"):
        index.enter(timed(name), out.task("CPU", name))
    written = index.write(is_interrupted=False)
    assert written.tasks[0].phase_times == TIMES
    assert written.duration_seconds is not None
    text = io.StringIO()
    open_console(text).print(invocation_report(written, [], out.index))
    lines = text.getvalue().splitlines()
    assert any(line.split() == ["min:s", *TIME_HEADINGS] for line in lines)
    assert any(
        line.split()[:2] == ["b-torch-fp32", "1:31"] and line.split()[-1] == "2:20"
        for line in lines
    )
    assert any(line.split()[:2] == ["all", "3:02"] for line in lines)


def test_minutes_and_seconds() -> None:
    """Nothing is a dash, and hours stay minutes."""
    assert [format_clock(each) for each in (0.4, 59.6, 187, 4320)] == [
        "-",
        "1:00",
        "3:07",
        "72:00",
    ]
