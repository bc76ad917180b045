"""What a backend is fed and must answer: sample arrays and output names. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from bytemlperf.backends import tensor_infos

__all__ = ["MAX_RESIDENT_BYTES", "input_names", "output_names", "resident"]

# Samples that performance runs draw from: enough to defeat caches, bounded in memory.
MAX_RESIDENT_BYTES = 256 * 1024 * 1024


def input_names(model_info: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the inputs that a model's description names.

    Parameters
    ----------
    model_info : mapping
        ``configs["model_info"]``.

    Returns
    -------
    tuple of str
        Empty if it names none.
    """
    return tuple(info.name for info in tensor_infos(model_info, "input"))


def output_names(model_info: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the outputs that a model's description names.

    Parameters
    ----------
    model_info : mapping
        ``configs["model_info"]``.

    Returns
    -------
    tuple of str
        Empty if it names none.
    """
    names = str(model_info.get("outputs") or "").split(",")
    return tuple(name.strip() for name in names if name.strip())


def resident(
    arrays: dict[str, npt.NDArray[Any]], available: int, count: int
) -> dict[str, npt.NDArray[Any]]:
    """Return at least `count` samples, repeated if need be, and no more than fit.

    Accuracy is scored on all there are; a performance run holds its samples in memory
    and takes the first of them, which stand in random order.

    Parameters
    ----------
    arrays : dict of str to ndarray
        Rows of `available` samples on axis 0.
    available, count : int
        Samples there are, and samples wanted, >= 1.

    Returns
    -------
    dict of str to ndarray
        Views of the arrays if they are enough; together 256 MiB, or `count` samples
        if these are more.
    """
    if available >= count:
        sample_bytes = sum(array.nbytes for array in arrays.values()) // available
        kept = min(available, max(count, MAX_RESIDENT_BYTES // max(1, sample_bytes)))
        return {
            name: array[: len(array) // available * kept]
            for name, array in arrays.items()
        }
    repeats = -(-count // available)
    return {name: np.concatenate([array] * repeats) for name, array in arrays.items()}
