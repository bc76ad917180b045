"""The run's one table on disk: one row a query, appended as chunks fill.

The columns are those of the row; who writes each, and when, is in
``docs/measurement.md``.
"""

from __future__ import annotations

import queue
import threading
from pathlib import Path
from typing import BinaryIO

import numpy as np

from bytemlperf._native.timeline import ROW_BYTES
from bytemlperf.errors import StorageError

__all__ = ["CHUNK_ROWS", "OUTCOMES", "TIMELINE_DTYPE", "TimelineWriter"]

TIMELINE_DTYPE = np.dtype(
    [
        ("sample_index", "<i8"),
        ("scheduled_ns", "<i8"),
        ("issued_ns", "<i8"),
        ("batched_ns", "<i8"),
        ("started_ns", "<i8"),
        ("done_ns", "<i8"),
        ("observed_ns", "<i8"),
        ("batch_id", "<i8"),
        ("client", "<i4"),
        ("outcome", "<i2"),
        ("warm_up", "<i2"),
    ]
)
assert TIMELINE_DTYPE.itemsize == ROW_BYTES

OUTCOMES = ("ok", "failed", "cancelled", "fatal")
CHUNK_ROWS = 16384
_MAX_WAITING_CHUNKS = 8
_HEADER_BYTES = 512


class TimelineWriter:
    """Appends rows to an .npy file from a thread of its own.

    The header keeps its size, so that the row count can be put right at the end; a file
    whose writer was killed holds whole chunks, and a count of none.

    Parameters
    ----------
    path : Path
        File to make or replace.

    Raises
    ------
    StorageError
        It cannot be opened.

    Notes
    -----
    Thread-safety: `append` and `close` are called by one thread.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.row_count = 0
        self._error: OSError | None = None
        try:
            self._file: BinaryIO = path.open("wb")
            self._file.write(_header(0))
        except OSError as error:
            raise StorageError(
                f"the timeline cannot be written to {str(path)!r}", detail=str(error)
            ) from error
        self._chunks: queue.Queue[bytes | None] = queue.Queue(_MAX_WAITING_CHUNKS)
        self._thread = threading.Thread(
            target=self._write, name="bytemlperf-timeline", daemon=True
        )
        self._thread.start()

    def append(self, rows: memoryview) -> None:
        """Hand over whole rows; they are copied.

        Parameters
        ----------
        rows : memoryview
            Bytes of whole rows of `TIMELINE_DTYPE`.
        """
        self.row_count += rows.nbytes // ROW_BYTES
        # Waits only if the disk is eight chunks behind: memory stays bounded.
        self._chunks.put(bytes(rows))

    def _write(self) -> None:
        while (chunk := self._chunks.get()) is not None:
            if self._error is not None:
                continue
            try:
                self._file.write(chunk)
            except OSError as error:
                self._error = error

    def close(self) -> None:
        """Write what waits, and the header.

        Raises
        ------
        StorageError
            Not everything could be written.
        """
        self._chunks.put(None)
        self._thread.join()
        try:
            if self._error is not None:
                raise self._error
            self._file.seek(0)
            self._file.write(_header(self.row_count))
            self._file.close()
        except OSError as error:
            raise StorageError(
                f"the timeline {str(self.path)!r} is incomplete", detail=str(error)
            ) from error
        finally:
            self._file.close()


def _header(row_count: int) -> bytes:
    described = {
        "descr": np.lib.format.dtype_to_descr(TIMELINE_DTYPE),
        "fortran_order": False,
        "shape": (row_count,),
    }
    prefix = b"\x93NUMPY\x01\x00" + (_HEADER_BYTES - 10).to_bytes(2, "little")
    text = repr(described).encode("latin1")
    return prefix + text.ljust(_HEADER_BYTES - 11) + b"\n"
