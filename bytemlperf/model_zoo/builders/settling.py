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

__all__ = ["round_bits", "settle_head", "settle_statistics"]

Array = npt.NDArray[Any]
KEPT_BITS = 10


def settle_statistics(
    module: torch.nn.Module, batch: Array, weights: dict[str, Array]
) -> Any:
    """Set all ``running_mean`` and ``running_var`` from one batch.

    Parameters
    ----------
    module : torch.nn.Module
        Holds `weights`; is left in double precision, and in evaluation mode.
    batch : ndarray
        Input of `module`, float32.
    weights : dict of str to ndarray
        The statistics in it are replaced.

    Returns
    -------
    torch.Tensor or tuple of torch.Tensor
        What the module answers to the batch, float64.

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
        found = module(torch.from_numpy(batch).double())
    module.eval()
    for name, tensor in module.state_dict().items():
        if name.endswith(("running_mean", "running_var")):
            weights[name] = round_bits(tensor.numpy())
    return found


def settle_head(
    logits: Array, weights: dict[str, Array], *, head: str, deviation: float
) -> None:
    """Make the classes that a drawn classifier chooses depend on what it sees.

    Drawn, the last layer answers nearly the same to every input, and one class wins
    always: an error would have to be enormous to change an answer. After this the
    logits of each class have mean 0 over the batch, and all together `deviation`.

    Parameters
    ----------
    logits : ndarray
        What the module answers to a batch, float64 (batch, classes).
    weights : dict of str to ndarray
        Weight and bias of the head are replaced, rounded as statistics are.
    head : str
        Name of the last layer, a linear one.
    deviation : float
        Of the logits over the batch.
    """
    centre = logits.mean(axis=0)
    scale = deviation / (logits - centre).std()
    for part, shift in (("weight", 0.0), ("bias", centre)):
        name = f"{head}.{part}"
        weights[name] = round_bits((weights[name].astype(np.float64) - shift) * scale)


def round_bits(values: Array) -> Array:
    """Round to float32 numbers with few significant bits.

    Parameters
    ----------
    values : ndarray
        Computed in double precision, on whatever machine.

    Returns
    -------
    ndarray
        float32, of 10 significant bits.
    """
    mantissa, exponent = np.frexp(values)
    rounded = np.ldexp(np.round(mantissa * 2.0**KEPT_BITS), exponent - KEPT_BITS)
    single: Array = rounded.astype(np.float32)
    return single
