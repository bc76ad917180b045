"""How many operations one sample takes: what a share of a device's peak is taken of.

Input: an architecture. Output: a count. Where a module allows it nothing is computed:
it and its inputs have shapes, and no numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bytemlperf.model_zoo.builders import Architecture
from bytemlperf.model_zoo.reference import run_module
from bytemlperf.model_zoo.schema import ModelInfo

if TYPE_CHECKING:
    import torch

__all__ = ["count_operations"]


def count_operations(info: ModelInfo, architecture: Architecture) -> int | None:
    """Count the operations of one sample's matrix products and convolutions.

    A multiplication and an addition are two. Counted by
    ``torch.utils.flop_counter.FlopCounterMode`` on the canonical module.

    Parameters
    ----------
    info : ModelInfo
        Gives the shapes of the inputs.
    architecture : Architecture
        Of the model.

    Returns
    -------
    int or None
        None if an input has a dimension that only data decides.
    """
    if any(not isinstance(size, int) for spec in info.tensors for size in spec.shape):
        return None
    try:
        return _count(info, architecture, "meta")
    except (NotImplementedError, RuntimeError):
        # What torch raises where a tensor without numbers is asked for one: a mask that
        # is looked at before it is used.
        return _count(info, architecture, "cpu")


def _count(info: ModelInfo, architecture: Architecture, device: str) -> int:
    """Run one sample of ones, and count."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    with torch.device(device):
        # Parameters that ask for gradients make the counter follow them.
        module = architecture.torch_module().eval().requires_grad_(False)
        inputs: dict[str, torch.Tensor] = {
            spec.name: torch.full(
                # One is no id where there is but one segment.
                spec.shape,
                0 if spec.high == 1 else 1,
                dtype=getattr(torch, spec.dtype),
            )
            for spec in info.tensors
        }
    counter = FlopCounterMode(display=False)
    with torch.inference_mode(), counter:
        run_module(info, architecture, module, inputs)
    return int(counter.get_total_flops())
