"""An append-only file of what is known about a task, record by record.

Input: durable events. Output: the same events, after whatever happened in between. A
record is its body's length and CRC-32 (four bytes each, big-endian), then the body
(MessagePack). Each is on the disk before `Journal.append` returns.
"""

from __future__ import annotations

import os
import zlib
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, TypeGuard

import msgspec

from bytemlperf.engine.messages import (
    AccuracyDone,
    CompileDone,
    Event,
    Failed,
    Finished,
    NumericDone,
    PointDone,
    PointFailed,
    PointSkipped,
    TaskDescribed,
    VendorBenchmark,
    Warned,
)
from bytemlperf.errors import MALFORMED, ConfigError, InternalError
from bytemlperf.report.storage import storage_error, sync_folder

__all__ = [
    "JOURNAL_VERSION",
    "DurableEvent",
    "Journal",
    "JournalContents",
    "JournalRecord",
    "TaskOpened",
    "is_durable",
    "parse_records",
    "read_journal",
]

JOURNAL_VERSION = 1
HEAD_BYTES = 8
MAX_BODY_BYTES = 256 * 1024 * 1024


class TaskOpened(msgspec.Struct, frozen=True, tag="task_opened"):
    """The first record: what the journal is about.

    Parameters
    ----------
    journal_version : int
        Of the file format.
    task, hardware_type : str
        What is measured on what.
    workload : dict
        The workload's fields, overrides applied.
    workload_sha256 : str
        Of the workload's file.
    opened_at_utc : str
        ISO 8601.
    command_line : list of str
        Of the invocation.
    """

    journal_version: int
    task: str
    hardware_type: str
    workload: dict[str, Any]
    workload_sha256: str
    opened_at_utc: str
    command_line: list[str]


DurableEvent = (
    TaskDescribed
    | CompileDone
    | AccuracyDone
    | NumericDone
    | PointDone
    | PointSkipped
    | PointFailed
    | VendorBenchmark
    | Warned
    | Failed
    | Finished
)
JournalRecord = TaskOpened | DurableEvent

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(JournalRecord)


class JournalContents(msgspec.Struct, frozen=True):
    """What a journal holds.

    Parameters
    ----------
    records : list of JournalRecord
        Every whole record, in order.
    good_bytes : int
        Length of the part that holds them.
    dropped_bytes : int
        What stands after it: a record that was being written when the power or the
        process went, or damage. 0 after an orderly end.
    """

    records: list[JournalRecord]
    good_bytes: int
    dropped_bytes: int


def is_durable(event: Event) -> TypeGuard[DurableEvent]:
    """Whether an event belongs in a journal (progress and phases do not).

    Parameters
    ----------
    event : Event
        From a worker.

    Returns
    -------
    bool
        True if losing it would lose something that was measured or decided.
    """
    return isinstance(event, DurableEvent)


def read_journal(path: Path) -> JournalContents:
    """Read every whole record of a journal.

    Parameters
    ----------
    path : Path
        The file; it is not changed.

    Returns
    -------
    JournalContents
        What could be read, and how much could not.

    Raises
    ------
    ConfigError
        The file cannot be read, or another version wrote it.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot read journal {path}: {error.strerror}") from error
    contents = parse_records(raw)
    first = contents.records[0] if contents.records else None
    if isinstance(first, TaskOpened) and first.journal_version != JOURNAL_VERSION:
        raise ConfigError(
            f"{path}: expected journal version {JOURNAL_VERSION}, "
            f"got {first.journal_version}"
        )
    return contents


def parse_records(raw: bytes) -> JournalContents:
    """Read every whole record of a piece of a journal.

    Parameters
    ----------
    raw : bytes
        From the beginning of a record.

    Returns
    -------
    JournalContents
        What is whole, and how much is left over.
    """
    records: list[JournalRecord] = []
    start = 0
    while len(raw) - start >= HEAD_BYTES:
        length = int.from_bytes(raw[start : start + 4], "big")
        checksum = int.from_bytes(raw[start + 4 : start + HEAD_BYTES], "big")
        body = raw[start + HEAD_BYTES : start + HEAD_BYTES + length]
        if len(body) < length or zlib.crc32(body) != checksum:
            break
        try:
            records.append(_decoder.decode(body))
        except MALFORMED:
            # Whole but not ours: nothing after it can be trusted either.
            break
        start += HEAD_BYTES + length
    return JournalContents(records, start, len(raw) - start)


class Journal:
    """A journal open for appending.

    Parameters
    ----------
    path : Path
        Where the file is.
    fd : int
        Its descriptor, owned by this object.
    good_bytes : int
        Length of the whole records in it.

    Notes
    -----
    Thread-safety: one thread, one writer. Use `Journal.open`.
    """

    def __init__(self, path: Path, fd: int, good_bytes: int) -> None:
        self.path = path
        self._fd = fd
        self._good_bytes = good_bytes

    def __repr__(self) -> str:
        """Show where it is and how long."""
        return f"<Journal [{self._good_bytes} bytes | {self.path}]>"

    @classmethod
    def open(cls, path: Path) -> Journal:
        """Open a journal, making it if it is missing and cutting off a torn tail.

        Parameters
        ----------
        path : Path
            In an existing folder.

        Returns
        -------
        Journal
            Ready to append after the last whole record.

        Raises
        ------
        StorageError
            It cannot be made or written.
        ConfigError
            Another version wrote it.
        """
        try:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise storage_error("open the journal", path, error) from error
        try:
            good_bytes = read_journal(path).good_bytes
            os.ftruncate(fd, good_bytes)
            os.fsync(fd)
            sync_folder(path.parent)
        except OSError as error:
            os.close(fd)
            raise storage_error("open the journal", path, error) from error
        except BaseException:
            os.close(fd)
            raise
        return cls(path, fd, good_bytes)

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; the journal is as it would be without."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def append(self, record: JournalRecord) -> None:
        """Write one record; it is on the disk when this returns.

        Parameters
        ----------
        record : JournalRecord
            A durable event.

        Raises
        ------
        StorageError
            The disk is full or cannot be written; the journal is as it was.
        InternalError
            The journal is closed, or the record is beyond 256 MiB.
        """
        body = _encoder.encode(record)
        if self._fd < 0 or len(body) > MAX_BODY_BYTES:
            raise InternalError(f"cannot append {len(body)} bytes to {self!r}")
        data = len(body).to_bytes(4, "big") + zlib.crc32(body).to_bytes(4, "big") + body
        try:
            written = 0
            while written < len(data):
                written += os.pwrite(
                    self._fd, data[written:], self._good_bytes + written
                )
            os.fsync(self._fd)
        except OSError as error:
            # If even cutting fails, the checksum refuses the half record later.
            with suppress(OSError):
                os.ftruncate(self._fd, self._good_bytes)
            raise storage_error("write to the journal", self.path, error) from error
        self._good_bytes += len(data)
