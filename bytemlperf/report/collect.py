"""The results that somebody named: files, folders, or the index of a run.

Input: paths. Output: results with names that tell them apart.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import msgspec

from bytemlperf.errors import ConfigError
from bytemlperf.report.schema import TaskResult
from bytemlperf.report.schema.variants import VariantsResult
from bytemlperf.report.storage import (
    INDEX_NAME,
    VARIANTS_NAME,
    read_index,
    read_result,
    read_variants,
)
from bytemlperf.statistics.slo import Slo

__all__ = ["Collected", "CollectedVariants", "collect_results", "collect_variants",
           "name_apart"]  # fmt: skip

MAX_RESULTS = 2000
# <run>/<hardware_type>/<task>/result.json
FOLDERS_BELOW_RUN = 2


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


class CollectedVariants(msgspec.Struct, frozen=True):
    """What a sweep, a search, a tuning or repeats found, and where it comes from.

    Parameters
    ----------
    run : str
        As of `Collected`.
    result : VariantsResult
        As read.
    slos : list of Slo
        The objectives of its runs, each once.
    """

    run: str
    result: VariantsResult
    slos: list[Slo]


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


def collect_variants(
    named: Sequence[Path], collected: Sequence[Collected]
) -> list[CollectedVariants]:
    """Read what the sweeps and searches among the named folders found.

    Parameters
    ----------
    named : sequence of Path
        As for `collect_results`.
    collected : sequence of Collected
        What it returned for them.

    Returns
    -------
    list of CollectedVariants
        One for each folder that several runs of one request were written to.

    Raises
    ------
    ConfigError
        A file is malformed.
    """
    found = []
    for path, run in zip(named, _run_names(named), strict=True):
        if (path / VARIANTS_NAME).exists():
            results = [each.result for each in collected if path in each.path.parents]
            slos = dict.fromkeys(
                judgement.slo
                for result in results
                for point in result.points
                if point.statistics
                for judgement in point.statistics.slos
            )
            result = read_variants(path / VARIANTS_NAME)
            found.append(CollectedVariants(run, result, list(slos)))
    return found


def name_apart(collected: Sequence[Collected]) -> list[Collected]:
    """Name runs by their folders where several of one task would have one name.

    Parameters
    ----------
    collected : sequence of Collected
        Such as those of a sweep, which is one run to whoever compares it.

    Returns
    -------
    list of Collected
        In the same order.
    """
    keys = [_key(each) for each in collected]
    runs = {each.run for each in collected}
    repeated = {key[0] for key, count in Counter(keys).items() if count > 1}
    renamed = []
    for each in collected:
        if each.run in repeated and len(each.path.parents) > FOLDERS_BELOW_RUN:
            folder = each.path.parents[FOLDERS_BELOW_RUN].name
            name = folder if len(runs) == 1 else f"{each.run}/{folder}"
            renamed.append(msgspec.structs.replace(each, run=name))
        else:
            renamed.append(each)
    return renamed


def _key(each: Collected) -> tuple[str, str, str]:
    return each.run, each.result.task, each.result.hardware_type


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
