"""Model files: what loads, what is refused, and with which words."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bytemlperf.errors import ConfigError, UnknownNameError
from bytemlperf.model_zoo import (
    PreparedModel,
    backend_model_info,
    list_models,
    load_model_info,
    parse_model_info,
    plain_name,
)
from bytemlperf.workloads import find_workloads, list_workloads

# As ByteMLPerf ships it: no typed tensors, comma strings, nulls.
LEGACY: dict[str, Any] = {
    "model": "bert-torch-fp32",
    "model_path": "general_perf/model_zoo/regular/open_bert/bert.pt",
    "framework": "Pytorch",
    "framework_version": "1.9.1",
    "model_format": "pt",
    "model_precision": "FP32",
    "inputs": "input_ids.1,attention_mask.1,token_type_ids.1",
    "outputs": "start_logits,end_logits",
    "input_shape": {
        "input_ids.1": [1, 384],
        "attention_mask.1": [1, 384],
        "token_type_ids.1": [1, 384],
    },
    "input_type": "LONG,LONG,LONG",
    "dataset_name": "open_squad",
    "max_batch_size": 64,
}
TYPED = [
    {"name": "input_ids.1", "dtype": "int64", "shape": [1, 384], "low": 0, "high": 9},
    {"name": "attention_mask.1", "dtype": "int64", "shape": [1, 384]},
    {"name": "token_type_ids.1", "dtype": "int64", "shape": [1, 384]},
]


def parse(**changes: Any) -> Any:
    return parse_model_info(json.dumps(LEGACY | changes).encode(), "bert.json")


def test_a_legacy_file_loads_as_it_is() -> None:
    """ByteMLPerf's own fields suffice, and become typed tensors by their names."""
    info = parse()
    assert info.input_names == ("input_ids.1", "attention_mask.1", "token_type_ids.1")
    assert [spec.semantics for spec in info.tensors] == [
        "token_ids",
        "attention_mask",
        "segment_ids",
    ]
    assert {spec.dtype for spec in info.tensors} == {"int64"}
    assert [spec.name for spec in info.output_tensors] == ["start_logits", "end_logits"]


@pytest.mark.parametrize(
    ("name", "shape", "dtype", "meaning"),
    [
        ("images", [1, 3, 640, 640], "FLOAT32", "image"),
        ("input_1.1", [1, 3, 224, 224], "FLOAT32", "image"),
        ("input_tensor:0", [1, 224, 224, 3], "FLOAT32", "image"),
        ("src_pad_mask", [1, 128], "BOOL", "attention_mask"),
        ("new_categorical_placeholder:0", [26, 2], "INT64", "category_pairs"),
        ("new_numeric_placeholder:0", [1, 13], "FLOAT32", "real"),
        ("input_segment:0", [1, 1024], "FLOAT32", "segment_ids"),
        ("timestep", [1], "INT64", "real"),
    ],
)
def test_meaning_is_read_off_the_name(
    name: str, shape: list[int], dtype: str, meaning: str
) -> None:
    """Inputs of every model ByteMLPerf had get the meaning they have."""
    info = parse(inputs=name, input_shape={name: shape}, input_type=dtype)
    assert info.tensors[0].semantics == meaning


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"framework": "Torch"}, r"bert\.json: \$\.framework: Invalid enum value"),
        ({"max_batch_size": 0}, r"\$\.max_batch_size: Expected `int` >= 1"),
        ({"inputs": 3}, r"\$\.inputs: Expected `str`, got `int`"),
        ({"input_shape": {"input_ids.1": "x"}}, r"\$\.input_shape\[.*\]: Expected"),
        ({"input_type": "LONG,LONG"}, r"\$\.input_type names 2 types, .* 3 inputs"),
        ({"input_type": "LONG,LONG,INT7"}, r"\$\.input_type: element 2 is 'INT7'"),
        ({"input_shape": {"input_ids.1": [1]}}, r"no shape for input 'attention_mask"),
        ({"outputs": "a,a"}, r"\$\.outputs repeats a name"),
        ({"tensors": TYPED[:2]}, r"\$\.tensors names .*, but \$\.inputs says"),
        (
            {"tensors": [TYPED[0] | {"dtype": "int32"}, *TYPED[1:]]},
            r"\$\.tensors\[0\]\.dtype is 'int32', but \$\.input_type says 'int64'",
        ),
        (
            {"tensors": [*TYPED[:2], TYPED[2] | {"shape": [1, 128]}]},
            r"\$\.tensors\[2\]\.shape is \(1, 128\), but \$\.input_shape says",
        ),
        (
            {"weights": [{"url": "https://a/b", "bytes": 1, "sha256": "12"}]},
            r"\$\.weights\[0\]\.sha256: Expected `str` matching regex",
        ),
    ],
)
def test_a_wrong_value_is_named_by_its_path(
    changes: dict[str, Any], message: str
) -> None:
    """The error holds the file, the path, what was expected and what came."""
    with pytest.raises(ConfigError, match=message):
        parse(**changes)


@pytest.mark.parametrize("shape", [[], ["batch", 384], [0, 384], [1, -1]])
def test_a_shape_without_rows_is_refused(shape: list[Any]) -> None:
    """Axis 0 says how many rows a sample takes, and nothing is empty."""
    shapes = LEGACY["input_shape"] | {"input_ids.1": shape}
    with pytest.raises(ConfigError, match=r"\$\.input_shape\.input_ids\.1 is"):
        parse(input_shape=shapes)


def test_a_missing_key_is_named() -> None:
    """A file without a framework says so."""
    broken = {key: value for key, value in LEGACY.items() if key != "framework"}
    with pytest.raises(ConfigError, match="missing required field `framework`"):
        parse_model_info(json.dumps(broken).encode(), "bert.json")


def test_an_unknown_key_gets_the_nearest_name() -> None:
    """A typing error is pointed at, in the file and inside a tensor."""
    with pytest.raises(ConfigError, match=r"unknown field \$\.framwork") as top:
        parse(framwork="Pytorch")
    assert "did you mean 'framework'?" in str(top.value)
    inner = [TYPED[0] | {"semantic": "token_ids"}, *TYPED[1:]]
    with pytest.raises(ConfigError, match=r"\$\.tensors\[0\]\.semantic") as deep:
        parse(tensors=inner)
    assert "did you mean 'semantics'?" in str(deep.value)


def test_what_is_not_json_says_so() -> None:
    """A truncated file is refused with its name."""
    with pytest.raises(ConfigError, match=r"bert\.json: expected JSON"):
        parse_model_info(b'{"model": ', "bert.json")


SEED_LIST = {
    "resnet50": ("tf-fp32", "tf-fp16", "torch-fp32", "torch-fp16"),
    "bert": ("tf-fp32", "tf-fp16", "torch-fp32", "torch-fp16"),
    "widedeep": ("tf-fp32",),
    "distilbert": ("tf-fp32",),
    "videobert": ("onnx-fp32",),
    "albert": ("torch-fp32",),
    "roformer": ("tf-fp32",),
    "vit": ("torch-fp32",),
    "yolov5": ("onnx-fp32",),
    "waveglow": ("tf-fp32",),
    "roberta": ("torch-fp32",),
    "xlnet": ("onnx-fp32",),
}
"""The table of the benchmark's first README."""
LATER = {
    "clip-onnx-fp32", "conformer-encoder-onnx-fp32", "deberta-torch-fp32",
    "swin-large-torch-fp32", "unet-onnx-fp32", "vae-encoder-onnx-fp32",
    "vae-decoder-onnx-fp32",
}  # fmt: skip


def test_every_model_is_a_task_and_every_task_has_its_model() -> None:
    """The first list and the later one are there, whole; none is without the other."""
    first = {f"{model}-{end}" for model, ends in SEED_LIST.items() for end in ends}
    assert set(list_workloads()) >= first | LATER
    assert list_models() == list_workloads()
    for file in find_workloads("all"):
        assert file.workload.model == file.name


def test_every_shipped_file_loads_and_is_named_after_itself() -> None:
    """Every model file is complete."""
    names = list_models()
    for name in names:
        info = load_model_info(name)
        assert info.model == name
        assert info.builder
        assert info.parameters
        assert info.source
        assert info.licence
        assert all("..." not in spec.shape for spec in info.output_tensors)
        for spec in info.tensors:
            if spec.semantics in ("image", "token_ids", "category_pairs"):
                assert spec.low is not None
                assert spec.high is not None


def test_an_unknown_model_gets_the_nearest_name() -> None:
    """A name that does not exist lists those that do."""
    with pytest.raises(UnknownNameError, match="unknown model 'restnet50") as it:
        load_model_info("restnet50-tf-fp32")
    assert "did you mean 'resnet50-tf-fp32'?" in str(it.value)


def test_a_path_is_read_and_its_absence_told(tmp_path: Path) -> None:
    """A user's own file is found by path."""
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(LEGACY))
    assert load_model_info(path).model == "bert-torch-fp32"
    assert load_model_info(str(path)).framework == "Pytorch"
    with pytest.raises(ConfigError, match=r"cannot read model .*none\.json: No such"):
        load_model_info(tmp_path / "none.json")


def test_a_backend_is_told_the_legacy_keys_and_the_real_path() -> None:
    """`model_info` keeps ByteMLPerf's keys and types, and crosses a pipe."""
    info = load_model_info("bert-tf-fp32")
    prepared = PreparedModel(
        name=info.model,
        model_path="/models/saved_model",
        framework=info.framework,
        model_format=info.model_format,
        weights="seeded",
        weights_source="seed 0",
        weights_sha256="",
        sha256="ab",
        bytes=1,
        parameter_count=None,
        cached=False,
    )
    told = backend_model_info(info, prepared)
    assert told["model_path"] == "/models/saved_model"
    assert told["inputs"] == "input_ids:0,input_mask:0,segment_ids:0"
    assert told["outputs"] == "logits:0"
    assert told["input_type"] == "INT32,INT32,INT32"
    assert told["input_shape"]["input_ids:0"] == [1, 384]
    assert told["weights"] == "seeded"
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(told)) == told
    assert backend_model_info(info, None)["model_path"] == ""
    assert (
        msgspec.msgpack.decode(msgspec.msgpack.encode(prepared), type=PreparedModel)
        == prepared
    )


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("input_ids:0", "input_ids"),
        ("input_ids.1", "input_ids"),
        (
            "import/head/predictions/probabilities:0",
            "import/head/predictions/probabilities",
        ),
        ("output_0", "output_0"),
        ("345", "345"),
    ],
)
def test_plain_names_drop_the_decoration_only(name: str, plain: str) -> None:
    """What a framework adds to a name goes, what is part of it stays."""
    assert plain_name(name) == plain


def test_importing_the_zoo_imports_no_framework() -> None:
    """Any process may list and load models."""
    code = (
        "import sys, bytemlperf.model_zoo as zoo; zoo.load_model_info('bert-tf-fp32');"
        "loaded = {'torch', 'tensorflow', 'keras', 'onnx', 'transformers'} &"
        " set(sys.modules); sys.exit(','.join(loaded) or 0)"
    )
    root = Path(__file__).parents[2]
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root)
