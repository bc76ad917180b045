"""HdrHistogram text <-> cells: 1 ns to 1 h at 3 significant digits.

Input: base64 text from anywhere. Output: an array of counts. It unpacks nothing that is
larger than a histogram of ours can be.
"""

from __future__ import annotations

import base64
import ctypes
import struct
import zlib

import numpy as np
import numpy.typing as npt
from hdrh.codec import HdrCookieException, HdrLengthException
from hdrh.histogram import HdrHistogram

from bytemlperf._native.recorder import (
    CELL_COUNT,
    HIGHEST_TRACKABLE_NS,
    LOWEST_NS,
    SIGNIFICANT_DIGITS,
)
from bytemlperf.errors import ConfigError

__all__ = ["CELL_COUNT", "cell_bounds", "cell_tops_ns", "decode_counts",
           "encode_counts"]  # fmt: skip

_HALF_BITS = 10
_HALF = 1 << _HALF_BITS
# What the decoder of the hdrhistogram package raises, found by fuzzing it.
_UNDECODABLE = (
    HdrCookieException,
    HdrLengthException,
    IndexError,
    OverflowError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)
# Cookie and length before the compressed part; the V2 format's.
_ENVELOPE_BYTES = 8
# Header and 33,792 cells of at most 9 bytes each, and some air.
_MAX_UNPACKED_BYTES = 1 << 19


def cell_bounds(cell: int) -> tuple[int, int]:
    """Return the lowest and the highest value, ns, that fall into a cell."""
    bucket = (cell >> _HALF_BITS) - 1
    low = (cell & (_HALF - 1)) + _HALF
    if bucket < 0:
        return low - _HALF, low - _HALF
    return low << bucket, ((low + 1) << bucket) - 1


def cell_tops_ns(cells: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the highest value of each cell.

    Parameters
    ----------
    cells : ndarray
        Cell numbers, int64, 0 to 33,791.

    Returns
    -------
    ndarray
        int64, ns, same shape.
    """
    bucket = np.maximum((cells >> _HALF_BITS) - 1, 0)
    low = (cells & (_HALF - 1)) + _HALF
    tops: npt.NDArray[np.int64] = np.where(
        cells < _HALF, cells, ((low + 1) << bucket) - 1
    )
    return tops


def decode_counts(text: str | bytes) -> npt.NDArray[np.int64]:
    """Read the V2 compressed, base64 form of a histogram.

    Parameters
    ----------
    text : str or bytes
        What the encoder of any HdrHistogram library wrote.

    Returns
    -------
    ndarray
        int64, shape (33792,).

    Raises
    ------
    ConfigError
        It is not such a text, or has another range or precision.
    """
    _check_size(text)
    try:
        found = HdrHistogram.decode(text)
    except _UNDECODABLE as error:
        raise ConfigError(
            "a histogram could not be decoded", detail=str(error) or repr(error)
        ) from error
    layout = (
        found.lowest_trackable_value,
        found.highest_trackable_value,
        found.significant_figures,
    )
    expected = (LOWEST_NS, HIGHEST_TRACKABLE_NS, SIGNIFICANT_DIGITS)
    if layout != expected:
        raise ConfigError(
            "a histogram has another layout than ours: lowest, highest and digits "
            f"are {layout}, expected {expected}"
        )
    return np.array(found.counts, dtype=np.int64)


def encode_counts(counts: npt.NDArray[np.int64]) -> str:
    """Write the V2 compressed, base64 form, as the hdrhistogram package does.

    Parameters
    ----------
    counts : ndarray
        int64, shape (33792,).

    Returns
    -------
    str
        One line of text.
    """
    assert counts.shape == (CELL_COUNT,)
    out = HdrHistogram(LOWEST_NS, HIGHEST_TRACKABLE_NS, SIGNIFICANT_DIGITS)
    packed = np.ascontiguousarray(counts)
    ctypes.memmove(out.counts, packed.ctypes.data, packed.nbytes)
    out.total_count = int(packed.sum())
    # The package's native code reads as many cells as this says, whatever it says.
    used = np.flatnonzero(packed)
    out.max_value = cell_bounds(int(used[-1]))[0] if used.size else 0
    encoded: bytes = out.encode()
    return encoded.decode("ascii")


def _check_size(text: str | bytes) -> None:
    """Refuse what would unpack to more than any histogram of ours is.

    The decoder unpacks first and looks afterwards: a few kilobytes could fill memory.
    """
    try:
        raw = base64.b64decode(text)
        unpacker = zlib.decompressobj()
        head = unpacker.decompress(raw[_ENVELOPE_BYTES:], _MAX_UNPACKED_BYTES + 1)
    except (ValueError, zlib.error) as error:
        raise ConfigError(
            "a histogram could not be decoded", detail=str(error) or repr(error)
        ) from error
    if len(head) > _MAX_UNPACKED_BYTES:
        raise ConfigError(
            f"a histogram unpacks to more than {_MAX_UNPACKED_BYTES} bytes, which no "
            "histogram of ours does"
        )
