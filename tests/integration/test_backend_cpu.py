"""The CPU backend under the real frameworks, where they differ from each other."""

from __future__ import annotations

import gc
import threading
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bytemlperf.backends import create_backend, find_backend, parse_compile_result
from bytemlperf.errors import CompileError, PredictError

pytestmark = pytest.mark.frameworks


def read_only(array: np.ndarray, offset: int = 0) -> np.ndarray:
    """Copy to read-only memory that starts `offset` bytes past a 64-byte boundary."""
    raw = np.zeros(array.nbytes + 128, np.uint8)
    start = -raw.ctypes.data % 64 + offset
    view = raw[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    view[...] = array
    view.flags.writeable = False
    return view


def compiled(framework: str, path: Path, inputs: str, outputs: str, **interact: Any):
    """Return a CPU backend with a model, and its checked compile result."""
    backend = create_backend(find_backend("CPU"))
    raw = backend.compile(
        {
            "workload": {"model": "m", "batch_sizes": [1, 4]},
            "model_info": {
                "model": "m",
                "framework": framework,
                "model_path": str(path),
                "inputs": inputs,
                "outputs": outputs,
            },
            "interact_info": interact,
        }
    )
    backend.load(4)
    return backend, parse_compile_result(raw, "CPU")


def save_torchscript(module: Any, path: Path, *example: Any) -> Path:
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.trace(module.eval(), example).save(str(path))
    return path


def save_onnx(path: Path, nodes: list, inputs: dict, outputs: dict, *weights: Any):
    """Save a graph; inputs and outputs are name to (numpy dtype, shape)."""
    from onnx import helper, numpy_helper, save

    def infos(tensors: dict) -> list:
        return [
            helper.make_tensor_value_info(
                name, helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), shape
            )
            for name, (dtype, shape) in tensors.items()
        ]

    initializers = [numpy_helper.from_array(array, name) for name, array in weights]
    graph = helper.make_graph(
        [helper.make_node(*node) for node in nodes],
        "g",
        infos(inputs),
        infos(outputs),
        initializers,
    )
    opset = [helper.make_opsetid("", 17)]
    save(helper.make_model(graph, opset_imports=opset, ir_version=9), path)
    return path


def save_saved_model(path: Path, function: Any, *specs: Any, **variables: Any) -> Path:
    import tensorflow as tf

    module = tf.Module()
    for name, value in variables.items():
        setattr(module, name, value)
    module.serve = tf.function(function, input_signature=specs, autograph=False)
    signatures = {"serving_default": module.serve.get_concrete_function()}
    tf.saved_model.save(module, str(path), signatures=signatures)
    return path


def test_torch_inputs_that_are_written_to_are_copied(tmp_path):
    """A model that works in place must not reach the pool's memory."""
    import torch

    class InPlace(torch.nn.Module):
        def forward(self, x):
            view = x.view(-1)
            view.add_(1)
            return x * 2

    path = save_torchscript(InPlace(), tmp_path / "m.pt", torch.zeros(4, 2))
    backend, result = compiled("Pytorch", path, "x", "y")
    assert result.optimizations["zero_copy_inputs"] is False
    x = read_only(np.ones((4, 2), np.float32))
    np.testing.assert_array_equal(backend.predict({"x": x})["y"], np.full((4, 2), 4))
    np.testing.assert_array_equal(x, np.ones((4, 2)))
    assert backend.get_copied_inputs() == (1, x.nbytes)


def test_torch_sees_inputs_in_place(tmp_path):
    """No copy is made of inputs that are only read."""
    import torch

    class Same(torch.nn.Module):
        def forward(self, x):
            return x + 0

    path = save_torchscript(Same(), tmp_path / "m.pt", torch.zeros(4, 2))
    backend, result = compiled("Pytorch", path, "x", "y")
    assert result.optimizations["zero_copy_inputs"] is True
    seen = []
    program = backend._runtime._program
    call = program.call
    program.call = lambda x: (seen.append(x.data_ptr()), call(x))[1]
    x = read_only(np.ones((4, 2), np.float32))
    backend.predict({"x": x})
    assert seen == [x.ctypes.data]


def test_torch_arguments_are_matched_by_their_names(tmp_path):
    """A description in another order than ``forward`` is no mistake."""
    import torch

    class Difference(torch.nn.Module):
        def forward(self, left, right):
            return left - right

    path = save_torchscript(
        Difference(), tmp_path / "m.pt", torch.zeros(4, 1), torch.zeros(4, 1)
    )
    data = {
        "right": np.full((4, 1), 1, np.float32),
        "left": np.full((4, 1), 5, np.float32),
    }
    backend, _ = compiled("Pytorch", path, "right,left", "y")
    assert (backend.predict(data)["y"] == 4).all()
    # Names that the module does not know: the description's order is all there is.
    backend, _ = compiled("Pytorch", path, "a,b", "y")
    renamed = {"b": data["right"], "a": data["left"]}
    assert (backend.predict(renamed)["y"] == 4).all()


def test_torch_graph_is_optimised_and_counted(tmp_path):
    """Batch norms fold into convolutions; the outputs stay within fp32 noise."""
    import torch

    torch.manual_seed(0)
    module = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3, padding=1, bias=False),
        torch.nn.BatchNorm2d(8),
        torch.nn.ReLU(inplace=True),
    ).eval()
    x = torch.randn(4, 3, 8, 8)
    path = save_torchscript(module, tmp_path / "m.pt", x)
    backend, result = compiled("Pytorch", path, "x", "y")
    assert result.optimizations["op_count"] == 3
    assert result.sg_percent == 100
    assert backend.get_op_placement() == {
        "CPU": {"aten::_convolution": 1, "aten::batch_norm": 1, "aten::relu_": 1}
    }
    assert result.compile_precision == "fp32"
    assert "freeze" in result.optimizations["graph_optimization_level"]
    with torch.no_grad():
        expected = module(x).numpy()
    answer = backend.predict({"x": read_only(x.numpy())})["y"]
    np.testing.assert_allclose(answer, expected, atol=1e-6)


def test_torch_half_precision_is_named(tmp_path):
    """What the weights are stored in is what is reported."""
    import torch

    module = torch.nn.Linear(4, 2).half()
    path = save_torchscript(module, tmp_path / "m.pt", torch.zeros(4, 4).half())
    backend, result = compiled("Pytorch", path, "x", "y")
    assert result.compile_precision == "fp16"
    answer = backend.predict({"x": read_only(np.ones((4, 4), np.float16))})
    assert answer["y"].dtype == np.float16


def test_torch_file_of_another_kind_is_refused(tmp_path):
    """A state dict is no model; the error says what is."""
    import torch

    torch.save({"w": torch.zeros(1)}, tmp_path / "m.pt")
    with pytest.raises(CompileError, match="is not TorchScript"):
        compiled("Pytorch", tmp_path / "m.pt", "x", "y")
    (tmp_path / "m.pt2").write_bytes(b"nonsense")
    with pytest.raises(CompileError, match=r"is not a torch\.export program"):
        compiled("Pytorch", tmp_path / "m.pt2", "x", "y")


def test_torch_number_of_tensors_must_be_right(tmp_path):
    """Too many inputs are found at compile time, too many outputs at predict."""
    import torch

    class Two(torch.nn.Module):
        def forward(self, x):
            return x + 1, x + 2

    path = save_torchscript(Two(), tmp_path / "m.pt", torch.zeros(4, 1))
    with pytest.raises(CompileError, match="takes 1 inputs, described are 2"):
        compiled("Pytorch", path, "x,z", "a,b")
    backend, _ = compiled("Pytorch", path, "x", "a")
    with pytest.raises(PredictError, match="answers with 2 tensors"):
        backend.predict({"x": read_only(np.zeros((4, 1), np.float32))})


def test_onnx_pruned_input_may_be_fed(tmp_path):
    """An exporter drops what nothing reads; the dataset goes on feeding it."""
    path = save_onnx(
        tmp_path / "m.onnx",
        [("Add", ["ids", "ids"], ["y"])],
        {"ids": ("float32", ["n", 2])},
        {"y": ("float32", ["n", 2])},
    )
    backend, result = compiled("Onnx", path, "segment_ids,ids", "y")
    ids = read_only(np.ones((4, 2), np.float32))
    answer = backend.predict({"segment_ids": ids, "ids": ids})
    assert (answer["y"] == 2).all()
    assert list(result.segments[0].input_tensor_map) == ["ids"]
    with pytest.raises(PredictError, match="input 'ids' is missing"):
        backend.predict({"segment_ids": ids})


def test_onnx_may_have_outputs_that_nobody_wants(tmp_path):
    """Only the declared outputs are computed and returned."""
    path = save_onnx(
        tmp_path / "m.onnx",
        [("Relu", ["x"], ["hidden"]), ("Neg", ["hidden"], ["y"])],
        {"x": ("float32", ["n", 2])},
        {"hidden": ("float32", ["n", 2]), "y": ("float32", ["n", 2])},
    )
    backend, _ = compiled("Onnx", path, "x", "y")
    assert set(backend.predict({"x": np.ones((4, 2), np.float32)})) == {"y"}
    with pytest.raises(CompileError, match="outputs of the ONNX graph do not match"):
        compiled("Onnx", path, "x", "y,z")


def test_static_batch_is_found_and_kept_to(tmp_path):
    """A graph exported for two samples says so, whatever is asked for."""
    path = save_onnx(
        tmp_path / "m.onnx",
        [("Relu", ["x"], ["y"])],
        {"x": ("float32", [2, 3])},
        {"y": ("float32", [2, 3])},
    )
    backend, result = compiled("Onnx", path, "x", "y")
    assert backend.get_loaded_batch_size() == 2
    assert result.max_batch_size == 2
    assert result.segments[0].compiled_model[0].compiled_bs == 2


def test_onnx_instances_have_sessions_of_their_own(tmp_path):
    """Two calls at once do not share a session's threads."""
    weights = np.eye(64, dtype=np.float32)
    path = save_onnx(
        tmp_path / "m.onnx",
        [("MatMul", ["x", "W"], ["y"])],
        {"x": ("float32", ["n", 64])},
        {"y": ("float32", ["n", 64])},
        ("W", weights),
    )
    backend, result = compiled(
        "Onnx", path, "x", "y", instance_count=2, intra_op_threads=1
    )
    assert result.instance_count == 2
    assert backend._runtime._sessions.qsize() == 2
    wrong = []

    def client(seed: int) -> None:
        x = np.random.default_rng(seed).random((4, 64), np.float32)
        answers = [backend.predict({"x": x})["y"] for _ in range(50)]
        wrong.extend(seed for y in answers if not np.array_equal(y, x))

    threads = [threading.Thread(target=client, args=(seed,)) for seed in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert wrong == []
    assert backend._runtime._sessions.qsize() == 2


def test_onnx_precision_is_read_from_the_weights(tmp_path):
    """Half-precision weights are computed with in fp32: a mix."""
    path = save_onnx(
        tmp_path / "m.onnx",
        [("MatMul", ["x", "W"], ["y"])],
        {"x": ("float16", ["n", 4])},
        {"y": ("float16", ["n", 4])},
        ("W", np.eye(4, dtype=np.float16)),
    )
    assert compiled("Onnx", path, "x", "y")[1].compile_precision == "fp16_mix"


def test_onnx_file_of_another_kind_is_refused(tmp_path):
    """What ONNX Runtime said is in the error."""
    (tmp_path / "m.onnx").write_bytes(b"nonsense")
    with pytest.raises(CompileError, match="ONNX Runtime cannot load"):
        compiled("Onnx", tmp_path / "m.onnx", "x", "y")


def test_tensorflow_copies_misaligned_inputs(tmp_path):
    """Misaligned memory aborts TensorFlow's process: it has to be copied."""
    import tensorflow as tf

    spec = tf.TensorSpec([None, 2], tf.float32, name="x")
    path = save_saved_model(tmp_path / "m", lambda x: {"y": x * 2}, spec)
    backend, _ = compiled("Tensorflow", path, "x:0", "y:0")
    for offset in (0, 4, 32):
        x = read_only(np.ones((4, 2), np.float32), offset)
        assert (backend.predict({"x:0": x})["y:0"] == 2).all()


def test_tensorflow_types_that_cannot_be_lent_are_copied(tmp_path):
    """Booleans are lent; an empty batch and text are copied."""
    import tensorflow as tf

    specs = [
        tf.TensorSpec([None], tf.string, name="text"),
        tf.TensorSpec([None], tf.bool, name="mask"),
    ]
    path = save_saved_model(
        tmp_path / "m",
        lambda text, mask: {"y": tf.strings.length(text), "z": tf.logical_not(mask)},
        *specs,
    )
    backend, _ = compiled("Tensorflow", path, "text,mask", "y,z")
    text = np.array([b"a", b"bcd"], dtype=object)
    answer = backend.predict({"mask": read_only(np.array([True, False])), "text": text})
    np.testing.assert_array_equal(answer["y"], [1, 3])
    np.testing.assert_array_equal(answer["z"], [False, True])
    empty = {"mask": np.zeros(0, bool), "text": text[:0]}
    assert backend.predict(empty)["y"].shape == (0,)


def test_tensorflow_variables_become_constants(tmp_path):
    """Weights are frozen at compile time, counted and named."""
    import tensorflow as tf

    weights = tf.Variable(np.eye(2, dtype=np.float32) * 3)
    spec = tf.TensorSpec([None, 2], tf.float32, name="x")
    path = save_saved_model(
        tmp_path / "m",
        lambda x: {"y": tf.nn.relu(x @ weights)},
        spec,
        weights=weights,
    )
    backend, result = compiled("Tensorflow", path, "x", "y")
    assert result.compile_precision == "fp32"
    assert result.optimizations["op_count"] == 2
    assert backend.get_op_placement() == {"CPU": {"MatMul": 1, "Relu": 1}}
    assert result.optimizations["graph_optimization_level"] == "freeze, grappler"
    x = read_only(np.ones((4, 2), np.float32))
    assert (backend.predict({"x": x})["y"] == 3).all()


def test_tensorflow_keeps_the_variables_of_a_large_model(tmp_path, monkeypatch):
    """Too large to freeze: it runs on its variables, which must stay alive."""
    import tensorflow as tf

    from bytemlperf.backends.runtimes import saved_model

    monkeypatch.setattr(saved_model, "MAX_FROZEN_BYTES", 15)
    weights = tf.Variable(np.eye(2, dtype=np.float32) * 3)
    spec = tf.TensorSpec([None, 2], tf.float32, name="x")
    path = save_saved_model(
        tmp_path / "m", lambda x: {"y": x @ weights}, spec, weights=weights
    )
    backend, result = compiled("Tensorflow", path, "x", "y")
    gc.collect()
    assert result.optimizations["graph_optimization_level"] == "grappler"
    assert "16 bytes" in result.optimizations["graph_optimization_refused"]
    x = read_only(np.ones((4, 2), np.float32))
    assert (backend.predict({"x": x})["y"] == 3).all()


def test_tensorflow_says_that_its_threads_are_fixed(tmp_path):
    """A running TensorFlow keeps its pools: the report must not claim otherwise."""
    import tensorflow as tf

    spec = tf.TensorSpec([None, 2], tf.float32, name="x")
    path = save_saved_model(tmp_path / "m", lambda x: {"y": x}, spec)
    _, result = compiled("Tensorflow", path, "x", "y", intra_op_threads=7)
    warning = " ".join(result.optimizations["warnings"])
    assert "oversubscribed: 1 instances x 7 threads" in warning
    assert "TensorFlow keeps" in warning


def test_tensorflow_needs_a_signature(tmp_path):
    """A folder without one, and a folder that is none, are told apart."""
    import tensorflow as tf

    with pytest.raises(CompileError, match="is not a SavedModel folder"):
        compiled("Tensorflow", tmp_path, "x", "y")
    tf.saved_model.save(tf.Module(), str(tmp_path / "m"))
    with pytest.raises(CompileError, match="expected a signature 'serving_default'"):
        compiled("Tensorflow", tmp_path / "m", "x", "y")
