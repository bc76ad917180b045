"""Lend memory to runtimes that cannot be told that it is read-only.

Input: a read-only array. Output: an array on the same memory. Kernels never write to
their inputs; the mark is taken off only for libraries that refuse to look otherwise.
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["unmarked"]


def unmarked(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the same memory without numpy's read-only mark.

    Parameters
    ----------
    array : ndarray
        C-contiguous. It must outlive the result, which does not keep it alive.

    Returns
    -------
    ndarray
        `array` itself if it is writeable or empty, else a view of its memory.
    """
    if array.flags.writeable or not array.nbytes:
        return array
    address = array.__array_interface__["data"][0]
    memory = (ctypes.c_char * array.nbytes).from_address(address)
    return np.frombuffer(memoryview(memory), dtype=array.dtype).reshape(array.shape)
