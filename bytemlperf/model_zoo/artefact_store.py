"""A folder of built models: made once, whole or not at all, by one process at a time.

Input: a key, and a function that writes an artefact into an empty folder. Output: an
`Entry`. It refuses to know what a model is.

::

    <cache>/<name>-<key>/           an entry; it appears by a rename, complete
        entry.json                  what is in it, and the hash of the artefact
        model.pt | saved_model/ | model.onnx
    <cache>/<name>-<key>.lock       held while the entry is being built
    <cache>/<name>-<key>.part-*/    being built; removed by whoever locks next
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from bytemlperf.errors import MALFORMED, StorageError

__all__ = ["Entry", "Progress", "find_or_build", "hash_tree", "locked"]

Progress = Callable[[str, int, int], None]
"""Called with (stage, done, total)."""

MANIFEST = "entry.json"


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a built artefact; stored beside it.

    Parameters
    ----------
    artefact : str
        Name of the file or folder inside the entry's folder.
    sha256 : str
        `hash_tree` of it.
    sizes : dict of str to int
        Bytes of each of its files, by path inside the artefact ("" for a file).
    facts : dict of str to (str, int or float)
        Whatever the builder wants to remember.
    """

    artefact: str
    sha256: str
    sizes: dict[str, int]
    facts: dict[str, str | int | float] = {}

    @property
    def bytes(self) -> int:
        """Size of the artefact in bytes."""
        return sum(self.sizes.values())


def find_or_build(
    folder: Path,
    build: Callable[[Path], tuple[str, dict[str, str | int | float]]],
    progress: Progress,
) -> tuple[Entry, bool]:
    """Return the entry of a folder, building it if it is not there or not intact.

    Parameters
    ----------
    folder : Path
        The entry's folder; its name must say all that the content depends on.
    build : callable
        Gets an empty folder, writes the artefact into it, and returns the artefact's
        name and facts to store.
    progress : callable
        Told of waiting and of hashing.

    Returns
    -------
    tuple of (Entry, bool)
        The entry, and whether it was there already.

    Raises
    ------
    StorageError
        The folder cannot be written.

    Notes
    -----
    Two processes that want the same entry: one builds, the other waits, then finds it.
    """
    found = _read(folder)
    if found is not None:
        return found, True
    with locked(folder, progress):
        found = _read(folder)
        if found is not None:
            return found, True
        for stale in folder.parent.glob(f"{folder.name}.part-*"):
            # Its maker held the lock that is ours now, so it is gone.
            shutil.rmtree(stale)
        with storage_errors(folder):
            # As public as the umask says; mkdtemp's folders are private. The lock makes
            # the name ours.
            part = folder.parent / f"{folder.name}.part-{os.getpid()}"
            part.mkdir()
        try:
            with storage_errors(folder):
                name, facts = build(part)
                entry = _describe(part, name, facts, progress)
                (part / MANIFEST).write_bytes(
                    msgspec.json.format(msgspec.json.encode(entry), indent=2)
                )
                if folder.exists():
                    shutil.rmtree(folder)
                part.rename(folder)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    return entry, False


@contextlib.contextmanager
def locked(path: Path, progress: Progress) -> Iterator[None]:
    """Hold the lock that goes with a path, against other processes.

    Parameters
    ----------
    path : Path
        The lock is a file of this name with ``.lock`` added. It stays: removing a
        lock file lets two processes each lock one of two files of the same name.
    progress : callable
        Told once if another process holds the lock.

    Yields
    ------
    None
        While the lock is held. The kernel drops it when the process dies.

    Raises
    ------
    StorageError
        The lock file cannot be made.
    """
    lock = path.with_name(path.name + ".lock")
    with storage_errors(lock):
        lock.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress("waiting for another process", 0, 1)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn what the disk refuses into `StorageError`.

    Parameters
    ----------
    path : Path
        Named in the error.

    Yields
    ------
    None
        For the block that writes.

    Raises
    ------
    StorageError
        The disk is full, read-only, forbidden or failing.
    """
    refusals = {
        errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO,
        errno.ENOTDIR, errno.EEXIST, errno.EFBIG, errno.ENAMETOOLONG,
    }  # fmt: skip
    try:
        yield
    except StorageError:
        raise
    except OSError as error:
        if error.errno not in refusals:
            raise
        raise StorageError(
            f"cannot write {error.filename or path}: {error.strerror}",
            detail=f"while storing {path}",
        ) from error


def hash_tree(path: Path, progress: Progress | None = None) -> str:
    """Hash a file, or a folder with all files below it.

    Parameters
    ----------
    path : Path
        A file gives the hash that ``sha256sum`` prints. A folder gives the hash of
        one line a file, ``<sha256>  <relative path>``, sorted by path: what
        ``sha256sum`` prints of them, hashed again. An ``.onnx`` file whose weights
        are beside it, in a file of its name and ``.data``, counts as a folder of both.
    progress : callable, optional
        Told of bytes done.

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    files = _files(path)
    total = sum(file.stat().st_size for file in files.values())
    done = 0
    lines = []
    for name in sorted(files):
        digest = hashlib.sha256()
        with files[name].open("rb") as stream:
            while block := stream.read(1 << 22):
                digest.update(block)
                done += len(block)
                if progress is not None:
                    progress("hashing", done, total)
        if not name:
            return digest.hexdigest()
        lines.append(f"{digest.hexdigest()}  {name}\n")
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _files(path: Path) -> dict[str, Path]:
    """Return every file of an artefact, by a name relative to it."""
    if path.is_file():
        weights = path.with_name(f"{path.name}.data")
        if path.suffix == ".onnx" and weights.is_file():
            return {file.name: file for file in (path, weights)}
        return {"": path}
    return {
        found.relative_to(path).as_posix(): found
        for found in path.rglob("*")
        if found.is_file()
    }


def _sizes(path: Path) -> dict[str, int]:
    """Return the size of every file of an artefact."""
    return {name: file.stat().st_size for name, file in _files(path).items()}


def _describe(
    folder: Path, name: str, facts: dict[str, str | int | float], progress: Progress
) -> Entry:
    """Describe an artefact, once it and its files are on the disk for good."""
    path = folder / name
    for file in _files(path).values():
        # A rename must never come before the content it names.
        descriptor = os.open(file, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    return Entry(
        artefact=name, sha256=hash_tree(path, progress), sizes=_sizes(path), facts=facts
    )


def _read(folder: Path) -> Entry | None:
    """Return the entry of a folder, or None if there is none or it is not intact."""
    try:
        entry = msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Entry)
    except (FileNotFoundError, NotADirectoryError, *MALFORMED):
        return None
    artefact = folder / entry.artefact
    if not artefact.exists() or _sizes(artefact) != entry.sizes:
        return None
    return entry
