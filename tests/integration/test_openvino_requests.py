"""Memory that infer requests are lent, and give back."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

openvino = pytest.importorskip("openvino")

from bytemlperf.backends.OPENVINO._requests import (  # noqa: E402
    MAX_INPUT_TENSORS,
    InferRequests,
)

pytestmark = pytest.mark.frameworks


@pytest.fixture(scope="module")
def compiled():
    """Compile ``y = 2 x`` of four rows."""
    from openvino import opset14

    x = opset14.parameter([4, 8], np.float32, name="x")
    y = opset14.multiply(x, np.float32(2))
    return openvino.Core().compile_model(openvino.Model([y], [x], "double"), "CPU")


@pytest.fixture
def requests(compiled):
    return InferRequests(compiled, ("x",), ("y",), (True,), 1)


def lent(value: float) -> np.ndarray:
    """Make an input as a run lends it."""
    array = np.full((4, 8), value, np.float32)
    array.flags.writeable = False
    return array


def test_an_answer_that_is_held_is_never_written_to_again(requests):
    """Nor is one of which only a view is held."""
    first = requests.predict({"x": lent(1)})["y"]
    row = requests.predict({"x": lent(2)})["y"][3]
    others = [requests.predict({"x": lent(value)})["y"] for value in range(3, 9)]
    assert (first == 2).all()
    assert (row == 4).all()
    for value, answer in zip(range(3, 9), others, strict=True):
        assert (answer == 2 * value).all()


def test_an_answer_that_nobody_holds_is_lent_again(requests):
    """In a run no memory is asked of the kernel."""
    addresses = {
        requests.predict({"x": lent(value)})["y"].ctypes.data for value in range(20)
    }
    assert len(addresses) == 1


def test_another_input_in_the_same_place_is_read_anew(requests):
    """What is remembered of an input is where it lies, not what it says."""
    buffer = np.zeros((4, 8), np.float32)
    for value in range(3):
        buffer[...] = value
        view = buffer.view()
        view.flags.writeable = False
        assert (requests.predict({"x": view})["y"] == 2 * value).all()


def test_no_input_is_kept(requests):
    """Neither read-only ones nor, once others came, writeable ones."""
    held = []
    for value in range(MAX_INPUT_TENSORS + 10):
        array = lent(value) if value % 2 else np.full((4, 8), value, np.float32)
        assert (requests.predict({"x": array})["y"] == 2 * value).all()
        held.append(weakref.ref(array))
        del array
    requests.predict({"x": lent(0)})
    gc.collect()
    assert [each for each in held if each() is not None] == []
