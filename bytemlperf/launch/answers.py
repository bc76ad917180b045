"""Answers to a backend's questions, given or default; who is asked is not known here.

Input: the profile that a backend returned, and answers by name. Output: the
``interact_info`` for its configs: every question that applies has an answer, given or
default, so that a run without a terminal behaves like one with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from bytemlperf.errors import MALFORMED, BackendError, ConfigError, UnknownNameError

__all__ = [
    "Asker",
    "Question",
    "answer_questions",
    "applies",
    "check_answer",
    "check_names",
    "parse_profile",
    "read_answers",
]

TYPES: dict[str, type | tuple[type, ...]] = {
    "bool": bool,
    "int": int,
    "float": (int, float),
    "str": str,
    "string": str,
    "list": list,
    "dict": dict,
}


class Question(msgspec.Struct, frozen=True):
    """One entry of a backend's interactive profile.

    Parameters
    ----------
    name : str
        The answer's key.
    note : str
        What is asked.
    dialog_type : str
        How a terminal would ask it.
    type : str or None
        Of the answer; None takes anything.
    default : Any
        The answer if nobody gives one.
    depends : str or None
        Comma list of questions whose answers must all be true for this to apply.
    options : list or None
        The answers that are possible.
    """

    name: str
    note: str = ""
    dialog_type: str = ""
    type: str | None = None
    default: Any = None
    depends: str | None = None
    options: list[Any] | None = None


# From a hardware type and its questions to answers by name; the rest is default.
Asker = Callable[[str, Sequence[Question]], Mapping[str, Any]]


def parse_profile(
    profile: Sequence[Mapping[str, Any]], hardware_type: str
) -> list[Question]:
    """Check the questions of a backend.

    Parameters
    ----------
    profile : sequence of mapping
        From `Backend.get_interact_profile`.
    hardware_type : str
        Named in the error.

    Returns
    -------
    list of Question
        In order.

    Raises
    ------
    BackendError
        An entry is malformed; its path is named.
    """
    try:
        return msgspec.convert(list(profile), list[Question])
    except msgspec.ValidationError as error:
        raise BackendError(
            f"{hardware_type}.get_interact_profile returned a malformed entry: {error}"
        ) from error


def read_answers(path: Path | None) -> dict[str, Any]:
    """Read an answers file.

    Parameters
    ----------
    path : Path or None
        A JSON object, answer by question name.

    Returns
    -------
    dict
        Empty if there is no file.

    Raises
    ------
    ConfigError
        It cannot be read, or is not a JSON object.
    """
    if path is None:
        return {}
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except OSError as error:
        raise ConfigError(f"cannot read answers {path}: {error.strerror}") from error
    except MALFORMED as error:
        raise ConfigError(
            f"{path}: expected a JSON object of answers: {error}"
        ) from error


def check_names(given: Mapping[str, Any], questions: Iterable[Question]) -> None:
    """Refuse an answer that nobody asked for.

    Parameters
    ----------
    given : mapping
        Answers by name.
    questions : iterable of Question
        Of every backend of the invocation.

    Raises
    ------
    UnknownNameError
        A name that no backend asks.
    """
    known = {question.name for question in questions}
    for name in given:
        if name not in known:
            raise UnknownNameError("answer", name, known)


def answer_questions(
    questions: Sequence[Question], given: Mapping[str, Any], hardware_type: str
) -> dict[str, Any]:
    """Answer every question that applies.

    Parameters
    ----------
    questions : sequence of Question
        In order: a question may depend on earlier ones.
    given : mapping
        Answers by name; others are ignored here.
    hardware_type : str
        Named in the error.

    Returns
    -------
    dict
        Answer by name; a question whose dependency is not met is absent.

    Raises
    ------
    ConfigError
        An answer is of the wrong type, or not among the options.
    """
    answers: dict[str, Any] = {}
    for question in questions:
        if not applies(question, answers):
            continue
        answer = given.get(question.name, question.default)
        # A default is the vendor's own, whatever its type: often null, for "choose".
        if question.name in given and answer != question.default:
            check_answer(question, answer, hardware_type)
        answers[question.name] = answer
    return answers


def applies(question: Question, answers: Mapping[str, Any]) -> bool:
    """Tell whether a question is asked, after these answers to earlier ones.

    Parameters
    ----------
    question : Question
        Which.
    answers : mapping
        By name.

    Returns
    -------
    bool
        Whether everything it depends on was answered with something true.
    """
    needed = [name.strip() for name in (question.depends or "").split(",")]
    return all(answers.get(name) for name in needed if name)


def check_answer(question: Question, answer: object, hardware_type: str) -> None:
    """Check an answer against its question.

    Parameters
    ----------
    question : Question
        Says type and options.
    answer : object
        As given.
    hardware_type : str
        Named in the error.

    Raises
    ------
    ConfigError
        It is of the wrong type, or not among the options.
    """
    where = f"answer {question.name!r} for {hardware_type}"
    expected = TYPES.get((question.type or "").lower())
    is_number_by_name_only = isinstance(answer, bool) and expected is not bool
    if expected is not None and (
        not isinstance(answer, expected) or is_number_by_name_only
    ):
        raise ConfigError(f"{where}: expected {question.type}, got {answer!r}")
    if question.options and answer not in question.options:
        raise ConfigError(
            f"{where}: expected one of {question.options}, got {answer!r}"
        )
