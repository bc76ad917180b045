"""The CPU backend's own rules, where they need no framework."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from bytemlperf.backends import TensorInfo, create_backend, find_backend
from bytemlperf.backends.runtimes.binding import bind, feed
from bytemlperf.backends.runtimes.runtime import fixed_batch, precision_name
from bytemlperf.errors import CompileError, LoadError, PredictError


def test_names_pair_whatever_their_order():
    """TensorFlow's output numbers are no part of a name."""
    assert bind(["ids:0", "mask"], ["mask", "ids"], "input") == {
        "mask": "mask",
        "ids": "ids:0",
    }


def test_single_tensors_pair_whatever_their_names():
    """One on each side leaves no other choice."""
    assert bind(["images:0"], ["input_1"], "input") == {"input_1": "images:0"}


def test_undeclared_names_are_the_graphs():
    """A description without tensors takes the model file's."""
    assert bind([], ["x", "y"], "input") == {"x": "x", "y": "y"}


def test_declared_name_may_be_pruned_only_where_allowed():
    """An exporter drops inputs that nothing reads; outputs are never dropped."""
    assert bind(["a", "b"], ["b"], "input", may_lack=True) == {"b": "b"}
    with pytest.raises(CompileError, match="outputs do not match") as error:
        bind(["a", "b"], ["b"], "outputs")
    assert error.value.detail == "graph: b; description: a, b"


def test_undescribed_graph_input_is_an_error():
    """A graph input that nobody will feed is found at compile time."""
    with pytest.raises(CompileError, match="inputs do not match"):
        bind(["a", "b"], ["a", "c"], "inputs", may_lack=True)


def test_missing_feed_is_named():
    """The error says what is missing and what came."""
    data = {"ids:0": np.zeros(1), "mask": np.ones(1)}
    assert feed(data, "mask") is data["mask"]
    assert feed(data, "ids") is data["ids:0"]
    with pytest.raises(PredictError, match=r"'type' is missing; .*ids:0, mask"):
        feed(data, "type")


def test_precision_is_what_most_weights_are_in():
    """Index tables and step counters do not decide it."""
    assert precision_name({"float32": 400, "int64": 8000}) == "fp32"
    assert precision_name({"float16": 400, "float32": 8}) == "fp16"
    assert precision_name({}) == "none"


def test_fixed_batch_counts_rows_per_sample():
    """A sample may take several rows of an input."""
    pairs = TensorInfo("pairs", "int64", (26, 2))
    assert fixed_batch({"pairs": 52}, (pairs,)) == 2
    assert fixed_batch({"pairs": None}, (pairs,)) is None
    assert fixed_batch({"x": 8}, ()) == 8


def test_version_names_frameworks_without_importing_them():
    """Asking for the version is cheap."""
    before = set(sys.modules)
    assert create_backend(find_backend("CPU")).version().startswith("CPU (")
    assert not {"torch", "tensorflow", "onnxruntime"} & (set(sys.modules) - before)


def configs(path: Path | None, framework: str = "Pytorch") -> dict:
    model_info = {
        "model": "m",
        "framework": framework,
        "model_path": path and str(path),
    }
    return {"workload": {}, "model_info": model_info, "interact_info": {}}


def test_missing_model_file_is_named(tmp_path):
    """The path that was looked for is in the error."""
    backend = create_backend(find_backend("CPU"))
    with pytest.raises(CompileError, match=r"model_path: expected a file.*gone\.pt"):
        backend.compile(configs(tmp_path / "gone.pt"))
    with pytest.raises(CompileError, match="came None"):
        backend.compile(configs(None))


def test_unknown_framework_is_named(tmp_path):
    """Frameworks that exist are in the error."""
    backend = create_backend(find_backend("CPU"))
    with pytest.raises(CompileError, match="Tensorflow or Onnx, came 'Caffe'"):
        backend.compile(configs(tmp_path, "Caffe"))


def test_calls_before_compile_are_errors():
    """Nothing answers before there is a model."""
    backend = create_backend(find_backend("CPU"))
    with pytest.raises(LoadError, match="before compile"):
        backend.load(1)
    with pytest.raises(PredictError, match="before compile"):
        backend.predict({})
