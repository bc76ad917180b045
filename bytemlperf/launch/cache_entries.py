"""What the cache holds: built models, samples and references, listed and removed.

Input: a cache folder. Output: descriptions, or freed space. What a command measures
with at this moment is locked, and stays.
"""

from __future__ import annotations

import contextlib
import fcntl
import fnmatch
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from bytemlperf.errors import ConfigError, StorageError, UnknownNameError

__all__ = ["CacheEntry", "in_use", "list_cache", "remove_from_cache"]

SUPERSEDED = "superseded"
KINDS = ("models", "samples", "reference")


class CacheEntry(msgspec.Struct, frozen=True):
    """One thing in the cache that can be made again.

    Parameters
    ----------
    kind : str
        ``"models"``, ``"samples"`` or ``"reference"``: the folder that it is in.
    key : str
        Its name there; of a model the model's name and a hash.
    path : Path
        A folder, or a reference's file.
    bytes : int
        On disk.
    used_s : float
        When it was last measured with, or made: seconds since 1970.
    is_superseded : bool
        Whether another entry of the same model was used later: what is left of it is
        of another version, or of other weights.
    """

    kind: str
    key: str
    path: Path
    bytes: int
    used_s: float
    is_superseded: bool = False

    @property
    def model(self) -> str | None:
        """Name of the model; None for what belongs to none."""
        return self.key.rpartition("-")[0] if self.kind == "models" else None


def list_cache(cache_dir: Path) -> list[CacheEntry]:
    """Return what is in a cache.

    Parameters
    ----------
    cache_dir : Path
        The cache.

    Returns
    -------
    list of CacheEntry
        By kind, and within it what was used last first.
    """
    found = [
        *_entries("models", sorted((cache_dir / "models").glob("*/entry.json"))),
        *_entries("samples", sorted((cache_dir / "samples").glob("[0-9a-f]*/"))),
        *_entries("reference", sorted((cache_dir / "reference").glob("*.npz"))),
    ]
    found.sort(key=lambda entry: (KINDS.index(entry.kind), -entry.used_s))
    seen: set[str] = set()
    entries = []
    for entry in found:
        is_superseded = entry.model in seen
        if entry.model is not None:
            seen.add(entry.model)
        entries.append(msgspec.structs.replace(entry, is_superseded=is_superseded))
    return entries


def remove_from_cache(
    cache_dir: Path,
    names: Sequence[str],
    *,
    unused_since_s: float | None = None,
) -> list[CacheEntry]:
    """Remove what can be made again.

    Parameters
    ----------
    cache_dir : Path
        The cache.
    names : sequence of str
        Keys or models, with ``*`` and ``?``; kinds; ``"superseded"``; or ``"all"``.
    unused_since_s : float, optional
        Leave what was used after this moment, in seconds since 1970.

    Returns
    -------
    list of CacheEntry
        Those removed.

    Raises
    ------
    UnknownNameError
        A name fits nothing; nothing is removed then.
    StorageError
        An entry cannot be removed, or is in use; those before it are gone.
    """
    entries = list_cache(cache_dir)
    chosen: dict[Path, CacheEntry] = {}
    for name in names:
        found = [entry for entry in entries if _fits(entry, name)]
        if not found and name not in (*KINDS, SUPERSEDED, "all"):
            known = [entry.model or entry.key for entry in entries]
            raise UnknownNameError("cache entry", name, list(dict.fromkeys(known)))
        chosen |= {entry.path: entry for entry in found}
    gone = [
        entry
        for entry in chosen.values()
        if unused_since_s is None or entry.used_s < unused_since_s
    ]
    for entry in gone:
        _remove(entry)
    return gone


@contextlib.contextmanager
def in_use(paths: Sequence[Path]) -> Iterator[None]:
    """Keep cache entries from being removed, and note that they are used now.

    Parameters
    ----------
    paths : sequence of Path
        Entries, or files in them. What is not there, or may not be touched, such as a
        user's own file elsewhere, is left alone.

    Yields
    ------
    None
        While they are locked; the kernel unlocks them when the process dies.

    Raises
    ------
    ConfigError
        One is being removed at this moment.
    """
    with contextlib.ExitStack() as stack:
        for path in paths:
            try:
                descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            except OSError:
                continue
            stack.callback(os.close, descriptor)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise ConfigError(
                    f"{path} is being removed from the cache by another command",
                    hint="run this one again: it is made anew",
                ) from error
            with contextlib.suppress(OSError):
                # On a cache that somebody else owns it stays as it is.
                os.utime(path)
        yield


def _entries(kind: str, paths: list[Path]) -> list[CacheEntry]:
    entries = []
    for found in paths:
        path = found.parent if kind == "models" else found
        try:
            entries.append(
                CacheEntry(kind, path.stem if kind == "reference" else path.name, path,
                           _bytes(path), path.stat().st_mtime)
            )  # fmt: skip
        except FileNotFoundError:
            # Another command is removing it.
            continue
    return entries


def _bytes(path: Path) -> int:
    files = [path] if path.is_file() else path.rglob("*")
    return sum(file.lstat().st_size for file in files if not file.is_dir())


def _fits(entry: CacheEntry, name: str) -> bool:
    if name in ("all", entry.kind):
        return True
    if name == SUPERSEDED:
        return entry.is_superseded
    return fnmatch.fnmatchcase(entry.key, name) or (
        entry.model is not None and fnmatch.fnmatchcase(entry.model, name)
    )


def _remove(entry: CacheEntry) -> None:
    """Remove an entry that nobody uses."""
    try:
        descriptor = os.open(entry.path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if entry.path.is_dir():
            # Under another name first: half an entry is never found as a whole one.
            doomed = entry.path.with_name(f".removed-{entry.path.name}")
            entry.path.rename(doomed)
            shutil.rmtree(doomed)
        else:
            entry.path.with_suffix(".json").unlink(missing_ok=True)
            entry.path.unlink()
    except BlockingIOError as error:
        raise StorageError(
            f"{entry.path} is in use by a command that measures",
            hint="wait until it is done, or name others",
        ) from error
    except OSError as error:
        raise StorageError(f"cannot remove {entry.path}: {error}") from error
    finally:
        os.close(descriptor)
