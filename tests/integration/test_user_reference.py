"""What a model that was brought along is held against: small models of each kind."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import msgspec
import numpy as np
import pytest

from bytemlperf.datasets import ModelHints, prepare_samples
from bytemlperf.engine.reference_file import prepare_reference
from bytemlperf.engine.user_reference import UserReference, open_user_reference
from bytemlperf.model_zoo import parse_model_info, prepare_model

pytestmark = [
    pytest.mark.frameworks,
    # Tracing still works, and is what people bring along.
    pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning"),
]

ROWS = np.random.default_rng(3).standard_normal((5, 4)).astype(np.float32)
MATRIX = np.random.default_rng(4).standard_normal((4, 3)).astype(np.float32)


def describe(framework: str, kind: str) -> object:
    body = {
        "model": "mine",
        "framework": framework,
        "model_format": kind,
        "model_precision": "FP32",
        "inputs": "x",
        "outputs": "y",
        "input_shape": {"x": [1, 4]},
        "input_type": "FLOAT32",
    }
    return parse_model_info(msgspec.json.encode(body), "mine.json")


ONNX = ("Onnx", "onnx")
TORCH = ("Pytorch", "pt")


def write_onnx(path: Path, nodes: list, domains: dict[str, int] | None = None) -> Path:
    from onnx import TensorProto, helper, numpy_helper, save

    graph = helper.make_graph(
        nodes,
        "mine",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3])],
        [numpy_helper.from_array(MATRIX, "w")],
    )
    opsets = {"": 17} | (domains or {})
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid(name, v) for name, v in opsets.items()],
        ir_version=8,
    )
    save(model, path)
    return path


def gelu_nodes() -> list:
    """Make y = gelu(x w), with a constant and a cast that would narrow."""
    from onnx import TensorProto, helper

    node = helper.make_node
    return [
        node("MatMul", ["x", "w"], ["a"]),
        node("Constant", [], ["root"], value_float=float(np.sqrt(2))),
        node("Div", ["a", "root"], ["b"]),
        node("Erf", ["b"], ["c"]),
        node("Cast", ["c"], ["d"], to=TensorProto.FLOAT),
        node("Constant", [], ["one"], value_floats=[1.0]),
        node("Add", ["d", "one"], ["e"]),
        node("Mul", ["a", "e"], ["y"]),
    ]


def gelu(x: np.ndarray) -> np.ndarray:
    from math import erf

    a = x.astype(np.float64) @ MATRIX.astype(np.float64)
    # The constant was stored in float32.
    b = a / np.float64(np.float32(np.sqrt(2)))
    return a * (1 + np.vectorize(erf)(b))


def opened(kind: tuple[str, str], path: Path) -> UserReference:
    found = open_user_reference(describe(*kind), path, {"x": ROWS[:1]})
    assert isinstance(found, UserReference), found
    return found


def test_an_onnx_model_is_run_in_float64(tmp_path: Path) -> None:
    """Weights, constants and casts are widened: only float64's rounding is left."""
    found = opened(ONNX, write_onnx(tmp_path / "m.onnx", gelu_nodes()))
    assert found.words == "float64 by ONNX's reference operators, the same file"
    y = found.run({"x": ROWS})["y"]
    assert y.dtype == np.float64
    assert np.abs(y - gelu(ROWS)).max() < 1e-14


def test_an_operator_that_rounds_to_float32_is_named(tmp_path: Path) -> None:
    """ONNX's own error function does; ours, which takes its place, does not."""
    import onnx
    from onnx.reference import ReferenceEvaluator

    from bytemlperf.engine import onnx_double

    model = onnx_double.DoubleModel(write_onnx(tmp_path / "m.onnx", gelu_nodes()))
    feeds = {"x": ROWS.astype(np.float64)}
    assert model.narrowing_operators(feeds) == []
    model._evaluator = ReferenceEvaluator(
        onnx_double.promote(onnx.load(tmp_path / "m.onnx"))
    )
    assert model.narrowing_operators(feeds) == ["Erf"]


def test_an_operator_of_a_runtime_s_own_is_run_by_it_in_float32(tmp_path: Path) -> None:
    """And the report's words say so, and why."""
    from onnx import helper

    nodes = [helper.make_node("FusedMatMul", ["x", "w"], ["y"], domain="com.microsoft")]
    path = write_onnx(tmp_path / "m.onnx", nodes, {"com.microsoft": 1})
    found = opened(ONNX, path)
    assert found.words.startswith("ONNX Runtime, float32, unoptimised (float64 cannot")
    y = found.run({"x": ROWS})["y"]
    assert y.dtype == np.float32
    assert np.abs(y - ROWS @ MATRIX).max() < 1e-5


def test_reference_operators_that_are_wrong_are_not_believed(
    tmp_path: Path, monkeypatch
) -> None:
    """Nobody could say which of the two is right: the runtime's answer is named."""
    from bytemlperf.engine import user_reference

    monkeypatch.setattr(
        user_reference.DoubleModel,
        "run",
        lambda self, feeds: {"y": 2 * gelu(feeds["x"])},
    )
    found = opened(ONNX, write_onnx(tmp_path / "m.onnx", gelu_nodes()))
    assert "agree with it to 6 dB only" in found.words
    assert found.run({"x": ROWS})["y"].dtype == np.float32


def test_a_file_that_nothing_runs_has_no_reference(tmp_path: Path) -> None:
    """The backend's own error follows when it compiles it."""
    path = tmp_path / "m.onnx"
    path.write_bytes(b"no model")
    found = open_user_reference(describe(*ONNX), path, {"x": ROWS[:1]})
    assert isinstance(found, str)
    assert "ONNX Runtime does not run the file" in found


def save_torch(path: Path, forward) -> Path:
    import torch

    class Mine(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = torch.nn.Parameter(torch.from_numpy(MATRIX))

        def forward(self, x):
            return forward(torch, x, self.w)

    module = Mine().eval()
    torch.jit.save(torch.jit.trace(module, torch.from_numpy(ROWS)), path)
    return path


def test_a_torchscript_module_is_run_in_float64(tmp_path: Path) -> None:
    """Its parameters and its inputs are widened."""
    path = save_torch(tmp_path / "m.pt", lambda torch, x, w: torch.tanh(x @ w))
    found = opened(TORCH, path)
    assert (
        found.words
        == "float64 parameters and inputs, the same TorchScript, unoptimised"
    )
    y = found.run({"x": ROWS})["y"]
    expected = np.tanh(ROWS.astype(np.float64) @ MATRIX.astype(np.float64))
    assert np.abs(y - expected).max() < 1e-14


def test_casts_that_a_module_makes_itself_are_counted(tmp_path: Path) -> None:
    """What they round stays rounded, and the words say so."""
    path = save_torch(
        tmp_path / "m.pt", lambda torch, x, w: x.to(torch.float16).double() @ w.double()
    )
    assert opened(TORCH, path).words.endswith(
        "1 of its own casts to less are left as they are"
    )


def test_a_module_that_answers_in_float32_has_no_reference(tmp_path: Path) -> None:
    """Neither has one that float64 breaks; both say which."""
    info = describe(*TORCH)
    path = save_torch(tmp_path / "a.pt", lambda torch, x, w: (x @ w).to(torch.float32))
    found = open_user_reference(info, path, {"x": ROWS[:1]})
    assert found == (
        "no reference: the TorchScript module answers in float32 even with float64 "
        "parameters (y)"
    )
    path = save_torch(tmp_path / "b.pt", lambda torch, x, w: x.to(torch.float32) @ w)
    found = open_user_reference(info, path, {"x": ROWS[:1]})
    assert isinstance(found, str)
    assert "does not run in float64: RuntimeError" in found


@pytest.mark.parametrize(
    ("kind", "name"),
    [(("Tensorflow", "saved_model"), "m"), (TORCH, "m.pt2")],
)
def test_formats_with_fixed_precisions_have_none(kind, name, tmp_path: Path) -> None:
    """They say so without being opened."""
    found = open_user_reference(describe(*kind), tmp_path / name, {"x": ROWS[:1]})
    assert isinstance(found, str)
    assert found.startswith("no reference: a ")


def test_it_is_computed_once(tmp_path: Path) -> None:
    """The second task finds the file, its words and its count in the cache."""
    info = describe(*ONNX)
    path = write_onnx(tmp_path / "m.onnx", gelu_nodes())
    model = prepare_model(info, tmp_path / "models", model_path=path)
    samples = prepare_samples(
        None,
        specs=info.tensors,
        model=ModelHints(model="mine", framework="Onnx"),
        cache_dir=tmp_path / "samples",
        data_root=None,
        max_samples=4,
        seed=0,
    )
    told: list[str] = []
    emitter = SimpleNamespace(
        phase=lambda name, seconds, detail="": told.append(name),
        progress=lambda done, total, text="": None,
    )
    first, second = (
        prepare_reference(info, model, samples, tmp_path, emitter, wanted=16)
        for _ in range(2)
    )
    assert first == second
    assert told == ["prepare reference"]
    assert first.sample_count == 4
    with np.load(first.path) as stored:
        assert stored["y"].shape == (4, 3)
        assert stored["y"].dtype == np.float64
