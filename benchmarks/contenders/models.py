"""Two real ONNX models, made on the fly, and the bare loop that feeds them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.contenders.bare import Feeds
from benchmarks.windows import Stopwatch, Window

__all__ = ["BareLoop", "TimedModel", "image_model", "perceptron"]

_SEED = 7
_OPSET = 17
_IR_VERSION = 8


def _weights(generator: np.random.Generator, *shape: int) -> npt.NDArray[np.float32]:
    scale = 1 / np.sqrt(np.prod(shape[1:], dtype=np.float64))
    return np.asarray(generator.standard_normal(shape) * scale, np.float32)


def _model(
    nodes: list[Any],
    weights: dict[str, npt.NDArray[np.float32]],
    input_shape: list[str | int],
    output_shape: list[str | int],
) -> bytes:
    from onnx import TensorProto, helper, numpy_helper

    graph = helper.make_graph(
        nodes,
        "benchmark",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, input_shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, output_shape)],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", _OPSET)],
        ir_version=_IR_VERSION,
    )
    made: bytes = model.SerializeToString()
    return made


def perceptron() -> bytes:
    """Make a perceptron of 256, 1024, 1024 and 100 units.

    Returns
    -------
    bytes
        An ONNX model: x is float32 of shape (batch, 256), y of shape (batch, 100).
    """
    from onnx import helper

    generator = np.random.Generator(np.random.PCG64(_SEED))
    sizes = [256, 1024, 1024, 100]
    weights: dict[str, npt.NDArray[np.float32]] = {}
    nodes = []
    last = "x"
    for i, (inputs, outputs) in enumerate(pairwise(sizes)):
        weights[f"w{i}"] = _weights(generator, outputs, inputs)
        weights[f"b{i}"] = _weights(generator, outputs)
        name = "y" if i == len(sizes) - 2 else f"h{i}"
        nodes.append(
            helper.make_node("Gemm", [last, f"w{i}", f"b{i}"], [name], transB=1)
        )
        last = name
        if name != "y":
            last = f"r{i}"
            nodes.append(helper.make_node("Relu", [name], [last]))
    return _model(nodes, weights, ["batch", sizes[0]], ["batch", sizes[-1]])


def image_model() -> bytes:
    """Make a small convolution over images of 600 KB.

    Returns
    -------
    bytes
        An ONNX model: x is float32 of shape (batch, 3, 224, 224), y of (batch, 8).
    """
    from onnx import helper

    generator = np.random.Generator(np.random.PCG64(_SEED))
    weights = {"w": _weights(generator, 8, 3, 7, 7), "b": _weights(generator, 8)}
    nodes = [
        helper.make_node(
            "Conv", ["x", "w", "b"], ["c"], strides=[4, 4], kernel_shape=[7, 7]
        ),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("GlobalAveragePool", ["r"], ["p"]),
        helper.make_node("Flatten", ["p"], ["y"]),
    ]
    return _model(nodes, weights, ["batch", 3, 224, 224], ["batch", 8])


class TimedModel:
    """A model on one thread of ONNX Runtime, that knows how long it was busy.

    Parameters
    ----------
    model : bytes
        In ONNX format.

    Notes
    -----
    Both the bare loop and ours call it, so that both pay for its two stamps.
    """

    def __init__(self, model: bytes) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        self._run = onnxruntime.InferenceSession(
            model, options, providers=["CPUExecutionProvider"]
        ).run
        self.reset()

    def reset(self) -> None:
        """Forget what was."""
        self._first_ns = 0
        self._last_ns = 0
        self._busy_ns = 0

    @property
    def duty(self) -> float:
        """Share of the time from its first call to its last that it was busy."""
        return self._busy_ns / (self._last_ns - self._first_ns)

    def __call__(self, feeds: Mapping[str, npt.NDArray[Any]]) -> Feeds:
        """Predict."""
        start_ns = time.perf_counter_ns()
        outputs = self._run(None, feeds)
        end_ns = time.perf_counter_ns()
        self._first_ns = self._first_ns or start_ns
        self._last_ns = end_ns
        self._busy_ns += end_ns - start_ns
        return {"y": outputs[0]}


class BareLoop:
    """Feeds a model fresh samples without a harness, as well as Python can.

    Parameters
    ----------
    model : TimedModel
        What to call.
    data : ndarray
        Samples on axis 0.
    batch : int
        Samples of a call. One sample is a view; more are gathered into one buffer by
        numpy's fastest way.
    """

    def __init__(
        self, model: TimedModel, data: npt.NDArray[np.float32], batch: int
    ) -> None:
        self._model = model
        self._data = data
        self._batch = batch
        self._buffer = np.empty((batch, *data.shape[1:]), data.dtype)
        self._generator = np.random.Generator(np.random.PCG64(_SEED))

    def measure(self, calls: int) -> Window:
        """Call the model so many times.

        Parameters
        ----------
        calls : int
            Batches.

        Returns
        -------
        Window
            Its queries are samples.
        """
        model, data, buffer, batch = self._model, self._data, self._buffer, self._batch
        model.reset()
        drawn = self._generator.integers(0, len(data), calls * batch)
        feeds = {"x": buffer}
        if batch == 1:
            firsts = drawn.tolist()
            stopwatch = Stopwatch()
            for first in firsts:
                model({"x": data[first : first + 1]})
        else:
            rows = list(drawn.reshape(calls, batch))
            stopwatch = Stopwatch()
            for chosen in rows:
                np.take(data, chosen, axis=0, out=buffer, mode="clip")
                model(feeds)
        return stopwatch.window(calls * batch)
