"""One tiny model in every format, and every backend that can run it.

The model takes ``a`` (float32, 4 values) and ``b`` (int64, 4 values) and answers with
``weighted`` = relu(a) @ W, ``mixed`` = 2 a - b, and ``echo`` = a. Its inputs are not
interchangeable, it has a parameter-free path, and one output is an input.
"""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from bytemlperf.backends import BackendInfo, create_backend, find_backend

SUPPORT = Path(__file__).parents[1] / "support"
WEIGHTS = np.linspace(-1, 1, 12, dtype=np.float32).reshape(4, 3)
OUTPUTS = ("weighted", "mixed", "echo")
BATCH_SIZES = [1, 2, 4]


class Case(msgspec.Struct, frozen=True):
    """A backend with a model for it."""

    info: BackendInfo
    configs: dict[str, Any]
    computes: bool

    def compiled(self):
        """Return a fresh instance that has compiled the model, and what it said."""
        backend = create_backend(self.info)
        return backend, backend.compile(self.configs, None)


def aligned(array: np.ndarray) -> np.ndarray:
    """Copy to 64-byte-aligned, read-only memory, which is what a backend is given."""
    raw = np.zeros(array.nbytes + 64, np.uint8)
    start = -raw.ctypes.data % 64
    view = raw[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    view[...] = array
    view.flags.writeable = False
    return view


@pytest.fixture(scope="session")
def feeds() -> Callable[..., dict[str, np.ndarray]]:
    """Return a maker of feeds for a batch, different for every seed."""

    def make(batch_size: int, seed: int = 0) -> dict[str, np.ndarray]:
        rng = np.random.default_rng(seed)
        return {
            "a": aligned(rng.normal(size=(batch_size, 4)).astype(np.float32)),
            "b": aligned(rng.integers(-9, 9, size=(batch_size, 4))),
        }

    return make


@pytest.fixture(scope="session")
def expected() -> Callable[..., dict[str, np.ndarray]]:
    """Return what the model answers, computed by numpy."""

    def compute(feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        a, b = feeds["a"], feeds["b"]
        return {
            "weighted": np.maximum(a, 0) @ WEIGHTS,
            "mixed": 2 * a - b.astype(np.float32),
            "echo": a,
        }

    return compute


def _torch_module() -> Any:
    import torch

    class Tiny(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weights = torch.nn.Parameter(torch.from_numpy(WEIGHTS.copy()))

        def forward(self, a, b):
            return torch.relu(a) @ self.weights, 2 * a - b, a

    return Tiny().eval(), (torch.zeros(2, 4), torch.zeros(2, 4, dtype=torch.int64))


def _torchscript(folder: Path) -> Path:
    import torch

    module, example = _torch_module()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.trace(module, example).save(str(folder / "tiny.pt"))
    return folder / "tiny.pt"


def _torch_export(folder: Path) -> Path:
    import torch

    module, example = _torch_module()
    batch = torch.export.Dim("batch", min=1, max=64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.export.export(
            module, example, dynamic_shapes=({0: batch}, {0: batch})
        )
        torch.export.save(program, folder / "tiny.pt2")
    return folder / "tiny.pt2"


def _saved_model(folder: Path) -> Path:
    import tensorflow as tf

    class Tiny(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weights = tf.Variable(WEIGHTS)

        # Named so that the signature's alphabetical order is not the declared one.
        @tf.function(
            input_signature=[
                tf.TensorSpec([None, 4], tf.int64, name="b"),
                tf.TensorSpec([None, 4], tf.float32, name="a"),
            ]
        )
        def serve(self, b, a):
            return {
                "weighted": tf.nn.relu(a) @ self.weights,
                "mixed": 2 * a - tf.cast(b, tf.float32),
                "echo": tf.identity(a),
            }

    tiny = Tiny()
    signatures = {"serving_default": tiny.serve.get_concrete_function()}
    tf.saved_model.save(tiny, str(folder / "tiny"), signatures=signatures)
    return folder / "tiny"


def _onnx(folder: Path) -> Path:
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
        "tiny",
        [tensor("b", TensorProto.INT64, 4), tensor("a", TensorProto.FLOAT, 4)],
        [
            tensor(name, TensorProto.FLOAT, width)
            for name, width in zip(OUTPUTS, (3, 4, 4), strict=True)
        ],
        [onnx.numpy_helper.from_array(WEIGHTS, "W")],
    )
    opset = [helper.make_opsetid("", 17)]
    onnx.save(
        helper.make_model(graph, opset_imports=opset, ir_version=9),
        folder / "tiny.onnx",
    )
    return folder / "tiny.onnx"


def _no_model(folder: Path) -> Path:
    return folder


# Case name: hardware type, model's framework, maker of the model file.
CASES = {
    "CPU-torchscript": ("CPU", "Pytorch", _torchscript),
    "CPU-torch-export": ("CPU", "Pytorch", _torch_export),
    "CPU-tensorflow": ("CPU", "Tensorflow", _saved_model),
    "CPU-onnx": ("CPU", "Onnx", _onnx),
    "NULL": ("NULL", "Pytorch", _no_model),
    "GOYA": ("GOYA", "Pytorch", _torchscript),
    "OPENVINO-torchscript": ("OPENVINO", "Pytorch", _torchscript),
    "OPENVINO-torch-export": ("OPENVINO", "Pytorch", _torch_export),
    "OPENVINO-tensorflow": ("OPENVINO", "Tensorflow", _saved_model),
    "OPENVINO-onnx": ("OPENVINO", "Onnx", _onnx),
}


@pytest.fixture(
    scope="session",
    params=[
        pytest.param(name, marks=[] if name == "NULL" else [pytest.mark.frameworks])
        for name in CASES
    ],
)
def case(request, tmp_path_factory) -> Case:
    """One backend with its model, made once."""
    hardware_type, framework, make = CASES[request.param]
    folder = tmp_path_factory.mktemp(request.param)
    if hardware_type == "GOYA":
        shutil.copytree(SUPPORT / "GOYA", folder / "GOYA")
        info = find_backend("goya", folder)
    else:
        info = find_backend(hardware_type)
    model_info = {
        "model": "tiny",
        "framework": framework,
        "model_path": str(make(folder)),
        "model_precision": "FP32",
        "inputs": "a,b",
        "outputs": ",".join(OUTPUTS),
        "input_shape": {"a": [1, 4], "b": [1, 4]},
        "output_shape": {"weighted": [1, 3], "mixed": [1, 4], "echo": [1, 4]},
        "input_type": "FLOAT32,INT64",
    }
    configs = {
        "workload": {"model": "tiny", "batch_sizes": BATCH_SIZES},
        "model_info": model_info,
        "interact_info": {},
    }
    return Case(info=info, configs=configs, computes=hardware_type != "NULL")


@pytest.fixture
def covered_hardware_types() -> set[str]:
    """Hardware types that have a case."""
    return {hardware_type for hardware_type, _, _ in CASES.values()}
