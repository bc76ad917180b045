"""ONNX models of a few nodes, made on the spot."""

from __future__ import annotations

from pathlib import Path

import numpy as np

__all__ = ["linear_onnx", "nonzero_onnx"]


def linear_onnx(path: Path, *, width: int, hidden: int = 3) -> Path:
    """Save a matrix product, ``x[n, width] -> y[n, hidden]``.

    Parameters
    ----------
    path : Path
        Where to.
    width, hidden : int
        Its sizes.

    Returns
    -------
    Path
        The same.
    """
    weight = np.arange(width * hidden, dtype=np.float32).reshape(width, hidden)
    return _save(
        path, [("MatMul", ["x", "w"], ["y"])], width, ["n", hidden], 1, w=weight
    )


def nonzero_onnx(path: Path) -> Path:
    """Save a model whose answer is as large as its input has elements that are not 0.

    Parameters
    ----------
    path : Path
        Where to.

    Returns
    -------
    Path
        The same.
    """
    return _save(path, [("NonZero", ["x"], ["y"])], 4, [2, "found"], 7)


def _save(
    path: Path,
    nodes: list[tuple[str, list[str], list[str]]],
    width: int,
    output_shape: list[int | str],
    output_type: int,
    **weights: np.ndarray,
) -> Path:
    from onnx import helper, numpy_helper, save

    graph = helper.make_graph(
        [helper.make_node(*node) for node in nodes],
        "g",
        [helper.make_tensor_value_info("x", 1, ["n", width])],
        [helper.make_tensor_value_info("y", output_type, output_shape)],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    opset = [helper.make_opsetid("", 17)]
    save(helper.make_model(graph, opset_imports=opset, ir_version=9), path)
    return path
