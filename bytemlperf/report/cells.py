"""The cells of a stored histogram, as numbers to draw.

Input: a `Distribution`. Output: arrays of values and counts. Pure.
"""

from __future__ import annotations

import msgspec
import numpy as np
import numpy.typing as npt

from bytemlperf.report.blocks import filled_cells
from bytemlperf.report.schema import Distribution

__all__ = ["Cells", "read_cells"]


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
        Without values if nothing was recorded, or the histogram was not kept.

    Raises
    ------
    ConfigError
        Its text is not a histogram.
    """
    cells = filled_cells(distribution.hdr_v2_base64, distribution.max_ns)
    return Cells(cells[:, 0], cells[:, 1])
