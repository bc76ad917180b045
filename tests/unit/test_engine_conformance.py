"""Each rule is broken by a backend that breaks it, and by no other."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import numpy as np
import pytest

from bytemlperf.engine.conformance.probe import model_info
from bytemlperf.engine.conformance.rules import RULES
from bytemlperf.engine.conformance.subject import Subject
from bytemlperf.engine.conformance.trial import rule_outcome, try_rule
from bytemlperf.engine.messages import CheckJob
from bytemlperf.launch.conformance import grade
from bytemlperf.report.conformance_text import conformance_view
from bytemlperf.report.console import open_console
from bytemlperf.report.schema import ConformanceReport

FAULTY = Path(__file__).parents[1] / "support" / "FAULTY"
# Thousands of calls, or loads of large arrays.
SLOW = {"memory", "unload", "finished", "no-children"}
# Breaking the one breaks the other, as it should.
IMPLIED = {
    "by-name": {"correct"},
    "load": {"answers", "correct"},
    "answers": {"correct", "batch-invariant", "nan"},
    "batch-invariant": {"correct", "nan"},
    "deterministic": {"any-thread", "threads", "errors", "compile-again"},
    "outputs-stay": {"no-alias"},
    "compile-again": set(),
}
NAMES = [rule.name for rule in RULES]
TRIED = [
    name for name in NAMES if name not in {"compile-pytorch", "compile-tensorflow"}
]


@pytest.fixture
def subject(tmp_path, monkeypatch):
    """Return a maker of subjects with one fault."""

    def make(fault: str) -> Subject:
        monkeypatch.setenv("FAULT", fault)
        shutil.copytree(FAULTY, tmp_path / "FAULTY", dirs_exist_ok=True)
        job = CheckJob(
            hardware_type="FAULTY",
            backend_path=str(tmp_path / "FAULTY"),
            model_infos={
                name: model_info(name, tmp_path) for name in ("Onnx", "Pytorch")
            },
            interact_info={"threads": 1},
            computes=True,
            outcomes={"compile-onnx": "passed"},
        )
        return Subject(job)

    return make


def rule(name: str):
    return next(rule for rule in RULES if rule.name == name)


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=pytest.mark.slow) if n in SLOW else n for n in TRIED],
)
def test_a_broken_rule_is_seen(subject, name):
    """The backend that breaks a rule is found out by that rule."""
    outcome = try_rule(rule(name), subject(name))
    assert outcome.status == "broken"
    assert outcome.seen


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=pytest.mark.slow) if n in SLOW else n for n in TRIED],
)
def test_a_faithful_backend_keeps_every_rule(subject, name):
    """No rule is broken by a backend that keeps it."""
    outcome = try_rule(rule(name), subject(""))
    assert outcome.status == "passed", outcome.seen


@pytest.mark.slow
def test_a_leak_does_not_hide_in_memory_that_others_freed(subject):
    """Whatever ran before in the process: here 60 MB lie free below a block in use."""
    freed = [np.ones(4000, np.uint8) for _ in range(15_000)]
    kept = np.ones(4000, np.uint8)
    del freed
    assert try_rule(rule("memory"), subject("memory")).status == "broken"
    assert kept.all()


def test_a_refused_format_is_no_fault(subject):
    """A backend may take one format only."""
    outcome = try_rule(rule("compile-pytorch"), subject(""))
    assert outcome.status == "not_applicable"
    assert outcome.seen == "refused: ValueError: only Onnx"


def test_without_a_compiled_model_nothing_is_tried(subject):
    """Rules about answers say why they could not be tried."""
    with_none = subject("")
    with_none.job.outcomes.clear()
    outcome = try_rule(rule("correct"), with_none)
    assert outcome.status == "not_applicable"
    assert "no format" in outcome.seen


def test_an_error_in_vendor_code_has_its_traceback(subject):
    """An exception is the rule's end, with the line it came from."""
    outcome = try_rule(rule("any-thread"), subject("any-thread"))
    assert "RuntimeError: wrong thread" in outcome.seen
    assert "backend_faulty.py" in outcome.detail


def outcomes(**status):
    return [
        rule_outcome(each, status.get(each.name.replace("-", "_"), "passed"), "seen")
        for each in RULES
    ]


@pytest.mark.parametrize(
    ("status", "letter"),
    [
        ({}, "A"),
        ({"quiet": "broken"}, "B"),
        ({"no_alias": "broken", "quiet": "broken"}, "C"),
        ({"correct": "broken"}, "F"),
        (
            dict.fromkeys(
                ("compile_onnx", "compile_pytorch", "compile_tensorflow"),
                "not_applicable",
            ),
            "F",
        ),
    ],
)
def test_grades(status, letter):
    """The grade is a function of which rules are broken."""
    assert grade(outcomes(**status)) == letter


def test_rules_are_named_once_and_explained():
    """Each rule says what it asks, why, and how to mend it."""
    assert len(set(NAMES)) == len(NAMES)
    for each in RULES:
        assert all((each.asks, each.why, each.mend))


def test_the_view_names_broken_rules_and_their_remedy(capsys):
    """What a person reads has the rule, what was seen and what to do."""
    import sys

    each = rule_outcome(rule("no-alias"), "broken", "output 'echo' shares memory")
    report = ConformanceReport(
        schema_version=1,
        hardware_type="FAULTY",
        backend_version="1\x1b[31m",
        grade="C",
        outcomes=[each, rule_outcome(rule("quiet"), "passed", "")],
    )
    open_console(sys.stdout).print(conformance_view(report, "conformance.json"))
    text = capsys.readouterr().out
    assert "FAULTY: grade C" in text
    assert "BROKEN" in text
    assert rule("no-alias").mend in text
    assert "\x1b" not in text
    assert msgspec.json.decode(msgspec.json.encode(report), type=ConformanceReport)
