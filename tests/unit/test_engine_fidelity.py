"""Accuracy that selects nothing is an error, not the score of one sample."""

from __future__ import annotations

import numpy as np
import pytest

from bytemlperf.datasets import PreparedSamples
from bytemlperf.engine.fidelity import score_accuracy
from bytemlperf.engine.messages import PreparedTask
from bytemlperf.errors import ConfigError
from bytemlperf.model_zoo import PreparedModel
from bytemlperf.workloads import Workload


def prepared_task(weights="trained"):
    model = PreparedModel(
        name="m", model_path="/m", framework="Onnx", model_format="onnx",
        weights=weights, weights_source="x", weights_sha256="", sha256="", bytes=1,
        parameter_count=1, cached=True,
    )  # fmt: skip
    samples = PreparedSamples(
        folder="", key="k", dataset="d", origin="real", reason=None, count=40,
        unit="images", files={}, rows_per_sample={"x": 1}, subset="", transform="",
        licence="", source_sha256={}, label_files={}, metric="top_k", output_roles={},
        seed=0, parameters={},
    )  # fmt: skip
    return PreparedTask(model=model, model_info={}, samples=samples)


def test_a_share_of_less_than_half_a_sample_is_refused():
    """One percent of 40 images is none; what would be enough is said."""
    workload = Workload(model="m", data_percent=1)
    arrays = {"x": np.zeros((40, 1))}
    with pytest.raises(ConfigError, match="selects none of 40 images") as caught:
        score_accuracy(None, arrays, prepared_task(), workload, None)
    assert caught.value.hint == "at least 1.25 selects one"


def test_seeded_weights_have_no_accuracy():
    """Whatever share is asked for."""
    report = score_accuracy(
        None, {}, prepared_task("seeded"), Workload(model="m", data_percent=1), None
    )
    assert (report.status, report.values) == ("not_meaningful", {})
