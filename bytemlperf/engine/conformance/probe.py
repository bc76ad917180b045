"""A model that is small enough to be checked by hand, in every format.

It takes ``a`` (float32, 4 values a sample) and ``b`` (int64, 4 values) and answers with
``weighted`` = relu(a) @ W, ``mixed`` = 2 a - b, and ``echo`` = a. Its inputs are not
interchangeable, one path has no parameters, and one output is an input.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bytemlperf.engine.emitter import Emitter
from bytemlperf.engine.messages import ProbeJob, ProbesBuilt

__all__ = ["OUTPUT_WIDTHS", "WEIGHTS", "build_probes", "expected", "make_feeds"]

Arrays = Mapping[str, npt.NDArray[Any]]

WEIGHTS = np.linspace(-1, 1, 12, dtype=np.float32).reshape(4, 3)
OUTPUT_WIDTHS = {"weighted": 3, "mixed": 4, "echo": 4}
BUILD_DEADLINE_SECONDS = 600.0
ALIGNMENT = 64


def aligned(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Copy to 64-byte-aligned, read-only memory, which is what a backend is given.

    Parameters
    ----------
    array : ndarray
        Any shape and dtype.

    Returns
    -------
    ndarray
        The same values; its base can be written by whoever holds it.
    """
    raw = np.zeros(array.nbytes + ALIGNMENT, np.uint8)
    start = -raw.ctypes.data % ALIGNMENT
    view = raw[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    view[...] = array
    view.flags.writeable = False
    return view


def make_feeds(batch_size: int, seed: int = 0) -> dict[str, npt.NDArray[Any]]:
    """Return a batch, different for every seed.

    Parameters
    ----------
    batch_size : int
        Samples.
    seed : int
        Of PCG64.

    Returns
    -------
    dict of str to ndarray
        ``a``: float32, ``b``: int64, both of shape (batch_size, 4), read-only.
    """
    rng = np.random.default_rng(seed)
    return {
        "a": aligned(rng.normal(size=(batch_size, 4)).astype(np.float32)),
        "b": aligned(rng.integers(-9, 9, size=(batch_size, 4))),
    }


def expected(feeds: Arrays) -> dict[str, npt.NDArray[np.float32]]:
    """Compute what the model answers, with numpy.

    Parameters
    ----------
    feeds : mapping of str to ndarray
        As from `make_feeds`.

    Returns
    -------
    dict of str to ndarray
        float32, one row a sample.
    """
    a, b = feeds["a"], feeds["b"]
    return {
        "weighted": np.maximum(a, 0) @ WEIGHTS,
        "mixed": 2 * a - b.astype(np.float32),
        "echo": a,
    }


def build_probes(job: ProbeJob, emitter: Emitter) -> None:
    """Write the model in every format whose framework is installed here.

    Parameters
    ----------
    job : ProbeJob
        Where to.
    emitter : Emitter
        Gets ``configs["model_info"]`` of each.
    """
    emitter.phase("probe", BUILD_DEADLINE_SECONDS, "building the probe model")
    folder = Path(job.folder)
    folder.mkdir(parents=True, exist_ok=True)
    infos = {name: model_info(name, make(folder)) for name, make in MAKERS.items()}
    emitter.emit(ProbesBuilt(infos))


def model_info(framework: str, path: Path | None) -> dict[str, Any]:
    """Describe the model as a backend reads it.

    Parameters
    ----------
    framework : str
        ``"Onnx"``, ``"Pytorch"`` or ``"Tensorflow"``.
    path : Path or None
        The model; None for a backend that wants none.

    Returns
    -------
    dict
        ``configs["model_info"]``.
    """
    return {
        "model": "probe",
        "framework": framework,
        "model_path": None if path is None else str(path),
        "model_format": FORMATS[framework],
        "model_precision": "FP32",
        "inputs": "a,b",
        "outputs": ",".join(OUTPUT_WIDTHS),
        "input_shape": {"a": [1, 4], "b": [1, 4]},
        "output_shape": {name: [1, width] for name, width in OUTPUT_WIDTHS.items()},
        "input_type": "FLOAT32,INT64",
    }


def torch_module() -> tuple[Any, tuple[Any, Any]]:
    """Return the module, and an example of its arguments."""
    import torch

    class Probe(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.weights = torch.nn.Parameter(torch.from_numpy(WEIGHTS.copy()))

        def forward(self, a: Any, b: Any) -> tuple[Any, Any, Any]:
            return torch.relu(a) @ self.weights, 2 * a - b, a

    return Probe().eval(), (torch.zeros(2, 4), torch.zeros(2, 4, dtype=torch.int64))


def torchscript(folder: Path) -> Path:
    """Write a TorchScript file, traced."""
    import torch

    module, example = torch_module()
    with warnings.catch_warnings():
        # Tracing is deprecated, and still what TorchScript files are made by.
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.trace(module, example).save(str(folder / "probe.pt"))
    return folder / "probe.pt"


def saved_model(folder: Path) -> Path:
    """Write a SavedModel folder."""
    import tensorflow as tf

    class Probe(tf.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.weights = tf.Variable(WEIGHTS)

        # Named so that the signature's alphabetical order is not the declared one.
        @tf.function(  # type: ignore[untyped-decorator]
            input_signature=[
                tf.TensorSpec([None, 4], tf.int64, name="b"),
                tf.TensorSpec([None, 4], tf.float32, name="a"),
            ]
        )
        def serve(self, b: Any, a: Any) -> dict[str, Any]:
            return {
                "weighted": tf.nn.relu(a) @ self.weights,
                "mixed": 2 * a - tf.cast(b, tf.float32),
                "echo": tf.identity(a),
            }

    probe = Probe()
    signatures = {"serving_default": probe.serve.get_concrete_function()}
    tf.saved_model.save(probe, str(folder / "probe"), signatures=signatures)
    return folder / "probe"


def onnx_file(folder: Path) -> Path:
    """Write an ONNX file."""
    import onnx
    from onnx import TensorProto, helper

    nodes = [
        helper.make_node("Relu", ["a"], ["positive"]),
        helper.make_node("MatMul", ["positive", "W"], ["weighted"]),
        helper.make_node("Cast", ["b"], ["real"], to=TensorProto.FLOAT),
        helper.make_node("Add", ["a", "a"], ["twice"]),
        helper.make_node("Sub", ["twice", "real"], ["mixed"]),
        helper.make_node("Identity", ["a"], ["echo"]),
    ]

    def tensor(name: str, kind: int, width: int) -> Any:
        return helper.make_tensor_value_info(name, kind, ["batch", width])

    graph = helper.make_graph(
        nodes,
        "probe",
        [tensor("b", TensorProto.INT64, 4), tensor("a", TensorProto.FLOAT, 4)],
        [tensor(name, TensorProto.FLOAT, w) for name, w in OUTPUT_WIDTHS.items()],
        [onnx.numpy_helper.from_array(WEIGHTS, "W")],
    )
    opset = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=9)
    onnx.save(model, folder / "probe.onnx")
    return folder / "probe.onnx"


MAKERS: dict[str, Callable[[Path], Path]] = {
    "Onnx": onnx_file,
    "Pytorch": torchscript,
    "Tensorflow": saved_model,
}
FORMATS = {"Onnx": "onnx", "Pytorch": "pt", "Tensorflow": "saved_model"}
