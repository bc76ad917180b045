"""Which backends there are, and where each one lives.

Input: a hardware type's name and maybe a folder. Output: descriptions. Nothing here
imports a backend: a broken one is listed like any other, and fails when it is loaded.

A backend is looked for in three places, and the first that has it wins:

1. the folder given by ``--backend_path``: a hardware folder, or a folder of them;
2. the package's own folder, ``bytemlperf/backends``;
3. entry points of the group ``bytemlperf.backends`` in installed distributions.
"""

from __future__ import annotations

import os
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Literal

import msgspec

from bytemlperf.errors import BackendError, ConfigError, UnknownNameError
from bytemlperf.plug_ins import module_file, plug_ins

__all__ = ["ENTRY_POINT_GROUP", "BackendInfo", "find_backend", "list_backends"]

ENTRY_POINT_GROUP = "bytemlperf.backends"
PACKAGE_FOLDER = Path(__file__).parent


class BackendInfo(msgspec.Struct, frozen=True):
    """Where a backend lives, known without importing it.

    Parameters
    ----------
    hardware_type : str
        The folder's name, or the entry point's, spelled as there.
    folder : Path
        Absolute folder of the backend.
    entry_file : Path
        ``backend_<hw>.py``, or the module the entry point names.
    profile_path : Path or None
        The interactive profile ``<hw>.json``, if it is there.
    requirements_path : Path or None
        ``requirements.txt``, if it is there. None for an entry point: what it needs
        was installed with its distribution.
    origin : {"path", "package", "entry_point"}
        Which of the three places it was found in.
    entry_point : str or None
        ``module`` or ``module:Class``, for an entry point.
    """

    hardware_type: str
    folder: Path
    entry_file: Path
    profile_path: Path | None
    requirements_path: Path | None
    origin: Literal["path", "package", "entry_point"]
    entry_point: str | None = None


def list_backends(backend_path: Path | None = None) -> list[BackendInfo]:
    """Return every backend that can be asked for, without importing any.

    Parameters
    ----------
    backend_path : Path, optional
        A hardware folder, or a folder of hardware folders, that goes first.

    Returns
    -------
    list of BackendInfo
        Sorted by hardware type; of several with the same name the first found.

    Raises
    ------
    ConfigError
        `backend_path` is no folder, or holds no backend.
    """
    found: dict[str, BackendInfo] = {}
    infos = _in_given_folder(backend_path) if backend_path is not None else []
    infos += _in_subfolders(PACKAGE_FOLDER, "package")
    infos += [_from_entry_point(point) for point in plug_ins(ENTRY_POINT_GROUP)]
    for info in infos:
        found.setdefault(info.hardware_type.casefold(), info)
    return sorted(found.values(), key=lambda info: info.hardware_type.casefold())


def find_backend(hardware_type: str, backend_path: Path | None = None) -> BackendInfo:
    """Return the backend of a hardware type, without importing it.

    Parameters
    ----------
    hardware_type : str
        Its name; upper and lower case are the same.
    backend_path : Path, optional
        As in `list_backends`.

    Returns
    -------
    BackendInfo
        With the name as the backend spells it.

    Raises
    ------
    UnknownNameError
        There is none of this name; it lists those that exist.
    BackendError
        There is a folder of this name, but no entry file in it.
    ConfigError
        `backend_path` is no folder, or holds no backend.
    """
    infos = list_backends(backend_path)
    for info in infos:
        if info.hardware_type.casefold() == hardware_type.casefold():
            return info
    for parent in filter(None, (backend_path, PACKAGE_FOLDER)):
        for folder in _subfolders(parent):
            if folder.name.casefold() == hardware_type.casefold():
                raise BackendError(
                    f"{folder} is not a backend: expected {_entry_name(folder)} in it",
                    detail=f"it holds {_contents(folder)}",
                    hint="the file is named after the folder, in lower case",
                )
    raise UnknownNameError(
        "hardware_type", hardware_type, [info.hardware_type for info in infos]
    )


def _in_given_folder(backend_path: Path) -> list[BackendInfo]:
    """Return the backends of a folder that may itself be one."""
    # Not resolved: a symbolic link's own name is the hardware type.
    folder = Path(os.path.abspath(backend_path.expanduser()))
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "does not exist"
        raise ConfigError(f"backend_path {folder} {what}, expected a folder")
    itself = _from_folder(folder, "path")
    infos = [itself] if itself else _in_subfolders(folder, "path")
    if not infos:
        raise ConfigError(
            f"backend_path {folder} holds no backend",
            detail=f"it holds {_contents(folder)}",
            hint=f"expected {_entry_name(folder)} in it, or <HW>/backend_<hw>.py",
        )
    return infos


def _in_subfolders(
    parent: Path, origin: Literal["path", "package"]
) -> list[BackendInfo]:
    """Return the backends one level below a folder."""
    infos = (_from_folder(folder, origin) for folder in _subfolders(parent))
    return [info for info in infos if info is not None]


def _from_folder(
    folder: Path, origin: Literal["path", "package"]
) -> BackendInfo | None:
    """Describe a hardware folder; None if it has no entry file."""
    wanted = _entry_name(folder).casefold()
    for file in sorted(folder.glob("*.py")):
        if file.name.casefold() == wanted:
            return _describe(folder.name, file, origin)
    return None


def _from_entry_point(point: EntryPoint) -> BackendInfo:
    """Describe an installed plug-in without importing its module."""
    return msgspec.structs.replace(
        _describe(point.name, module_file(point), "entry_point"),
        requirements_path=None,
        entry_point=point.value,
    )


def _describe(
    hardware_type: str,
    entry_file: Path,
    origin: Literal["path", "package", "entry_point"],
) -> BackendInfo:
    folder = entry_file.parent
    profile = folder / f"{hardware_type.lower()}.json"
    requirements = folder / "requirements.txt"
    return BackendInfo(
        hardware_type=hardware_type,
        folder=folder,
        entry_file=entry_file,
        profile_path=profile if profile.is_file() else None,
        requirements_path=requirements if requirements.is_file() else None,
        origin=origin,
    )


def _subfolders(parent: Path) -> list[Path]:
    if not parent.is_dir():
        return []
    return sorted(entry for entry in parent.iterdir() if entry.is_dir())


def _entry_name(folder: Path) -> str:
    return f"backend_{folder.name.lower()}.py"


def _contents(folder: Path) -> str:
    """Name a few entries of a folder, for an error message."""
    names = sorted(
        entry.name
        for entry in folder.iterdir()
        if not entry.name.startswith((".", "__"))
    )
    shown = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
    return shown or "nothing"
