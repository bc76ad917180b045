"""Questions answered without a terminal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bytemlperf.errors import BackendError, ConfigError, UnknownNameError
from bytemlperf.launch.answers import (
    answer_questions,
    check_names,
    parse_profile,
    read_answers,
)

PROFILE: list[dict[str, Any]] = [
    {
        "name": "int8",
        "note": "Quantise?",
        "dialog_type": "Yes/No Dialog",
        "type": "bool",
        "default": False,
        "depends": None,
    },
    {"name": "samples", "type": "int", "default": 100, "depends": "int8"},
    {"name": "mode", "type": "str", "default": "fast", "options": ["fast", "small"]},
    {"name": "scale", "type": "float", "default": 1.0},
    {"name": "free"},
]
QUESTIONS = parse_profile(PROFILE, "GOYA")


@pytest.mark.parametrize(
    ("given", "answers"),
    [
        ({}, {"int8": False, "mode": "fast", "scale": 1.0, "free": None}),
        (
            {"int8": True},
            {"int8": True, "samples": 100, "mode": "fast", "scale": 1.0, "free": None},
        ),
        (
            {"int8": False, "samples": 9, "mode": "small", "scale": 2, "free": [1]},
            {"int8": False, "mode": "small", "scale": 2, "free": [1]},
        ),
    ],
)
def test_defaults_and_dependencies(given: dict[str, Any], answers: Any) -> None:
    """A question whose condition is not met is not answered at all."""
    assert answer_questions(QUESTIONS, given, "GOYA") == answers


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"int8": "yes"}, "'int8' for GOYA: expected bool, got 'yes'"),
        ({"int8": True, "samples": True}, "'samples' for GOYA: expected int, got True"),
        ({"scale": "big"}, "expected float, got 'big'"),
        ({"mode": "odd"}, r"expected one of \['fast', 'small'\], got 'odd'"),
    ],
)
def test_wrong_answers_are_refused(given: dict[str, Any], message: str) -> None:
    """Type and options are enforced; True is no number."""
    with pytest.raises(ConfigError, match=message):
        answer_questions(QUESTIONS, given, "GOYA")


def test_an_answer_that_nobody_asked_for() -> None:
    """The nearest question is named."""
    with pytest.raises(UnknownNameError, match="did you mean 'samples'"):
        check_names({"sample": 1}, QUESTIONS)
    check_names({"samples": 1}, QUESTIONS)


def test_a_malformed_profile_names_the_entry() -> None:
    """It is the vendor's fault, with its path."""
    with pytest.raises(BackendError, match=r"missing required field `name`.*\[1\]"):
        parse_profile([{"name": "a"}, {"note": "b"}], "GOYA")


def test_an_answers_file(tmp_path: Path) -> None:
    """None means none; anything but an object is refused."""
    path = tmp_path / "answers.json"
    assert read_answers(None) == {}
    path.write_text('{"int8": true}')
    assert read_answers(path) == {"int8": True}
    path.write_text("[1]")
    with pytest.raises(ConfigError, match="expected a JSON object of answers"):
        read_answers(path)
    with pytest.raises(ConfigError, match="cannot read answers"):
        read_answers(tmp_path / "missing.json")
