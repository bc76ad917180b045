"""Synthetic samples: true to each tensor's meaning, distinct, and seeded by index."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bytemlperf.datasets import (
    ModelHints,
    find_data_root,
    open_arrays,
    open_labels,
    prepare_samples,
)
from bytemlperf.errors import ConfigError, PrepareError, UnknownNameError
from bytemlperf.tensor_spec import TensorSpec

BERT = (
    TensorSpec("input_ids:0", "int32", (1, 64), "token_ids", 0, 30522),
    TensorSpec("input_mask:0", "int32", (1, 64), "attention_mask"),
    TensorSpec("segment_ids:0", "int32", (1, 64), "segment_ids"),
)


def prepare(cache_dir, specs, dataset=None, **changes):
    arguments = {
        "specs": specs,
        "model": ModelHints(model="tiny", framework="Pytorch"),
        "cache_dir": cache_dir,
        "data_root": None,
        "max_samples": 20,
        "seed": 0,
    }
    return prepare_samples(dataset, **(arguments | changes))


def test_text_inputs_agree_with_each_other(tmp_path):
    """Ids in the vocabulary, masks prefixes of ones, segments inside the mask."""
    prepared = prepare(tmp_path, BERT, max_samples=200)
    arrays = open_arrays(prepared)
    ids, mask, segments = (arrays[spec.name] for spec in BERT)
    lengths = mask.sum(axis=1)
    assert np.array_equal(mask, np.arange(64) < lengths[:, None])
    assert lengths.min() >= 8
    assert len(np.unique(lengths)) > 30
    assert ids.min() >= 0
    assert ids.max() < 30522
    assert not ids[mask == 0].any()
    assert not segments[mask == 0].any()
    # One switch from the first sentence to the second.
    assert (np.abs(np.diff(segments, axis=1)).sum(axis=1) <= 2).all()
    assert (segments.sum(axis=1) > 0).all()
    assert (segments[:, 0] == 0).all()
    assert len(np.unique(ids, axis=0)) == 200


def test_without_a_mask_nothing_is_padded(tmp_path):
    """A model that cannot know padding must not be fed it."""
    spec = TensorSpec("ids", "int64", (1, 64), "token_ids", 1, 9)
    ids = open_arrays(prepare(tmp_path, (spec,)))["ids"]
    assert ids.min() == 1
    assert ids.max() == 8


def test_images_fill_their_range_and_are_smooth(tmp_path):
    """Neighbours resemble each other, as in pictures; ends of the range occur."""
    spec = TensorSpec("images", "float32", (1, 3, 64, 64), "image", -2.0, 2.5)
    images = open_arrays(prepare(tmp_path, (spec,)))["images"]
    assert images.min() == -2.0
    assert images.max() == 2.5
    assert 0.5 < images.std() < 1.5
    apart = np.corrcoef(images[..., :-1].ravel(), images[..., 1:].ravel())[0, 1]
    assert apart > 0.5


def test_category_pairs_take_their_rows(tmp_path):
    """Column 0 is the field, column 1 a bucket; a sample has 26 rows."""
    spec = TensorSpec("c", "int64", (26, 2), "category_pairs", 0, 1000)
    prepared = prepare(tmp_path, (spec,))
    pairs = open_arrays(prepared)["c"]
    assert pairs.shape == (20 * 26, 2)
    assert prepared.rows_per_sample == {"c": 26}
    assert np.array_equal(pairs[:, 0], np.tile(np.arange(26), 20))
    assert 0 <= pairs[:, 1].min() < pairs[:, 1].max() < 1000
    assert pairs[:, 1].max() > 900


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from(
        ["float16", "float32", "float64", "int32", "int64", "bool", "uint8"]
    ),
    st.tuples(st.integers(0, 50), st.integers(1, 60)),
    st.integers(0, 2**40),
)
def test_values_stay_in_the_half_open_range(dtype, bounds, seed):
    """Also after rounding to half precision."""
    low = 0 if dtype == "bool" else bounds[0]
    high = 2 if dtype == "bool" else low + bounds[1]
    spec = TensorSpec("x", dtype, (2, 30), "real", low, high)
    with TemporaryDirectory() as folder:
        values = open_arrays(prepare(Path(folder), (spec,), seed=seed))["x"]
        assert values.dtype == dtype
        assert (values >= low).all()
        assert (values < high).all()


def test_a_sample_does_not_depend_on_the_count(tmp_path):
    """Sample i is drawn from (seed, i): more samples leave it as it was."""
    few = open_arrays(prepare(tmp_path, BERT, max_samples=3))
    many = open_arrays(prepare(tmp_path, BERT, max_samples=9))
    other = open_arrays(prepare(tmp_path, BERT, max_samples=3, seed=1))
    for name in few:
        assert np.array_equal(few[name], many[name][:3])
        assert not np.array_equal(few[name], other[name])


def test_default_count_is_bounded_by_bytes(tmp_path):
    """256 small samples, fewer large ones."""
    assert prepare(tmp_path, BERT, max_samples=None).count == 256
    large = (TensorSpec("x", "float32", (1, 1 << 22)),)
    assert prepare(tmp_path, large, max_samples=None).count == 16


def test_origin_and_reason_are_said(tmp_path):
    """A report must not take drawn samples for data."""
    none = prepare(tmp_path, BERT)
    assert (none.origin, none.reason) == ("synthetic", "the model names no dataset")
    absent = prepare(tmp_path, BERT, "open_squad", data_root=tmp_path)
    assert absent.origin == "synthetic"
    assert "dev-v1.1.json" in absent.reason
    assert absent.metric is None
    assert open_labels(absent) == {}
    assert absent.dataset == "open_squad"


def test_named_dimensions_are_resolved_or_refused(tmp_path):
    """A dynamic dimension has a size in the hints, or the message says which."""
    spec = TensorSpec("x", "float32", (1, "frames"))
    hints = ModelHints(model="tiny", framework="Onnx", dims={"frames": 7})
    assert open_arrays(prepare(tmp_path, (spec,), model=hints))["x"].shape == (20, 7)
    with pytest.raises(PrepareError, match=r"'x'.*dimension 'frames' has no positive"):
        prepare(tmp_path, (spec,))


def test_progress_reaches_its_total(tmp_path):
    """Called with (stage, done, total) up to the end."""
    calls = []
    prepare(tmp_path, BERT, progress=lambda *call: calls.append(call))
    assert calls[-1] == ("drawing samples", 20, 20)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (TensorSpec("x", "str", (1,)), "'x' has dtype 'str'"),
        (TensorSpec("x", "half16", (1,)), "'x' has dtype 'half16'"),
        (TensorSpec("x", "float32", (1,), "real", 2, 2), r"empty range \[2.0, 2.0\)"),
        (TensorSpec("x", "int64", (1, 4), "token_ids", 0, 1.5), "not of integers"),
        (TensorSpec("x", "int64", (26, 3), "category_pairs"), r"shape \(fields, 2\)"),
    ],
)
def test_specs_no_sample_can_satisfy(tmp_path, spec, message):
    """Each is refused before anything is written."""
    with pytest.raises(PrepareError, match=message):
        prepare(tmp_path / "cache", (spec,))
    assert not (tmp_path / "cache").exists()


def test_requests_that_are_wrong(tmp_path):
    """No inputs, no samples, an unknown dataset with its nearest name."""
    with pytest.raises(ConfigError, match="a model without inputs"):
        prepare(tmp_path, ())
    with pytest.raises(ConfigError, match="max_samples should be at least 1, it is 0"):
        prepare(tmp_path, BERT, max_samples=0)
    with pytest.raises(UnknownNameError, match="'open_imagnet'") as caught:
        prepare(tmp_path, BERT, "open_imagnet")
    assert caught.value.nearest == "open_imagenet"


def test_data_root_is_what_the_environment_says(tmp_path, monkeypatch):
    """A folder is taken; something else is an error, never skipped over."""
    monkeypatch.setenv("BYTEMLPERF_DATA", str(tmp_path))
    assert find_data_root() == tmp_path
    monkeypatch.setenv("BYTEMLPERF_DATA", str(tmp_path / "absent"))
    with pytest.raises(ConfigError, match=r"BYTEMLPERF_DATA=.*is not a folder"):
        find_data_root()


def test_what_samples_share_is_the_same_in_all(tmp_path):
    """Prompts are drawn once, pictures each; the cache says which is which."""
    specs = (
        TensorSpec("image", "float32", (1, 3, 8, 8), "image", 0, 1),
        TensorSpec("text", "int64", (5, 7), "token_ids", 0, 99, shared=True),
    )
    prepared = prepare(tmp_path, specs)
    arrays = open_arrays(prepared)
    texts = arrays["text"].reshape(20, 5, 7)
    assert (texts == texts[0]).all()
    assert len(np.unique(arrays["image"], axis=0)) == 20
    assert prepared.shared == ("text",)
