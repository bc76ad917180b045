"""The cells of a stored histogram, as numbers to draw.

Input: a `Distribution`. Output: arrays of values and counts. Pure.
"""

from __future__ import annotations

import base64
import struct
import zlib

import msgspec
import numpy as np
import numpy.typing as npt
from hdrh.codec import HdrCookieException, HdrLengthException
from hdrh.histogram import HdrHistogram

from bytemlperf.errors import ConfigError
from bytemlperf.report.schema import Distribution

__all__ = ["Cells", "read_cells"]

# What the decoder of the hdrhistogram package raises on other people's bytes.
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
# The decoder unpacks first and looks afterwards.
_ENVELOPE_BYTES = 8
_MAX_UNPACKED_BYTES = 1 << 19


class Cells(msgspec.Struct, frozen=True):
    """The cells that hold at least one value, ascending.

    Parameters
    ----------
    tops_ns : ndarray
        Highest value of each cell, int64, shape (cells,); the last is the maximum.
    counts : ndarray
        Values in it, int64, shape (cells,).
    """

    tops_ns: npt.NDArray[np.int64]
    counts: npt.NDArray[np.int64]

    @property
    def count(self) -> int:
        """Number of values."""
        return int(self.counts.sum())

    def at_ranks(self, ranks: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return the values of given ranks.

        Parameters
        ----------
        ranks : ndarray
            From 1, int64.

        Returns
        -------
        ndarray
            ns, int64, of the same shape.
        """
        cumulative = np.cumsum(self.counts)
        return self.tops_ns[np.searchsorted(cumulative, ranks, side="left")]


def read_cells(distribution: Distribution) -> Cells:
    """Decode a distribution's histogram.

    Parameters
    ----------
    distribution : Distribution
        Of a result.

    Returns
    -------
    Cells
        Without values if nothing was recorded.

    Raises
    ------
    ConfigError
        Its text is not a histogram.
    """
    try:
        raw = base64.b64decode(distribution.hdr_v2_base64)
        head = zlib.decompressobj().decompress(
            raw[_ENVELOPE_BYTES:], _MAX_UNPACKED_BYTES + 1
        )
        if len(head) > _MAX_UNPACKED_BYTES:
            raise ValueError(f"it unpacks to more than {_MAX_UNPACKED_BYTES} bytes")
        found = HdrHistogram.decode(distribution.hdr_v2_base64)
    except _UNDECODABLE as error:
        raise ConfigError(
            "a histogram could not be decoded", detail=str(error) or repr(error)
        ) from error
    counts = np.array(found.counts, dtype=np.int64)
    used = np.flatnonzero(counts)
    tops = np.array(
        [
            found.get_highest_equivalent_value(found.get_value_from_index(int(cell)))
            for cell in used
        ],
        dtype=np.int64,
    )
    return Cells(np.minimum(tops, distribution.max_ns), counts[used])
