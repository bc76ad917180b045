"""What is seen of a predict that mistreats the inputs it is lent."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest

from bytemlperf.backends import Backend
from bytemlperf.engine.loading import load_batch_size
from bytemlperf.engine.loan import Loan, first_difference
from bytemlperf.errors import PredictError

ROWS = {"x": 1}


class Lender(Backend):
    """Answers twice its input, but for one bad manner."""

    def __init__(self, manner: str) -> None:
        super().__init__()
        self.hardware_type = "GOYA"
        self.manner = manner
        self.kept = None
        self.buffer = np.zeros((4, 16), np.float32)

    def load(self, batch_size):
        self.batch_size = batch_size

    def get_loaded_batch_size(self):
        return self.batch_size

    def predict(self, data):
        x = data["x"]
        match self.manner:
            case "asks to write":
                x *= 2
            case "writes natively":
                # As native code does that was told an address.
                ctypes.memset(x.ctypes.data + x.nbytes - 4, 1, 4)
            case "keeps an array":
                self.kept = x[1:2]
            case "keeps the dict":
                self.kept = data
            case "keeps its own copy":
                self.kept = x.copy()
            case "keeps it in a circle":
                circle = [x]
                circle.append(circle)
            case "returns an input":
                return {"y": x}
            case "returns one buffer":
                np.multiply(x, 2, out=self.buffer)
                return {"y": self.buffer}
        return {"y": x * 2}


class Silent:
    """Is told of phases and says nothing."""

    def phase(self, *args, **options):
        pass


def load(manner: str, count: int = 4):
    return load_batch_size(
        Lender(manner),
        count,
        samples={"x": np.arange(80, dtype=np.float32).reshape(5, 16)},
        rows_per_sample=ROWS,
        output_names=("y",),
        predicted_batch_ns=0,
        emitter=Silent(),
    )


@pytest.mark.parametrize(
    ("manner", "complaint"),
    [
        ("asks to write", r"read-only \(inputs are read-only views .* copy one"),
        ("writes natively", r"GOYA.predict wrote to its input 'x' \(row 3 has"),
    ],
)
def test_who_writes_to_an_input_is_named_and_nothing_is_measured(manner, complaint):
    """By python or natively: the load fails, and says why that matters."""
    with pytest.raises(PredictError, match=complaint):
        load(manner)


@pytest.mark.parametrize(
    ("manner", "warning"),
    [
        ("keeps an array", "GOYA keeps its input 'x' after predict has returned"),
        ("keeps the dict", "GOYA keeps its input 'x' after predict has returned"),
        ("returns an input", "returned output 'y' in the memory of its input 'x'"),
        ("returns one buffer", "in the memory of its previous answer"),
    ],
)
def test_who_holds_what_is_not_his_is_named(manner, warning):
    """It is a warning of the point: the numbers are right, but may not stay so."""
    found = load(manner).warnings
    assert any(warning in each for each in found), found


@pytest.mark.parametrize("manner", ["", "keeps its own copy", "keeps it in a circle"])
def test_good_manners_are_not_remarked_upon(manner):
    """Copies are anybody's, and garbage is nobody's."""
    assert load(manner).warnings == []


def test_a_loan_is_aligned_and_has_the_samples_values():
    """What is lent in the load phase is what a run lends."""
    source = {"x": np.arange(6, dtype=np.int64).reshape(3, 2)}
    loan = Loan(source, ROWS, "GOYA")
    array = loan.feeds["x"]
    np.testing.assert_array_equal(array, source["x"])
    assert array.ctypes.data % 64 == 0
    assert not array.flags.writeable


def test_the_first_row_that_differs_is_found_bit_by_bit():
    """NaN equals itself here, and minus zero is not zero."""
    expected = np.zeros((1000, 3), np.float64)
    expected[5] = np.nan
    assert first_difference(expected.copy(), expected) is None
    found = expected.copy()
    found[700, 1] = -0.0
    assert first_difference(found, expected) == 700


def test_large_arrays_are_compared_in_pieces(monkeypatch):
    """The row counts from the beginning, not from that of its piece."""
    monkeypatch.setattr("bytemlperf.engine.loan.PIECE_BYTES", 64)
    expected = np.zeros((100, 4), np.int32)
    found = expected.copy()
    found[-1, -1] = 1
    assert first_difference(found, expected) == 99
