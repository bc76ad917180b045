"""Seeded stand-ins for normalised photographs.

Input: a count, a size and a seed. Output: float32 arrays, NCHW.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["draw_pictures"]


def draw_pictures(count: int, size: int, seed: int) -> npt.NDArray[Any]:
    """Draw pictures whose power falls off with frequency, as that of photographs does.

    Parameters
    ----------
    count : int
        Pictures.
    size : int
        Height and width.
    seed : int
        Of the values.

    Returns
    -------
    ndarray
        float32 (count, 3, size, size), of mean about 0 and deviation about 1.
    """
    random = np.random.Generator(np.random.PCG64(seed))
    pictures = np.zeros((count, 3, size, size), dtype=np.float32)
    cells, octaves = 2, 0
    while cells < 2 * size:
        # Nearest-neighbour noise: no interpolation, so no rounding that could differ.
        at = np.minimum(np.arange(size) * cells // size, cells - 1)
        noise = random.standard_normal((count, 3, cells, cells), dtype=np.float32)
        pictures += noise[:, :, at][:, :, :, at]
        cells, octaves = cells * 2, octaves + 1
    return pictures / np.float32(np.sqrt(octaves))
