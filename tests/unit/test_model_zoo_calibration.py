"""What a quantised model's activations are measured with."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np

from bytemlperf.model_zoo import CalibrationSamples, load_model_info
from bytemlperf.model_zoo.calibration import is_calibrated, with_examples


def test_samples_take_the_place_of_drawn_examples() -> None:
    """In order, wrapping round; everything else is the architecture's."""
    info = load_model_info("resnet50-onnx-int8")
    architecture = SimpleNamespace(
        example=lambda batch_size, seed=0: {"pixels": np.zeros((batch_size, 1))},
        source_modules=("somewhere",),
    )
    samples = CalibrationSamples(
        key="k", inputs={"input_1": np.arange(5, dtype=np.float32).reshape(5, 1)}
    )
    sampled = with_examples(info, cast(Any, architecture), samples)
    assert sampled.example(2)["pixels"].tolist() == [[0], [1]]
    assert sampled.example(2, seed=1)["pixels"].tolist() == [[2], [3]]
    assert sampled.example(2, seed=2)["pixels"].tolist() == [[4], [0]]
    assert sampled.source_modules == ("somewhere",)


def test_only_pictures_are_measured_beforehand() -> None:
    """BERT's products are quantised while it runs."""
    assert is_calibrated(load_model_info("resnet50-onnx-int8"))
    assert not is_calibrated(load_model_info("resnet50-onnx-fp32"))
    assert not is_calibrated(load_model_info("bert-onnx-int8"))
