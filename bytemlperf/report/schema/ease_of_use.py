"""How easy a hardware type was to use, over the tasks of one command."""

from __future__ import annotations

import msgspec

__all__ = ["BackendFacts", "EaseOfUse", "TaskTrouble"]


class BackendFacts(msgspec.Struct, frozen=True):
    """What a backend asks of those who write and use it.

    Parameters
    ----------
    code_line_count, code_file_count : int
        Lines of Python in its folder that are neither blank nor comments or
        docstrings, and files.
    requirement_count : int
        Lines of its ``requirements.txt`` that ask for a package.
    question_count, answered_count : int
        Questions to the user, and those with another answer than the default.
    environment_kind : str
        Where it ran: the current environment, or one made for it.
    """

    code_line_count: int
    code_file_count: int
    requirement_count: int
    question_count: int
    answered_count: int
    environment_kind: str


class TaskTrouble(msgspec.Struct, frozen=True):
    """A task that was not measured as it should be.

    Parameters
    ----------
    task : str
        Its name.
    phase, kind : str
        Where it failed and how, as in `Failure`.
    message : str
        The first line of what was said.
    """

    task: str
    phase: str
    kind: str
    message: str


class EaseOfUse(msgspec.Struct, frozen=True):
    """How easy a hardware type was to use.

    Parameters
    ----------
    schema_version : int
        Of the result schema.
    hardware_type : str
        Which.
    backend : BackendFacts or None
        What it asks; None if it could not be opened.
    task_count, compiled_count, measured_count : int
        Tasks asked for; compiled; measured without any failure.
    model_coverage : float
        ``compiled_count / task_count``, 0 to 1: the original's "Model Coverage".
    full_graph_count : int
        Compiled tasks whose every operator was compiled, as claimed.
    mean_sg_percent : float or None
        Mean of the claimed coverage of the compiled tasks; None if there are none.
    compile_seconds : float
        Of all compiled tasks together.
    troubles : list of TaskTrouble
        The first failure of each task that has one.
    troubles_by_cause : dict of str to int
        Their number by ``phase: kind``, most frequent first.
    """

    schema_version: int
    hardware_type: str
    backend: BackendFacts | None
    task_count: int
    compiled_count: int
    measured_count: int
    model_coverage: float
    full_graph_count: int
    mean_sg_percent: float | None
    compile_seconds: float
    troubles: list[TaskTrouble]
    troubles_by_cause: dict[str, int]
