"""What a backend is fed and must answer: sample arrays and output names. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from bytemlperf.backends import tensor_infos

__all__ = ["input_names", "output_names", "repeated"]


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


def repeated(
    arrays: dict[str, npt.NDArray[Any]], available: int, count: int
) -> dict[str, npt.NDArray[Any]]:
    """Return at least `count` samples: all of them, repeated if need be.

    Parameters
    ----------
    arrays : dict of str to ndarray
        Rows of `available` samples on axis 0.
    available, count : int
        Samples there are, and samples wanted, >= 1.

    Returns
    -------
    dict of str to ndarray
        The same arrays if they are enough.
    """
    if available >= count:
        return arrays
    repeats = -(-count // available)
    return {name: np.concatenate([array] * repeats) for name, array in arrays.items()}
