"""A backend's questions, asked in the terminal.

Input: questions. Output: answers by name, of the types that were declared. Who leaves,
leaves the command; who does not want to be asked gets the defaults.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import msgspec

from bytemlperf.cli.options import Ui
from bytemlperf.errors import ConfigError
from bytemlperf.launch.answers import Question, applies, check_answer
from bytemlperf.report.plain_text import clean_line

__all__ = ["TerminalDialogs", "can_ask"]

YES_NO, INPUT, RADIOLIST = "Yes/No Dialog", "Input Dialog", "Radiolist Dialog"
# Typed as JSON; anything else is taken as it stands.
JSON_TYPES = {"bool", "int", "float", "list", "dict"}


def can_ask(ui: Ui | None) -> bool:
    """Tell whether somebody sits there: a terminal both ways, and a display."""
    return ui != "none" and sys.stdin.isatty() and sys.stderr.isatty()


class TerminalDialogs:
    """Ask one hardware type's questions after the other.

    Parameters
    ----------
    paused : callable
        Returns a context manager that keeps a running display out of the way.
    left_alone : frozenset of str
        Hardware types whose defaults are taken without a word.
    """

    def __init__(
        self,
        paused: Callable[[], AbstractContextManager[object]],
        left_alone: frozenset[str] = frozenset(),
    ) -> None:
        self._paused = paused
        self._left_alone = left_alone

    def __call__(
        self, hardware_type: str, questions: Sequence[Question]
    ) -> dict[str, Any]:
        """Ask.

        Parameters
        ----------
        hardware_type : str
            Whose questions.
        questions : sequence of Question
            In order.

        Returns
        -------
        dict
            Answers by name; empty if the defaults are wanted.

        Raises
        ------
        KeyboardInterrupt
            The user left.
        """
        if hardware_type in self._left_alone:
            return {}
        import questionary

        with self._paused():
            count = len(questions)
            wants = questionary.confirm(
                f"{hardware_type} has {count} question{'' if count == 1 else 's'}. "
                "Answer them? (No takes the defaults)",
                default=False,
            ).unsafe_ask()
            answers: dict[str, Any] = {}
            if wants:
                for index, question in enumerate(questions, start=1):
                    if applies(question, answers):
                        title = f"({index}/{count}) {_title(question)}"
                        answers[question.name] = _ask(question, title, hardware_type)
            return answers


def _ask(question: Question, title: str, hardware_type: str) -> Any:
    """Ask one question by the dialog it names."""
    import questionary

    if question.dialog_type == YES_NO:
        return questionary.confirm(title, default=bool(question.default)).unsafe_ask()
    if question.dialog_type == RADIOLIST and question.options:
        choices = [
            questionary.Choice(clean_line(str(option)), value=index)
            for index, option in enumerate(question.options)
        ]
        known = question.default in question.options
        chosen = questionary.select(
            title,
            choices=choices,
            default=choices[question.options.index(question.default)]
            if known
            else None,
        ).unsafe_ask()
        return question.options[chosen]

    def validate(text: str) -> bool | str:
        try:
            read_answer(question, text, hardware_type)
        except ConfigError as error:
            return error.message
        return True

    text = questionary.text(
        title, default=_written(question.default), validate=validate
    ).unsafe_ask()
    return read_answer(question, text, hardware_type)


def read_answer(question: Question, text: str, hardware_type: str) -> Any:
    """Turn what was typed into the declared type.

    Parameters
    ----------
    question : Question
        Says which.
    text : str
        As typed; nothing typed is the default.
    hardware_type : str
        Named in the error.

    Returns
    -------
    Any
        The answer.

    Raises
    ------
    ConfigError
        It is not of that type, or not an option.
    """
    text = text.strip()
    if text == _written(question.default):
        return question.default
    answer: Any = text
    if (question.type or "").lower() in JSON_TYPES:
        try:
            answer = msgspec.json.decode(text)
        except msgspec.DecodeError:
            answer = text
    check_answer(question, answer, hardware_type)
    return answer


def _title(question: Question) -> str:
    note = clean_line(question.note) or question.name
    return f"{note} [{question.name}]" if question.name not in note else note


def _written(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
