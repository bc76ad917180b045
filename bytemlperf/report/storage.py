"""Where results are and how they get there whole.

Input: result structs and an output folder. Output: files that are either the old or the
new version, never half of one, also after a power cut.

Layout: ``<out>/index.json``, ``<out>/<hardware_type>/<task>/result.json``,
``journal.bin`` and ``worker.log``.
"""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path
from typing import TypeVar

import msgspec

from bytemlperf.errors import MALFORMED, ConfigError, StorageError
from bytemlperf.report.schema import (
    SCHEMA_VERSION,
    EaseOfUse,
    InvocationIndex,
    TaskResult,
)
from bytemlperf.report.schema.variants import VARIANTS_VERSION, VariantsResult

__all__ = [
    "INDEX_NAME",
    "VARIANTS_NAME",
    "OutFolder",
    "TaskFolder",
    "make_folder",
    "read_ease",
    "read_index",
    "read_result",
    "read_variants",
    "storage_error",
    "sync_folder",
    "write_bytes_atomic",
    "write_json_atomic",
]

INDEX_NAME = "index.json"
VARIANTS_NAME = "variants.json"
MEANINGS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EROFS: "the file system is read-only",
    errno.EACCES: "permission denied",
    errno.EPERM: "permission denied",
    errno.EFBIG: "the file would grow past the file size limit",
    errno.ENOTDIR: "a part of the path is not a folder",
    errno.EEXIST: "a file is where a folder should be",
    errno.ENAMETOOLONG: "the name is too long",
    errno.EIO: "the disk reports an input/output error",
}
HINTS = {
    errno.ENOSPC: "free some space or choose another folder with --out",
    errno.EDQUOT: "free some space or choose another folder with --out",
    errno.EROFS: "choose another folder with --out",
    errno.EACCES: "choose another folder with --out",
    errno.EPERM: "choose another folder with --out",
}

Stored = TypeVar("Stored", TaskResult, InvocationIndex, EaseOfUse, VariantsResult)


class TaskFolder(msgspec.Struct, frozen=True):
    """The files of one task on one hardware type.

    Parameters
    ----------
    path : Path
        The folder.
    """

    path: Path

    @property
    def result(self) -> Path:
        """The result, as JSON."""
        return self.path / "result.json"

    @property
    def journal(self) -> Path:
        """What is known so far, record by record."""
        return self.path / "journal.bin"

    @property
    def log(self) -> Path:
        """What the task's workers printed."""
        return self.path / "worker.log"

    @property
    def timeline(self) -> Path:
        """Folder of kept timelines."""
        return self.path / "timeline"


class OutFolder(msgspec.Struct, frozen=True):
    """An invocation's output folder.

    Parameters
    ----------
    path : Path
        Absolute.
    """

    path: Path

    @property
    def index(self) -> Path:
        """The list of tasks and their results."""
        return self.path / INDEX_NAME

    def hardware(self, hardware_type: str) -> Path:
        """Return the folder of a hardware type."""
        return self.path / hardware_type

    def answers(self, hardware_type: str) -> Path:
        """Return where a person's answers to a backend's questions are kept."""
        return self.hardware(hardware_type) / "answers.json"

    def ease(self, hardware_type: str) -> Path:
        """Return where it is said how easy a hardware type was to use."""
        return self.hardware(hardware_type) / "ease_of_use.json"

    def task(self, hardware_type: str, task: str) -> TaskFolder:
        """Return the files of one task on one hardware type."""
        return TaskFolder(self.path / hardware_type / task)

    @classmethod
    def prepare(cls, path: Path) -> OutFolder:
        """Make the folder and prove that it can be written.

        Parameters
        ----------
        path : Path
            Made with its parents if it is missing.

        Returns
        -------
        OutFolder
            With an absolute path.

        Raises
        ------
        ConfigError
            It cannot be made or written; nothing ran.
        """
        try:
            path.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=path, prefix=".probe-") as probe:
                # A full disk often lets files be made but not filled.
                probe.write(b"\0" * 4096)
                probe.flush()
                os.fsync(probe.fileno())
        except OSError as error:
            raise ConfigError(
                f"cannot write to the output folder {path}: {_meaning(error)}",
                hint=HINTS.get(error.errno or 0, "choose another folder with --out"),
            ) from error
        return cls(path.absolute())


def storage_error(action: str, path: Path, error: OSError) -> StorageError:
    """Turn a system error into a sentence about results.

    Parameters
    ----------
    action : str
        Continues "cannot ...", such as ``"write the result"``.
    path : Path
        What it was done to.
    error : OSError
        The cause.

    Returns
    -------
    StorageError
        To be raised from `error`; ``errno`` is kept.
    """
    told = StorageError(
        f"cannot {action} {path}: {_meaning(error)}", hint=HINTS.get(error.errno or 0)
    )
    told.errno = error.errno
    return told


def _meaning(error: OSError) -> str:
    return MEANINGS.get(error.errno or 0, error.strerror or type(error).__name__)


def make_folder(path: Path) -> None:
    """Make a folder and its parents.

    Parameters
    ----------
    path : Path
        May exist.

    Raises
    ------
    StorageError
        It cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise storage_error("make the folder", path, error) from error


def sync_folder(path: Path) -> None:
    """Make the names in a folder survive a power cut.

    Parameters
    ----------
    path : Path
        An existing folder.
    """
    folder_fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder_fd)
    finally:
        os.close(folder_fd)


def write_json_atomic(path: Path, value: object) -> None:
    """Write a value as indented JSON: the old file stays until the new one is whole.

    Parameters
    ----------
    path : Path
        In an existing folder.
    value : object
        Any result struct, or what JSON can say.

    Raises
    ------
    StorageError
        The disk is full or cannot be written; `path` is as it was.
    """
    body = msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"
    write_bytes_atomic(path, body)


def write_bytes_atomic(path: Path, body: bytes) -> None:
    """Write a file: the old one stays until the new one is whole.

    Parameters
    ----------
    path : Path
        In an existing folder.
    body : bytes
        All of it.

    Raises
    ------
    StorageError
        The disk is full or cannot be written; `path` is as it was.
    """
    temporary: str | None = None
    try:
        temporary_fd, temporary = tempfile.mkstemp(
            dir=path.parent, prefix=f".{path.name}-"
        )
        with open(temporary_fd, "wb") as stream:
            stream.write(body)
            stream.flush()
            # mkstemp makes private files; a result is as public as the umask says.
            os.fchmod(stream.fileno(), 0o666 & ~_umask())
            os.fsync(stream.fileno())
        os.replace(temporary, path)
        temporary = None
        sync_folder(path.parent)
    except OSError as error:
        raise storage_error("write", path, error) from error
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)


def _umask() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("Umask:"):
            return int(line.split()[1], 8)
    return 0o077


def read_result(path: Path) -> TaskResult:
    """Read a task's result.

    Parameters
    ----------
    path : Path
        A ``result.json``.

    Returns
    -------
    TaskResult
        As it was written.

    Raises
    ------
    ConfigError
        It cannot be read, is of another schema version, or a field is wrong (its
        path is named).
    """
    return _read(path, TaskResult)


def read_ease(path: Path) -> EaseOfUse:
    """Read how easy a hardware type was to use.

    Parameters
    ----------
    path : Path
        An ``ease_of_use.json``.

    Returns
    -------
    EaseOfUse
        As it was written.

    Raises
    ------
    ConfigError
        As `read_result`.
    """
    return _read(path, EaseOfUse)


def read_index(path: Path) -> InvocationIndex:
    """Read an invocation's index.

    Parameters
    ----------
    path : Path
        An ``index.json``.

    Returns
    -------
    InvocationIndex
        As it was written.

    Raises
    ------
    ConfigError
        As for `read_result`.
    """
    return _read(path, InvocationIndex)


def read_variants(path: Path) -> VariantsResult:
    """Read a ``variants.json``; raises as `read_result` does."""
    return _read(
        path,
        VariantsResult,
        version_key="variants_version",
        known_version=VARIANTS_VERSION,
    )


def _read(
    path: Path,
    stored_type: type[Stored],
    *,
    version_key: str = "schema_version",
    known_version: int = SCHEMA_VERSION,
) -> Stored:
    try:
        body = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {_meaning(error)}") from error
    try:
        raw = msgspec.json.decode(body)
    except MALFORMED as error:
        raise ConfigError(f"{path}: expected JSON: {error}") from error
    # The version first: another version's fields would be blamed otherwise.
    version = raw.get(version_key) if isinstance(raw, dict) else None
    if version != known_version:
        raise ConfigError(
            f"{path}: $.{version_key}: expected {known_version}, got {version!r}",
            hint="this version of bytemlperf did not write the file",
        )
    try:
        return msgspec.convert(raw, stored_type)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{path}: {error}") from error
