"""Parts of models: one table, from which come their models and their workloads."""

from __future__ import annotations

from pathlib import Path

import pytest

from bytemlperf.errors import UnknownNameError
from bytemlperf.launch.resume import changed_workload
from bytemlperf.model_zoo import (
    hash_model_info,
    list_models,
    list_substructure_models,
    load_model_info,
)
from bytemlperf.model_zoo.builders import find_architecture
from bytemlperf.substructures import SUBSTRUCTURES
from bytemlperf.workloads import find_workloads, list_ops, list_workloads

KINDS = {"encoder_block", "decoder_block", "convolution", "gru", "lstm"}


def test_every_part_is_a_task_and_a_model_in_both_frameworks() -> None:
    """What the one list names, the other builds; and all kinds are there."""
    assert list_ops() == list_substructure_models()
    assert len(list_ops()) == 2 * len(SUBSTRUCTURES)
    assert {row.kind for row in SUBSTRUCTURES.values()} == KINDS
    for file in find_workloads("ops"):
        info = load_model_info(file.workload.model)
        assert info.model == file.name == file.workload.model
        assert info.builder in SUBSTRUCTURES
        assert file.workload.batch_sizes[0] == 1


def test_blocks_come_at_several_lengths_and_convolutions_in_all_groupings() -> None:
    """Encoders and decoders at four lengths; dense, grouped, depthwise, pointwise."""
    for kind in ("encoder_block", "decoder_block"):
        rows = [row for row in SUBSTRUCTURES.values() if row.kind == kind]
        assert [row.sizes["length"] for row in rows] == [64, 128, 384, 1024]
    convolutions = [r.sizes for r in SUBSTRUCTURES.values() if r.kind == "convolution"]
    assert any(1 < s["groups"] < s["channels_in"] for s in convolutions)
    assert any(s["groups"] == s["channels_in"] for s in convolutions)
    assert any(s["kernel"] == 1 for s in convolutions)


@pytest.mark.parametrize("name", ["encoder_block_s128", "gru_s128", "conv_pointwise"])
def test_a_parts_inputs_are_those_of_its_module(name: str) -> None:
    """Names, order, shapes and types of the description fit what is traced."""
    for framework in ("torch", "onnx"):
        info = load_model_info(f"{name}-{framework}-fp32")
        drawn = find_architecture(name).example(1)
        assert list(drawn) == list(info.input_names)
        for spec in info.tensors:
            assert drawn[spec.name].shape == spec.shape
            assert drawn[spec.name].dtype == spec.dtype


def test_all_is_the_zoo_and_patterns_see_both() -> None:
    """`all` leaves the parts out, `ops` is them alone, a pattern matches either."""
    assert [file.name for file in find_workloads("all")] == list_workloads()
    assert not set(list_ops()) & set(list_workloads())
    assert not set(list_ops()) & set(list_models())
    lstm = [file.name for file in find_workloads("lstm*")]
    assert lstm == ["lstm_s128-onnx-fp32", "lstm_s128-torch-fp32"]
    both = [file.name for file in find_workloads("gru*-onnx-*,bert-onnx-fp32")]
    assert both == ["gru_s128-onnx-fp32", "bert-onnx-fp32"]


def test_a_part_that_does_not_exist_gets_the_nearest_name() -> None:
    """Names of parts are suggested as names of models are."""
    with pytest.raises(UnknownNameError, match="unknown task 'gru_s12-") as it:
        find_workloads("gru_s12-torch-fp32")
    assert "did you mean 'gru_s128-torch-fp32'?" in str(it.value)
    with pytest.raises(UnknownNameError, match="unknown model 'gru_s128-torch-fp16'"):
        load_model_info("gru_s128-torch-fp16")


def test_a_part_is_hashed_by_its_table(tmp_path: Path) -> None:
    """A run that is resumed sees that the table has changed since."""
    (file,) = find_workloads("gru_s128-torch-fp32")
    assert file.sha256 == hash_model_info(file.workload.model)
    assert changed_workload(file) is None
    assert hash_model_info("bert-tf-fp32") != file.sha256
