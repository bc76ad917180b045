"""What installed distributions bring along, found without running any of it.

Input: an entry point group. Output: its entries, and the files they stand for. Whoever
needs an entry's code loads it; to list them nothing is imported.
"""

from __future__ import annotations

import importlib.util
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

__all__ = ["module_file", "module_folder", "plug_ins"]


def plug_ins(group: str) -> list[EntryPoint]:
    """Return the entries of a group.

    Parameters
    ----------
    group : str
        Such as ``"bytemlperf.workloads"``.

    Returns
    -------
    list of EntryPoint
        By name; the same name twice is left to the order of installation.
    """
    return sorted(entry_points(group=group), key=lambda point: point.name)


def module_file(point: EntryPoint) -> Path:
    """Return the file of an entry's module.

    Only the top-level package is looked up, which runs none of its code (`find_spec`
    of a dotted name would import the parents); the rest is followed on disk. Where
    nothing is found, the expected path is returned and loading will say so.

    Parameters
    ----------
    point : EntryPoint
        Of any group.

    Returns
    -------
    Path
        Absolute.
    """
    top, *parts = point.module.split(".")
    spec = importlib.util.find_spec(top)
    if spec is None:
        return Path(*point.module.split(".")).with_suffix(".py").absolute()
    folders = [Path(place) for place in spec.submodule_search_locations or ()]
    if not parts:
        # A folder without ``__init__.py`` has no origin.
        candidates = [folder / "__init__.py" for folder in folders]
        return Path(spec.origin or (candidates or [Path(f"{top}.py")])[0]).absolute()
    candidates = [
        candidate
        for folder in folders
        for candidate in (
            folder.joinpath(*parts).with_suffix(".py"),
            folder.joinpath(*parts, "__init__.py"),
        )
    ]
    existing = [candidate for candidate in candidates if candidate.is_file()]
    return (existing or candidates or [Path(f"{top}.py")])[0].absolute()


def module_folder(point: EntryPoint) -> Path:
    """Return the folder that an entry's package is.

    Parameters
    ----------
    point : EntryPoint
        Names a package.

    Returns
    -------
    Path
        Absolute.
    """
    file = module_file(point)
    # A package without ``__init__.py`` is found by its expected file.
    return (
        file.parent
        if file.is_file() or file.stem == "__init__"
        else (file.with_suffix(""))
    )
