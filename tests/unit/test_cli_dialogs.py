"""Questions asked in a terminal: what is typed becomes an answer of its type."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
from prompt_toolkit.application import create_app_session
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput

from bytemlperf.cli.dialogs import TerminalDialogs, can_ask, read_answer
from bytemlperf.errors import ConfigError
from bytemlperf.launch.answers import Question

ENTER, DOWN, INTERRUPT = "\r", "\x1b[B", "\x03"

QUESTIONS = (
    Question("quantize", "Quantize?", "Yes/No Dialog", "bool", False),
    Question("bits", "How many bits?", "Input Dialog", "int", 8, depends="quantize"),
    Question(
        "layout", "Layout?", "Radiolist Dialog", "str", "NHWC", None, ["NCHW", "NHWC"]
    ),
    Question("device", "Which device?", "Input Dialog", "str", None),
)


def ask(typed, questions=QUESTIONS):
    with (
        create_pipe_input() as keys,
        create_app_session(input=keys, output=DummyOutput()),
    ):
        keys.send_text(typed)
        return TerminalDialogs(nullcontext)("GOYA", questions)


def test_no_means_defaults():
    """One key, and nothing more is asked."""
    assert ask("n") == {}


def test_the_packages_own_are_left_alone():
    """A hardware type whose defaults are taken opens no dialog."""
    dialogs = TerminalDialogs(nullcontext, frozenset({"GOYA"}))
    assert dialogs("GOYA", QUESTIONS) == {}


def test_every_kind_of_dialog():
    """Yes/no, typed text, a list, and text that may stay empty."""
    typed = "y" + "y" + "\x7f4" + ENTER + DOWN + ENTER + "npu0" + ENTER
    assert ask(typed) == {
        "quantize": True,
        "bits": 4,
        "layout": "NCHW",
        "device": "npu0",
    }


def test_a_question_whose_condition_is_not_met_is_not_asked():
    """`depends` names an answer that has to be true."""
    typed = "y" + "n" + ENTER + ENTER
    assert ask(typed) == {"quantize": False, "layout": "NHWC", "device": None}


def test_leaving_a_dialog_leaves_the_command():
    """Ctrl-C is not an answer."""
    with pytest.raises(KeyboardInterrupt):
        ask("y" + INTERRUPT)


@pytest.mark.parametrize(
    ("kind", "text", "answer"),
    [
        ("int", "4", 4),
        ("float", "0.5", 0.5),
        ("float", "2", 2),
        ("bool", "true", True),
        ("str", "4", "4"),
        ("list", "[1, 2]", [1, 2]),
        (None, "free text", "free text"),
    ],
)
def test_what_is_typed_gets_its_type(kind, text, answer):
    """Numbers and lists are read, text is taken as it is."""
    question = Question("q", type=kind, default="none")
    assert read_answer(question, text, "GOYA") == answer


def test_what_is_typed_wrongly_is_refused():
    """The message says what was expected and what came."""
    with pytest.raises(ConfigError, match="expected int, got 'many'"):
        read_answer(Question("q", type="int", default=1), "many", "GOYA")


def test_nobody_is_asked_without_a_terminal(monkeypatch):
    """A pipe on either side, or no display, means defaults."""
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    assert not can_ask(None)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    assert can_ask(None)
    assert not can_ask("none")
