"""The environments that were made for backends: which there are, and their removal.

Input: a cache folder. Output: descriptions, or freed space.
"""

from __future__ import annotations

import fcntl
import json
import shutil
from pathlib import Path

import msgspec

from bytemlperf.errors import StorageError, UnknownNameError
from bytemlperf.launch.virtual_environment import MARKER, is_complete

__all__ = ["MadeEnvironment", "list_environments", "remove_environments"]


class MadeEnvironment(msgspec.Struct, frozen=True):
    """An environment of a backend's own.

    Parameters
    ----------
    key : str
        Its folder's name: the hardware type, and a hash of all that decides what is in
        it.
    path : Path
        Where it is.
    requirements : str or None
        File it was made for; None if it was never finished.
    bytes : int
        On disk.
    """

    key: str
    path: Path
    requirements: str | None
    bytes: int


def list_environments(cache_dir: Path) -> list[MadeEnvironment]:
    """Return the environments in a cache.

    Parameters
    ----------
    cache_dir : Path
        They are in ``envs`` below it.

    Returns
    -------
    list of MadeEnvironment
        Sorted by key; empty if there are none.
    """
    folder = cache_dir / "envs"
    paths = sorted(path for path in folder.glob("*-*") if path.is_dir())
    return [
        MadeEnvironment(
            key=path.name,
            path=path,
            requirements=(
                str(json.loads((path / MARKER).read_text())["requirements"])
                if is_complete(path)
                else None
            ),
            bytes=sum(
                file.lstat().st_size for file in path.rglob("*") if not file.is_dir()
            ),
        )
        for path in paths
    ]


def remove_environments(cache_dir: Path, names: list[str]) -> list[MadeEnvironment]:
    """Remove environments; the next run that needs one makes it again.

    Parameters
    ----------
    cache_dir : Path
        They are in ``envs`` below it.
    names : list of str
        Keys, hardware types (all of each), or ``"all"``.

    Returns
    -------
    list of MadeEnvironment
        Those removed.

    Raises
    ------
    UnknownNameError
        There is none of some name; nothing is removed then.
    StorageError
        One is being made at this moment, or cannot be removed.
    """
    made = list_environments(cache_dir)
    chosen: dict[str, MadeEnvironment] = {}
    for name in names:
        found = [
            each
            for each in made
            if name in {"all", each.key}
            or name.casefold() == each.key.rpartition("-")[0].casefold()
        ]
        if not found and name != "all":
            raise UnknownNameError("environment", name, [each.key for each in made])
        chosen |= {each.key: each for each in found}
    for each in chosen.values():
        _remove(each.path)
    return list(chosen.values())


def _remove(path: Path) -> None:
    try:
        # The lock's file stays: whoever waits for it holds it open.
        with path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(path)
        path.with_suffix(".log").unlink(missing_ok=True)
    except BlockingIOError as error:
        raise StorageError(f"{path} is being made by another process") from error
    except OSError as error:
        raise StorageError(f"cannot remove {path}: {error}") from error
