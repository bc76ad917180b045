"""An ONNX model in double precision, run by ONNX's own reference operators.

Input: a file. Output: a function from float64 arrays to float64 arrays. The reference
operators are numpy: slow, plain, and nobody's product.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import onnx

__all__ = ["DoubleModel", "promote"]

Arrays = dict[str, npt.NDArray[Any]]
Feeds = Mapping[str, npt.NDArray[Any]]

# From fewer numbers nobody can tell whether they were rounded.
MIN_TELLING_SIZE = 8
# What these make of float64 fits into float32 because they make it so, or select it.
ROUNDING_OPERATORS = frozenset({"Ceil", "Clip", "Floor", "Relu", "Round", "Sign"})


class DoubleModel:
    """An ONNX file with all its floating-point numbers widened to float64.

    Parameters
    ----------
    path : Path
        An ``.onnx`` file; weights beside it are read as well.

    Raises
    ------
    Exception
        Whatever onnx raises, such as for an operator that its reference does not have.

    Notes
    -----
    Thread-safety: one thread at a time.
    """

    def __init__(self, path: Path) -> None:
        import onnx
        from onnx.reference import ReferenceEvaluator

        model = promote(onnx.load(path))
        weights = {tensor.name for tensor in model.graph.initializer}
        self._graph = model.graph
        self._evaluator = ReferenceEvaluator(model, new_ops=[_double_erf()])
        self.inputs = [
            value.name for value in model.graph.input if value.name not in weights
        ]
        self.outputs = [value.name for value in model.graph.output]

    def run(self, feeds: Feeds) -> Arrays:
        """Run it.

        Parameters
        ----------
        feeds : mapping of str to ndarray
            float64 where the model has floating-point inputs.

        Returns
        -------
        dict of str to ndarray
            Every output.
        """
        found: Any = self._evaluator.run(None, dict(feeds))
        return dict(zip(self.outputs, found, strict=True))

    def narrowing_operators(self, feeds: Feeds) -> list[str]:
        """Find operators whose reference computes in float32 whatever it is given.

        Parameters
        ----------
        feeds : mapping of str to ndarray
            As for `run`.

        Returns
        -------
        list of str
            Types of operators of the main graph that made float64 numbers which all
            fit into float32 from numbers that did not.
        """
        found: Any = self._evaluator.run(None, dict(feeds), intermediate=True)
        known = {**found, **feeds}
        narrowing = set()
        for node in self._graph.node:
            if node.op_type in ROUNDING_OPERATORS:
                continue
            fine = any(_is_fine(known.get(name)) for name in node.input)
            for name in node.output:
                made = known.get(name)
                if fine and _is_telling(made) and not _is_fine(made):
                    narrowing.add(str(node.op_type))
        return sorted(narrowing)


def _is_telling(array: Any) -> bool:
    """Whether an array holds enough fractions in float64 to tell how they were made."""
    if not isinstance(array, np.ndarray) or array.dtype != np.float64:
        return False
    fractions = array[np.isfinite(array) & (array != np.rint(array))]
    return np.unique(fractions).size >= MIN_TELLING_SIZE


def _is_fine(array: Any) -> bool:
    """Whether an array holds float64 numbers that float32 does not have."""
    if not isinstance(array, np.ndarray) or array.dtype != np.float64:
        return False
    with np.errstate(over="ignore"):
        return bool(np.any(array != array.astype(np.float32)))


def _double_erf() -> Any:
    """Return the error function in float64: ONNX's own rounds it to float32."""
    import math

    from onnx.reference.op_run import OpRun

    error_function = np.vectorize(math.erf, otypes=["d"])

    class Erf(OpRun):  # type: ignore[misc]
        op_domain = ""

        def _run(self, x: Any) -> tuple[Any]:
            return (error_function(x).astype(x.dtype),)

    return Erf


def promote(model: onnx.ModelProto) -> onnx.ModelProto:
    """Make float64 of every float16, bfloat16 and float32 in a model.

    Parameters
    ----------
    model : onnx.ModelProto
        Changed in place: weights, constants, the types of values, and what casts and
        generators of constants are told to make, in subgraphs and functions too.

    Returns
    -------
    onnx.ModelProto
        The same.
    """
    _promote_graph(model.graph)
    for function in model.functions:
        _promote_nodes(function.node)
    return model


def _narrow() -> tuple[int, ...]:
    from onnx import TensorProto

    return (TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.FLOAT)


def _promote_graph(graph: onnx.GraphProto) -> None:
    from onnx import TensorProto

    for tensor in graph.initializer:
        _promote_tensor(tensor)
    for value in (*graph.input, *graph.output, *graph.value_info):
        kind = value.type.tensor_type
        if kind.elem_type in _narrow():
            kind.elem_type = TensorProto.DOUBLE
    _promote_nodes(graph.node)


def _promote_nodes(nodes: Iterable[onnx.NodeProto]) -> None:
    from onnx import AttributeProto, TensorProto

    for node in nodes:
        for attribute in node.attribute:
            if attribute.type == AttributeProto.TENSOR:
                _promote_tensor(attribute.t)
            elif attribute.type == AttributeProto.GRAPH:
                _promote_graph(attribute.g)
            elif attribute.name in ("to", "dtype", "output_dtype", "stash_type"):
                if attribute.i in _narrow():
                    attribute.i = TensorProto.DOUBLE
            elif node.op_type == "Constant" and attribute.name == "value_float":
                _replace(attribute, np.array(attribute.f, np.float64))
            elif node.op_type == "Constant" and attribute.name == "value_floats":
                _replace(attribute, np.array(attribute.floats, np.float64))


def _replace(attribute: onnx.AttributeProto, value: npt.NDArray[np.float64]) -> None:
    """Give a constant as a tensor: its own kinds of number are float32."""
    from onnx import helper, numpy_helper

    tensor = helper.make_attribute("value", numpy_helper.from_array(value))
    attribute.CopyFrom(tensor)


def _promote_tensor(tensor: onnx.TensorProto) -> None:
    from onnx import numpy_helper

    if tensor.data_type in _narrow():
        wide = numpy_helper.to_array(tensor).astype(np.float64)
        tensor.CopyFrom(numpy_helper.from_array(wide, tensor.name))
