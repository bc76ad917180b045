"""The backend that answers at once: shapes right, nothing allocated per call."""

from __future__ import annotations

import numpy as np

from bytemlperf.backends import create_backend, find_backend, parse_compile_result


def compiled(model_info: dict, **interact: object):
    """Return a NULL backend that knows a model."""
    backend = create_backend(find_backend("NULL"))
    raw = backend.compile(
        {
            "workload": {"model": "m", "batch_sizes": [1, 8]},
            "model_info": model_info,
            "interact_info": interact,
        }
    )
    return backend, parse_compile_result(raw, "NULL")


def test_needs_no_model():
    """It can be measured where no model can be built."""
    assert create_backend(find_backend("null")).need_model is False


def test_shapes_follow_the_model():
    """Rows a sample, dynamic dimensions and dtypes are honoured."""
    backend, result = compiled(
        {
            "tensors": [{"name": "pairs", "dtype": "int64", "shape": [26, 2]}],
            "output_tensors": [
                {"name": "click", "dtype": "float32", "shape": [1, 1]},
                {"name": "boxes", "dtype": "float16", "shape": [3, "n", 4]},
            ],
        }
    )
    assert result.segments[0].output_tensor_map == {
        "click": [-1, 1],
        "boxes": [-1, -1, 4],
    }
    backend.load(8)
    answer = backend.predict({"pairs": np.zeros((8 * 26, 2), np.int64)})
    assert {k: (v.shape, str(v.dtype)) for k, v in answer.items()} == {
        "click": ((8, 1), "float32"),
        "boxes": ((24, 1, 4), "float16"),
    }


def test_unknown_outputs_are_one_column():
    """Without a description there is still one value a sample."""
    backend, _ = compiled({})
    backend.load(2)
    assert backend.predict({"x": np.zeros((2, 3))})["output"].shape == (2, 1)


def test_answers_are_made_before_the_call():
    """The same arrays come back each time: the call costs nothing."""
    backend, _ = compiled({})
    backend.load(2)
    feeds = {"x": np.zeros((2, 3))}
    assert backend.predict(feeds)["output"] is backend.predict(feeds)["output"]


def test_instance_count_is_as_asked():
    """Several predict threads may be tried on it."""
    assert compiled({}, instance_count=3)[1].instance_count == 3
