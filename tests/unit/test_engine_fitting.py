"""Queries fitted to the batch size a backend loaded."""

from __future__ import annotations

import numpy as np
import pytest

from bytemlperf.backends import Backend
from bytemlperf.engine.calibration import CalibrationData
from bytemlperf.engine.fitting import FittedPredict, check_outputs
from bytemlperf.errors import PredictError


class Doubler(Backend):
    """Answers ``2 * x`` for exactly one batch size, and counts its calls."""

    def __init__(self, batch_size: int) -> None:
        super().__init__()
        self.hardware_type = "DOUBLER"
        self.batch_size = batch_size
        self.calls: list[int] = []

    def predict(self, data):
        self.calls.append(len(data["x"]))
        assert len(data["x"]) == self.batch_size
        return {"y": data["x"] * 2}


def fitted(batch_size: int, rows: int = 1) -> tuple[Doubler, FittedPredict]:
    backend = Doubler(batch_size * rows)
    predict = FittedPredict(
        backend,
        rows_per_sample={"x": rows},
        output_names=("y",),
        loaded_batch_size=batch_size,
    )
    return backend, predict


@pytest.mark.parametrize("count", [1, 3, 4, 7, 8])
@pytest.mark.parametrize("rows", [1, 26])
def test_any_count_gets_its_own_answers(count, rows):
    """Splitting and padding never show in the answers."""
    backend, predict = fitted(4, rows)
    x = np.arange(count * rows * 2, dtype=np.float32).reshape(count * rows, 2)

    outputs = predict({"x": x})

    np.testing.assert_array_equal(outputs["y"], x * 2)
    assert len(backend.calls) == predict.predict_count(count)


def test_equal_sizes_pass_through_untouched():
    """The timed path adds nothing when the sizes agree."""
    backend, predict = fitted(2)

    outputs = predict.checked({"x": np.ones((2, 1), np.float32)})

    assert outputs["y"].shape == (2, 1)
    assert backend.calls == [2]


@pytest.mark.parametrize(
    ("outputs", "complaint"),
    [
        ([np.zeros(2)], "returned list, expected a dict"),
        ({}, "left out y; it returned nothing"),
        ({"z": np.zeros(2)}, "left out y; it returned z"),
        ({"y": [0, 0]}, "output 'y' is list, expected a numpy array"),
        ({"y": np.float32(1)}, "output 'y' is float32"),
        ({"y": np.zeros(3)}, r"shape \(3,\), expected a multiple of 2"),
        ({"y": np.zeros((0, 4))}, r"shape \(0, 4\), expected a multiple of 2"),
    ],
)
def test_wrong_answers_are_named(outputs, complaint):
    """A vendor reads what was wrong, not a traceback from a later stage."""
    with pytest.raises(PredictError, match=complaint):
        check_outputs(outputs, 2, ("y",), "GOYA")


def test_a_raising_predict_keeps_its_cause():
    """The vendor's own exception stays in the chain."""

    class Broken(Backend):
        def predict(self, data):
            raise RuntimeError("device lost")

    broken = Broken()
    broken.hardware_type = "GOYA"
    predict = FittedPredict(
        broken, rows_per_sample={"x": 1}, output_names=("y",), loaded_batch_size=1
    )

    with pytest.raises(PredictError, match="on 1 samples: device lost") as raised:
        predict.checked({"x": np.zeros((1, 1))})

    assert isinstance(raised.value.__cause__, RuntimeError)


class Matcher(Backend):
    """Holds each row of ``x`` against the prompts, which must come once."""

    def __init__(self) -> None:
        super().__init__()
        self.hardware_type = "MATCHER"
        self.prompt_counts: list[int] = []

    def predict(self, data):
        self.prompt_counts.append(len(data["prompts"]))
        return {"y": data["x"] @ data["prompts"].T}


@pytest.mark.parametrize("count", [1, 4, 7])
def test_what_all_samples_share_is_fed_once(count):
    """However many samples are in a batch, padded or split, prompts are not many."""
    backend = Matcher()
    predict = FittedPredict(
        backend,
        rows_per_sample={"prompts": 3, "x": 1},
        output_names=("y",),
        loaded_batch_size=4,
        shared=("prompts",),
    )
    prompts = np.arange(6, dtype=np.float32).reshape(3, 2)
    x = np.arange(count * 2, dtype=np.float32).reshape(count, 2)

    outputs = predict({"prompts": np.concatenate([prompts] * count), "x": x})

    np.testing.assert_array_equal(outputs["y"], x @ prompts.T)
    assert set(backend.prompt_counts) == {3}


def test_calibration_batches_have_shared_rows_once():
    """The dataloader a vendor calibrates with feeds what `predict` is fed."""
    x = np.arange(10).reshape(5, 2)
    prompts = np.concatenate([np.arange(3)] * 5)
    data = CalibrationData(
        {"x": x, "prompts": prompts}, {"x": 1, "prompts": 3}, 2, shared=("prompts",)
    )

    assert [len(batch["x"]) for batch in data] == [2, 2, 1]
    assert all(batch["prompts"].tolist() == [0, 1, 2] for batch in data)
