"""Both spellings of a model's tensors become the same values."""

from __future__ import annotations

import pytest

from bytemlperf.backends import TensorInfo, tensor_infos
from bytemlperf.errors import ConfigError
from bytemlperf.tensor_spec import TensorSpec

OLD = {
    "inputs": "ids:0, mask:0",
    "input_shape": {"ids:0": [1, 384], "mask:0": [1, 384]},
    "input_type": "LONG,FLOAT32",
    "outputs": "logits",
}


def test_comma_strings():
    """The original benchmark's fields."""
    assert tensor_infos(OLD, "input") == (
        TensorInfo("ids:0", "int64", (1, 384)),
        TensorInfo("mask:0", "float32", (1, 384)),
    )
    assert tensor_infos(OLD, "output") == (TensorInfo("logits"),)


def test_typed_tensors_go_first():
    """Typed tensors know more than the comma strings beside them."""
    typed = {
        **OLD,
        "tensors": [{"name": "ids", "dtype": "int64", "shape": [2, "length"]}],
        "output_tensors": [TensorSpec("logits", "float32", (1, 10))],
    }
    (ids,) = tensor_infos(typed, "input")
    assert ids == TensorInfo("ids", "int64", (2, "length"))
    assert ids.rows_per_sample == 2
    assert ids.batch_shape == [-1, -1]
    assert tensor_infos(typed, "output") == (TensorInfo("logits", "float32", (1, 10)),)


def test_nothing_declared_is_nothing():
    """A description may leave its tensors to the model file."""
    assert tensor_infos({}, "input") == ()


@pytest.mark.parametrize("value", [7, [3]])
def test_nonsense_is_refused(value):
    """The error names the field."""
    with pytest.raises(ConfigError, match=r"model_info\.inputs"):
        tensor_infos({"inputs": value}, "input")
