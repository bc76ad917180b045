"""What is measured: one JSON file a task, found by name, pattern or path.

Input: what the user wrote after ``--tasks``. Output: workload files, in order.
"""

from __future__ import annotations

import fnmatch
from pathlib import Path

from bytemlperf.errors import ConfigError, UnknownNameError
from bytemlperf.workloads.load import OPEN_SCENARIOS, SCENARIOS, Load
from bytemlperf.workloads.schema import (
    Workload,
    WorkloadFile,
    parse_workload,
    read_workload,
)

__all__ = [
    "OPEN_SCENARIOS",
    "SCENARIOS",
    "Load",
    "Workload",
    "WorkloadFile",
    "find_workloads",
    "list_workloads",
    "parse_workload",
    "read_workload",
]

FOLDER = Path(__file__).parent
LEGACY_PREFIX = "open_"


def list_workloads(folder: Path = FOLDER) -> list[str]:
    """Return the names of all workloads, sorted.

    Parameters
    ----------
    folder : Path
        Where the files are.

    Returns
    -------
    list of str
        File stems.
    """
    return sorted(path.stem for path in folder.glob("*.json"))


def find_workloads(asked: str, folder: Path = FOLDER) -> list[WorkloadFile]:
    """Resolve what was asked for into workload files.

    Parameters
    ----------
    asked : str
        ``"all"``, or a comma list of names (a leading ``open_`` is ignored), glob
        patterns, and paths of ``.json`` files.
    folder : Path
        Where named workloads are.

    Returns
    -------
    list of WorkloadFile
        Each once, in the order asked; a pattern's matches are sorted.

    Raises
    ------
    UnknownNameError
        A name does not exist.
    ConfigError
        A pattern matches nothing, nothing was asked, two files share a name, or a
        file is malformed.
    """
    names = list_workloads(folder)
    found: dict[str, Path] = {}
    for part in (piece.strip() for piece in asked.split(",")):
        if not part:
            continue
        for path in _resolve(part, names, folder):
            known = found.setdefault(path.stem, path)
            if known.resolve() != path.resolve():
                raise ConfigError(
                    f"two workloads are named {path.stem!r}: {known} and {path}",
                    hint="rename one file: results are stored under its name",
                )
    if not found:
        raise ConfigError(
            "--tasks is empty", hint=f"tasks that exist: {', '.join(names)}"
        )
    return [read_workload(path) for path in found.values()]


def _resolve(part: str, names: list[str], folder: Path) -> list[Path]:
    """Resolve one element of the comma list."""
    if part == "all":
        return [folder / f"{name}.json" for name in names]
    if part.endswith(".json") or "/" in part:
        return [Path(part)]
    if any(mark in part for mark in "*?["):
        matches = fnmatch.filter(names, part) or fnmatch.filter(
            names, part.removeprefix(LEGACY_PREFIX)
        )
        if not matches:
            raise ConfigError(
                f"no task matches {part!r}", hint=f"tasks: {', '.join(names)}"
            )
        return [folder / f"{name}.json" for name in matches]
    for name in (part, part.removeprefix(LEGACY_PREFIX)):
        if name in names:
            return [folder / f"{name}.json"]
    raise UnknownNameError("task", part, names)
