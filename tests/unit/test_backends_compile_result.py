"""What a vendor returns from compile is checked, and its mistakes are named."""

from __future__ import annotations

import copy

import pytest

from bytemlperf.backends import parse_compile_result
from bytemlperf.errors import CompileError

# The original README's example, with its comments acted upon.
README = {
    "model": "ResNet50",
    "framework": "Tensorflow",
    "compile_precision": "int16_mix",
    "input_type": ["INT16"],
    "max_batch_size": 64,
    "compile_status": "success",
    "sg_percent": 100,
    "segments": [
        {
            "sg_idx": 0,
            "is_fallback": False,
            "input_tensor_map": {"input:0": [-1, 3, 255, 255]},
            "output_tensor_map": {"pred:0": [-1, 1024]},
            "compiled_model": [{"compiled_bs": 1, "compiled_obj": "xxx.obj"}],
        }
    ],
}


def test_readme_example_is_taken():
    """The seed's example loads; what it leaves out has defaults."""
    result = parse_compile_result(README, "GOYA")
    assert result.sg_percent == 100.0
    assert (result.instance_count, result.device_count) == (1, 1)
    assert result.optimizations == {}
    assert result.segments[0].compiled_model[0].compiled_obj == "xxx.obj"


def test_unknown_keys_of_the_result_are_taken():
    """Vendors add keys of their own; the raw result is kept for the report."""
    assert parse_compile_result({**README, "interact_info": {}}, "GOYA")


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("max_batch_size",), 0, "max_batch_size 0; expected >= 1"),
        (("sg_percent",), 120, "sg_percent 120.0; expected 0 to 100"),
        (("segments",), [], "no segments; expected at least one"),
        (("instance_count",), 0, "instance_count 0"),
        (("device_count",), 0, "device_count 0"),
        (("input_type",), "INT16", r"Expected `array`, got `str` - at `\$.input_type`"),
        (("segments", 0, "sg_idx"), "0", r"at `\$.segments\[0\].sg_idx`"),
        (("segments", 0, "extra"), 1, "unknown field `extra`"),
    ],
)
def test_wrong_value_names_its_path(path, value, message):
    """Expected and came, with the path of the field and the vendor's name."""
    raw = copy.deepcopy(README)
    place = raw
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(CompileError, match=message) as error:
        parse_compile_result(raw, "GOYA")
    assert error.value.message.startswith("GOYA.compile returned")


def test_missing_key_is_named():
    """A key of the seed's schema may not be left out."""
    raw = {key: value for key, value in README.items() if key != "compile_status"}
    with pytest.raises(CompileError, match="missing required field `compile_status`"):
        parse_compile_result(raw, "GOYA")


@pytest.mark.parametrize("raw", [None, [], "ok"])
def test_result_must_be_a_dict(raw):
    """Forgetting to return is the commonest mistake."""
    with pytest.raises(CompileError, match="expected a dict"):
        parse_compile_result(raw, "GOYA")
