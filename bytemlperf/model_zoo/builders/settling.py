"""Batch normalisation for networks that were never trained.

Input: a PyTorch module with drawn weights, and a batch. Output: running statistics
under which every normalised activation has mean 0 and variance 1 on that batch. Without
them a drawn network fades to nothing or blows up, and precision tests on it mean
nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import torch

__all__ = ["settle_statistics"]

Array = npt.NDArray[Any]
KEPT_BITS = 10


def settle_statistics(
    module: torch.nn.Module, batch: Array, weights: dict[str, Array]
) -> None:
    """Set all ``running_mean`` and ``running_var`` from one batch.

    Parameters
    ----------
    module : torch.nn.Module
        Holds `weights`; is left in double precision, and in evaluation mode.
    batch : ndarray
        Input of `module`, float32.
    weights : dict of str to ndarray
        The statistics in it are replaced.

    Notes
    -----
    The order in which threads add up is not the same on every machine. Statistics are
    computed in double precision and rounded to 10 bits, so that the last bits, which
    depend on that order, are gone, and weights are the same bit for bit.
    """
    import torch

    norms = [m for m in module.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    module.double()
    with torch.no_grad():
        for norm in norms:
            norm.momentum = 1.0
            norm.train()
        module(torch.from_numpy(batch).double())
    module.eval()
    for name, tensor in module.state_dict().items():
        if name.endswith(("running_mean", "running_var")):
            weights[name] = _round(tensor.numpy())


def _round(values: Array) -> Array:
    """Round to float32 numbers with few significant bits."""
    mantissa, exponent = np.frexp(values)
    rounded = np.ldexp(np.round(mantissa * 2.0**KEPT_BITS), exponent - KEPT_BITS)
    single: Array = rounded.astype(np.float32)
    return single
