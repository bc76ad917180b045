"""Ease of use is counted from results and from the backend's own files."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from support.sample_results import make_result

from bytemlperf.backends import find_backend
from bytemlperf.engine.messages import BackendDescribed
from bytemlperf.launch.answers import Question
from bytemlperf.launch.backend_facts import backend_facts, code_lines
from bytemlperf.launch.hardware import Hardware
from bytemlperf.launch.task_run import WorkerCommand
from bytemlperf.report.console import open_console
from bytemlperf.report.ease_of_use import ease_of_use, ease_view
from bytemlperf.report.schema import Failure

GOYA = Path(__file__).parents[1] / "support" / "GOYA"


def results():
    whole = make_result(failures=[])
    half = msgspec.structs.replace(
        whole,
        task="half",
        compile=msgspec.structs.replace(whole.compile, sg_percent=50.0),
    )
    refused = msgspec.structs.replace(
        whole,
        task="refused",
        status="failed",
        compile=None,
        points=[],
        failures=[Failure("compile", "CompileError", "no such\nop")],
    )
    return [whole, half, refused]


def test_coverage_and_causes_are_counted():
    """Three of four tasks have a result, two compiled, one of them whole."""
    found = results()
    tasks = [*(result.task for result in found), "never begun"]
    ease = ease_of_use("GOYA", tasks, found, None)
    assert (ease.task_count, ease.compiled_count, ease.full_graph_count) == (4, 2, 1)
    assert ease.model_coverage == pytest.approx(0.5)
    assert ease.mean_sg_percent == pytest.approx(75.0)
    assert [(t.task, t.message) for t in ease.troubles] == [("refused", "no such")]
    assert ease.troubles_by_cause == {"compile: CompileError": 1}


def test_nothing_compiled_has_no_mean():
    """A share of nothing is not printed."""
    ease = ease_of_use("GOYA", ["a"], [], None)
    assert (ease.model_coverage, ease.mean_sg_percent) == (0.0, None)


def test_code_is_counted_without_comments_and_docstrings(tmp_path):
    """Blank lines, comments and docstrings are not code; strings are."""
    path = tmp_path / "code.py"
    path.write_text(
        '"""Module\ndocstring."""\n\n# a comment\nx = 1  # and another\n\n\n'
        'def f():\n    """Docstring."""\n    return """two\nlines"""\n'
    )
    assert code_lines(path) == 4
    path.write_text("def f(:\n")
    assert code_lines(path) == 0


def test_a_backends_facts(tmp_path):
    """Lines, requirements, questions, and which of them were answered."""
    info = find_backend("GOYA", GOYA)
    hardware = Hardware(
        info,
        WorkerCommand(("python",), {}, "current"),
        BackendDescribed("1", True, False, False),
        (Question("bits", default=8), Question("cores", default=1)),
    )
    facts = backend_facts(hardware, {"bits": 4, "cores": 1})
    assert 50 < facts.code_line_count < 90
    assert (facts.question_count, facts.answered_count) == (2, 1)
    assert facts.requirement_count >= 1
    assert backend_facts(Hardware(info), {}) is None


def test_the_view_has_the_figures(capsys):
    """A person reads coverage and the reason for each gap."""
    import sys

    found = results()
    ease = ease_of_use("GOYA", [each.task for each in found], found, None)
    open_console(sys.stdout).print(ease_view(ease))
    text = capsys.readouterr().out
    assert "model coverage 67% (2 of 3 tasks compiled, 1 of them whole" in text
    assert "compile: CompileError" in text
