"""The results that somebody named: files, folders, or the index of a run.

Input: paths. Output: results with names that tell them apart.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from bytemlperf.errors import ConfigError
from bytemlperf.report.schema import TaskResult
from bytemlperf.report.storage import INDEX_NAME, read_index, read_result

__all__ = ["Collected", "collect_results"]

MAX_RESULTS = 2000


class Collected(msgspec.Struct, frozen=True):
    """A result and where it comes from.

    Parameters
    ----------
    run : str
        What the run is called: the shortest end of the named path that no other named
        path has.
    path : Path
        Its ``result.json``.
    result : TaskResult
        As read.
    """

    run: str
    path: Path
    result: TaskResult


def collect_results(named: Sequence[Path]) -> list[Collected]:
    """Read all results that are meant.

    Parameters
    ----------
    named : sequence of Path
        Each a ``result.json``, an ``index.json``, or a folder with such files somewhere
        below it.

    Returns
    -------
    list of Collected
        Each file once, in the order named, and of a run in the order of its index.

    Raises
    ------
    ConfigError
        A path does not exist, holds no result, or a file is malformed.
    """
    if not named:
        raise ConfigError(
            "no result was named",
            hint="name a result.json, or the folder that a run was written to",
        )
    runs = _run_names(named)
    found: dict[Path, str] = {}
    for path, run in zip(named, runs, strict=True):
        for file in _files(path):
            found.setdefault(file, run)
    if len(found) > MAX_RESULTS:
        raise ConfigError(f"{len(found)} results are more than {MAX_RESULTS}")
    return [Collected(run, file, read_result(file)) for file, run in found.items()]


def _files(path: Path) -> list[Path]:
    """Return the result files below a path."""
    if path.is_dir():
        indexes = [path / INDEX_NAME] if (path / INDEX_NAME).exists() else []
        indexes = indexes or sorted(path.rglob(INDEX_NAME))
        files = [file for index in indexes for file in _indexed(index)]
        # Imported ones have no index; what an index leaves out is of an older run.
        folders = {index.parent for index in indexes}
        files += [
            file
            for file in sorted(path.rglob("result.json"))
            if not folders & set(file.parents)
        ]
    elif path.name == INDEX_NAME:
        files = _indexed(path)
    elif path.exists():
        return [path]
    else:
        raise ConfigError(f"{path}: there is no such file or folder")
    if not files:
        raise ConfigError(
            f"{path}: there is no result in it",
            hint="name the folder that was given to --out",
        )
    return files


def _indexed(index: Path) -> list[Path]:
    files = [
        index.parent / entry.result_file
        for entry in read_index(index).tasks
        if entry.result_file is not None
    ]
    return [file for file in files if file.exists()]


def _run_names(named: Sequence[Path]) -> list[str]:
    """Name each path by its shortest end that is not also another's."""
    parts = [_telling_parts(path) for path in named]
    names = []
    for index, mine in enumerate(parts):
        others = parts[:index] + parts[index + 1 :]
        length = 1
        while length < len(mine) and any(
            other[-length:] == mine[-length:] for other in others
        ):
            length += 1
        names.append("/".join(mine[-length:]) or str(named[index]))
    return names


def _telling_parts(path: Path) -> list[str]:
    """Return a path's parts without a file name that every run has."""
    parts = [part for part in Path(os.path.abspath(path)).parts if part != os.sep]
    if parts and parts[-1] in {INDEX_NAME, "result.json"}:
        parts.pop()
    return parts
