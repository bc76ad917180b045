"""Store a model's weights in fewer bits, and compute in float32 all the same.

Input: float32 weights. Output: weights, modules and files whose matrices are float16 or
int8. Processors without half arithmetic take seven to thirty times as long in it, so
halves are widened where they are used: a half of the bytes, the same arithmetic, and
the rounding of a half model in every answer.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bytemlperf.model_zoo.weights import Array, Weights

if TYPE_CHECKING:
    import torch

__all__ = ["narrow_module", "narrow_weights", "quantize"]


def narrow_weights(weights: Weights) -> dict[str, Array]:
    """Round matrices and kernels to float16.

    Parameters
    ----------
    weights : mapping of str to ndarray
        float32, by canonical name.

    Returns
    -------
    dict of str to ndarray
        float16 where there are two dimensions or more; biases, gains and statistics,
        which are few and whose range is wide, stay as they are.
    """
    return {
        name: array.astype(np.float16) if array.ndim >= 2 else array
        for name, array in weights.items()
    }


def narrow_module(module: torch.nn.Module) -> torch.nn.Module:
    """Keep the matrices and kernels of a module as halves, widened at each use.

    Parameters
    ----------
    module : torch.nn.Module
        In float32; is changed.

    Returns
    -------
    torch.nn.Module
        The same, fit to be traced: what is saved are the halves.
    """
    import torch
    from torch.nn.utils import parametrize

    class Widen(torch.nn.Module):  # type: ignore[misc]  # nn has no types here
        def forward(self, kept: torch.Tensor) -> torch.Tensor:
            return kept.float()

    for part in list(module.modules()):
        for name, parameter in list(part.named_parameters(recurse=False)):
            if parameter.ndim >= 2:
                parameter.data = parameter.data.half()
                # "Unsafe" is that the type changes, which is the point.
                parametrize.register_parametrization(part, name, Widen(), unsafe=True)
    return module


def quantize(path: Path, batches: Iterable[dict[str, Array]]) -> None:
    """Quantise the products of an ``.onnx`` file to eight bits.

    Weights become int8, one scale for each output channel. In a graph without
    convolutions activations are quantised when they are known, one scale for each
    tensor ("dynamic"); with convolutions by scales that are measured beforehand
    ("static", as pairs of QuantizeLinear and DequantizeLinear). The rest stays float32.

    Parameters
    ----------
    path : Path
        A float32 model; is replaced.
    batches : iterable of dict of str to ndarray
        Inputs to measure with; not looked at without convolutions.
    """
    import onnx
    from onnxruntime import quantization

    class Reader(quantization.CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.left = iter(batches)

        def get_next(self) -> dict[str, Array] | None:
            return next(self.left, None)

    graph = onnx.load(path, load_external_data=False).graph
    quantized = path.with_suffix(".int8.onnx")
    # It advises to optimise the graph first, which the runtime does when it loads it.
    logging.disable(logging.WARNING)
    try:
        if any(node.op_type == "Conv" for node in graph.node):
            quantization.quantize_static(
                path,
                quantized,
                Reader(),
                quant_format=quantization.QuantFormat.QDQ,
                per_channel=True,
                activation_type=quantization.QuantType.QUInt8,
                weight_type=quantization.QuantType.QInt8,
            )
        else:
            quantization.quantize_dynamic(
                path,
                quantized,
                op_types_to_quantize=["MatMul"],
                per_channel=True,
                weight_type=quantization.QuantType.QInt8,
            )
    finally:
        logging.disable(logging.NOTSET)
    quantized.replace(path)
