"""What a backend asks of its author and its user, counted.

Input: an opened hardware type. Output: `BackendFacts`. Its code is read as text and
parsed, never run.
"""

from __future__ import annotations

import ast
import io
import tokenize
from pathlib import Path
from typing import Any

from bytemlperf.launch.hardware import Hardware
from bytemlperf.report.schema import BackendFacts

__all__ = ["backend_facts", "code_lines"]

NOT_CODE = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENCODING,
    tokenize.ENDMARKER,
}


def backend_facts(
    hardware: Hardware, interact_info: dict[str, Any]
) -> BackendFacts | None:
    """Count what a backend asks.

    Parameters
    ----------
    hardware : Hardware
        Opened.
    interact_info : dict
        Answers in force, by question.

    Returns
    -------
    BackendFacts or None
        None if it could not be opened.
    """
    if hardware.command is None:
        return None
    info = hardware.info
    files = (
        sorted(info.folder.rglob("*.py"))
        if info.entry_point is None
        else [info.entry_file]
    )
    own = [path for path in files if not path.name.startswith("test_")]
    defaults = {question.name: question.default for question in hardware.questions}
    return BackendFacts(
        code_line_count=sum(code_lines(path) for path in own),
        code_file_count=len(own),
        requirement_count=_requirements(info.requirements_path),
        question_count=len(hardware.questions),
        answered_count=sum(
            interact_info[name] != default
            for name, default in defaults.items()
            if name in interact_info
        ),
        environment_kind=hardware.command.kind,
    )


def code_lines(path: Path) -> int:
    """Count the lines of a Python file that hold code.

    Parameters
    ----------
    path : Path
        Of a file that Python could import.

    Returns
    -------
    int
        Lines with a token other than a comment, without docstrings; 0 if the file
        cannot be parsed.
    """
    try:
        text = path.read_text(encoding="utf-8")
        tree = ast.parse(text)
    except (OSError, SyntaxError, ValueError):
        return 0
    docstrings: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            first = node.body[0] if node.body else None
            if (
                isinstance(first, ast.Expr)
                and isinstance(first.value, ast.Constant)
                and isinstance(first.value.value, str)
            ):
                docstrings.update(range(first.lineno, (first.end_lineno or 0) + 1))
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in NOT_CODE:
            lines.update(range(token.start[0], token.end[0] + 1))
    return len(lines - docstrings)


def _requirements(path: Path | None) -> int:
    if path is None:
        return 0
    lines = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
    return sum(bool(line) and not line.startswith(("#", "-")) for line in lines)
