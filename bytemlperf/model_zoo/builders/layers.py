"""How the weights of plain layers are drawn.

Input: a tensor's name and shape. Output: its numbers.
"""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

from bytemlperf.model_zoo.weights import Draw

__all__ = ["draw_layer_weight"]


def draw_layer_weight(draw: Draw) -> npt.NDArray[Any]:
    """Draw one tensor of a linear, convolutional or normalising layer.

    Parameters
    ----------
    draw : Draw
        Knows the tensor's name and shape.

    Returns
    -------
    ndarray
        float32: even in ``+-fan_in ** -0.5`` for matrices and kernels, which is how
        PyTorch starts them, 0 for biases, 1 for the gains of normalisations.
    """
    if len(draw.shape) >= 2:
        return draw.uniform(draw.fan("in") ** -0.5)
    return draw.fill(1.0 if draw.name.endswith(("weight", "running_var")) else 0.0)
