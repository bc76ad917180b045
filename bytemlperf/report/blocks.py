"""A point's blocks of time, as its result file keeps them -> a table for statistics.

Input: a `Point`. Output: a `BlockTable`. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from bytemlperf.report.schema.point import Point
from bytemlperf.report.schema.statistics import LatencyBlock
from bytemlperf.statistics.blocks import BlockTable, make_table
from bytemlperf.statistics.hdr import cell_tops_ns, decode_counts

__all__ = ["blocks_table", "filled_cells", "point_table"]


def point_table(point: Point) -> BlockTable:
    """Read a point's blocks.

    Parameters
    ----------
    point : Point
        As stored.

    Returns
    -------
    BlockTable
        One block, the whole window, for a point without blocks.

    Raises
    ------
    ConfigError
        A histogram is damaged.
    """
    blocks = point.blocks or [
        LatencyBlock(
            start_ns=0,
            duration_ns=point.window_ns,
            query_count=point.query_count,
            sum_ns=round(point.latency.mean_ns * point.latency.count),
            hdr_v2_base64=point.latency.hdr_v2_base64,
        )
    ]
    return blocks_table(blocks, point.latency.max_ns)


def blocks_table(blocks: Sequence[LatencyBlock], max_ns: int) -> BlockTable:
    """Read blocks.

    Parameters
    ----------
    blocks : sequence of LatencyBlock
        At least one.
    max_ns : int
        Largest latency of all: no top of a cell says more.

    Returns
    -------
    BlockTable
        For `bytemlperf.statistics`.

    Raises
    ------
    ConfigError
        A histogram is damaged.
    """
    return make_table(
        [block.duration_ns for block in blocks],
        [block.sum_ns for block in blocks],
        [filled_cells(block.hdr_v2_base64, max_ns) for block in blocks],
    )


def filled_cells(text: str, max_ns: int) -> npt.NDArray[np.int64]:
    """Read a histogram's values and counts.

    Parameters
    ----------
    text : str
        HdrHistogram V2, base64; empty: no value.
    max_ns : int
        Tops of cells are cut off here.

    Returns
    -------
    ndarray
        int64, shape (k, 2): value in ns, count; ascending.

    Raises
    ------
    ConfigError
        It is damaged.
    """
    if not text:
        return np.empty((0, 2), np.int64)
    counts = decode_counts(text)
    cells = np.flatnonzero(counts)
    # What a damaged file says may be beyond 64 bits; a cell's top never is.
    longest = min(max(max_ns, 0), np.iinfo(np.int64).max)
    tops = np.minimum(cell_tops_ns(cells), longest)
    return np.stack([tops, counts[cells]], axis=1)
