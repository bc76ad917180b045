"""What the modules of transformers have in common here.

Input: a module. Output: the module, fit to be traced; and how its weights are drawn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from bytemlperf.model_zoo.weights import Draw

if TYPE_CHECKING:
    import torch

__all__ = ["draw_transformer_weight", "fit_for_tracing"]

DEVIATION = 0.02


def fit_for_tracing(module: torch.nn.Module) -> torch.nn.Module:
    """Make a module of transformers answer, and let it be traced in silence.

    Parameters
    ----------
    module : torch.nn.Module
        Of a class whose name ends as transformers' own.

    Returns
    -------
    torch.nn.Module
        The same, in evaluation mode.
    """
    for part in module.modules():
        if getattr(part, "loss_type", "") is None:
            # Tracing reads the loss of every part; one without warns.
            part.loss_type = module.loss_type or "ForSequenceClassification"
    return module.eval()


def draw_transformer_weight(draw: Draw) -> npt.NDArray[Any]:
    """Draw one tensor as the training of a transformer starts.

    Parameters
    ----------
    draw : Draw
        Knows the tensor's name and shape.

    Returns
    -------
    ndarray
        float32: normal of deviation 0.02 for matrices, 0 for biases, 1 for the gains
        of normalisations.
    """
    if len(draw.shape) == 1:
        return draw.fill(1.0 if draw.name.endswith("weight") else 0.0)
    return draw.normal(DEVIATION)
