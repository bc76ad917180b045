"""Numeric comparison: by hand, against numpy, and whatever the order of samples."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_np

from bytemlperf.errors import InternalError, PredictError
from bytemlperf.quality import compare_outputs, numeric_comparison, order_statistics
from bytemlperf.quality.order_statistics import percentiles, select_ranks

IDS = np.arange(4)


def compare(reference, actual, ids=IDS):
    return compare_outputs(
        {"y": np.asarray(reference)},
        {"y": np.asarray(actual)},
        reference_ids=ids,
        actual_ids=ids,
    )


def test_figures_equal_the_hand_computed_ones():
    """Four elements, every figure worked out on paper."""
    result = compare([[2.0], [0.0], [-4.0], [1.0]], [[1.0], [3.0], [-4.0], [3.0]])
    difference = result.outputs[0]
    # |d| = 1, 3, 0, 2; a' = 2, 1, -4, 1; |d/a'| = 0.5, 3, 0, 2.
    assert difference.mean_diff == 1.5
    assert difference.std_diff == pytest.approx(math.sqrt(1.25), rel=1e-15)
    assert difference.max_diff == 3.0
    assert difference.max_rel_diff == 3.0
    assert difference.mean_rel_diff == 1.375
    assert (difference.p50_diff, difference.p90_diff) == (1.0, 3.0)
    assert (difference.p99_diff, difference.p999_diff) == (3.0, 3.0)
    # ab = 2 + 0 + 16 + 3, aa = 21, bb = 35, dd = 14.
    assert difference.cosine_similarity == pytest.approx(21 / math.sqrt(21 * 35))
    assert difference.snr_db == pytest.approx(10 * math.log10(21 / 14))
    assert [worst.sample_id for worst in result.worst_samples] == [1, 3, 0]
    assert result.overall == type(difference)(
        **{name: getattr(difference, name) for name in difference.__struct_fields__}
        | {"output": "*"}
    )


def test_nonfinite_is_counted_and_left_out_never_zeroed():
    """ByteMLPerf set NaN and infinity to zero on both sides; two NaN runs agreed."""
    reference = [[1.0], [np.nan], [-np.inf], [5.0]]
    actual = [[2.0], [np.nan], [-np.inf], [np.inf]]
    result = compare(reference, actual)
    difference = result.overall
    assert difference.compared_count == 1
    assert difference.mean_diff == difference.max_diff == 1.0
    assert difference.reference_nonfinite_count == 2
    assert difference.actual_nonfinite_count == 3
    assert difference.agreeing_nonfinite_count == 2
    assert difference.disagreeing_nonfinite_count == 1
    assert result.worst_samples[0].sample_id == 3
    assert result.worst_samples[0].disagreeing_nonfinite_count == 1


def test_nothing_comparable_gives_no_figure():
    """All NaN is not a difference of zero: it is no figure at all."""
    difference = compare(np.full((4, 2), np.nan), np.ones((4, 2))).overall
    assert difference.compared_count == 0
    assert difference.mean_diff is difference.max_diff is difference.p50_diff is None
    assert difference.snr_db is difference.cosine_similarity is None
    assert difference.disagreeing_nonfinite_count == 8


def test_identical_outputs_have_no_snr_and_no_worst_sample():
    """An infinite ratio is not a number to print."""
    result = compare(np.ones((4, 3)), np.ones((4, 3)))
    assert result.overall.max_diff == 0.0
    assert result.overall.snr_db is None
    assert result.overall.cosine_similarity == pytest.approx(1.0, abs=1e-15)
    assert result.worst_samples == ()


def test_overall_joins_the_outputs():
    """The overall figures are over the elements of all outputs."""
    reference = {"a": np.zeros((4, 1)), "b": np.zeros((4, 3))}
    actual = {"a": np.full((4, 1), 5.0), "b": np.ones((4, 3)), "c": np.ones(4)}
    result = compare_outputs(reference, actual, reference_ids=IDS, actual_ids=IDS)
    assert [output.output for output in result.outputs] == ["a", "b"]
    assert result.overall.element_count == 16
    assert result.overall.mean_diff == 2.0
    assert result.overall.p50_diff == 1.0
    assert result.overall.max_diff == 5.0
    assert result.overall.std_diff == pytest.approx(np.std([5] * 4 + [1] * 12))
    assert result.ignored_outputs == ("c",)


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_alignment_is_by_id_not_by_position(data):
    """Any order and any subset of the backend's answers gives the same comparison."""
    count = data.draw(st.integers(1, 12))
    rows = data.draw(st.integers(1, 3))
    seed = data.draw(st.integers(0, 1000))
    order = np.array(data.draw(st.permutations(range(count))))
    kept = data.draw(st.integers(1, count))
    random = np.random.default_rng(seed)
    reference = random.standard_normal((count, rows, 2)).astype(np.float32)
    actual = reference + random.standard_normal(reference.shape).astype(np.float32)
    subset = np.sort(order[:kept])
    straight = compare_outputs(
        {"y": reference[subset].reshape(-1, 2)},
        {"y": actual[subset].reshape(-1, 2)},
        reference_ids=subset,
        actual_ids=subset,
    )
    shuffled = compare_outputs(
        {"y": reference.reshape(-1, 2)},
        {"y": actual[order[:kept]].reshape(-1, 2)},
        reference_ids=np.arange(count),
        actual_ids=order[:kept],
    )
    assert shuffled.outputs == straight.outputs
    assert shuffled.worst_samples == straight.worst_samples
    assert (shuffled.sample_count, shuffled.reference_only_count) == (
        kept,
        count - kept,
    )


@pytest.mark.parametrize("chunk", [1, 7, 64, 1000])
def test_chunks_do_not_change_the_figures(monkeypatch, chunk):
    """Memory is bounded by chunks smaller than a sample, a sample, several, all."""
    random = np.random.default_rng(0)
    reference = random.standard_normal((20, 16)) * 10.0 ** random.integers(-6, 6, 16)
    actual = reference * (1 + 1e-3 * random.standard_normal(reference.shape))
    actual[3, 5] = np.nan
    whole = compare(reference, actual, np.arange(20)).overall
    monkeypatch.setattr(numeric_comparison, "CHUNK_ELEMENTS", chunk)
    pieces = compare(reference, actual, np.arange(20)).overall
    assert pieces.p99_diff == whole.p99_diff
    assert pieces.max_rel_diff == whole.max_rel_diff
    for name in ("mean_diff", "std_diff", "mean_rel_diff", "cosine_similarity"):
        assert getattr(pieces, name) == pytest.approx(getattr(whole, name), rel=1e-12)


def test_std_survives_a_large_mean():
    """A sum of squares would cancel: 1e9 + small noise has the noise's deviation."""
    random = np.random.default_rng(0)
    noise = random.standard_normal((4, 100))
    difference = compare(np.zeros((4, 100)), 1e9 + noise).overall
    assert difference.std_diff == pytest.approx(noise.std(), rel=1e-6)


@pytest.mark.parametrize("dtype", ["float16", "float32", "int64", "uint8", "bool"])
def test_every_real_dtype_is_compared_in_float64(dtype):
    """Unsigned differences must not wrap around, halves not round."""
    reference = np.array([[0], [1], [1], [0]], dtype)
    actual = np.array([[1], [1], [0], [0]], dtype)
    assert compare(reference, actual).overall.mean_diff == 0.5


def test_errors_name_the_output():
    """A missing output, another shape, a text: each names what is wrong."""
    good = {"logits": np.ones((4, 3))}
    ids = {"reference_ids": IDS, "actual_ids": IDS}
    with pytest.raises(PredictError, match=r"backend: output 'logits' is missing"):
        compare_outputs(good, {"other": np.ones((4, 3))}, **ids)
    with pytest.raises(PredictError, match=r"'logits' should have shape \(1, 3\)"):
        compare_outputs(good, {"logits": np.ones((4, 2))}, **ids)
    with pytest.raises(PredictError, match=r"'logits' should have a multiple of 4"):
        compare_outputs(good, {"logits": np.ones((3, 3))}, **ids)
    with pytest.raises(PredictError, match=r"'logits' should hold real numbers"):
        compare_outputs(good, {"logits": np.full((4, 3), "x")}, **ids)
    with pytest.raises(InternalError, match=r"sample 1 occurs more than once"):
        compare_outputs(good, good, reference_ids=IDS, actual_ids=[0, 1, 1, 2])
    with pytest.raises(InternalError, match=r"nothing to compare: 0 samples"):
        compare_outputs(good, good, reference_ids=IDS, actual_ids=IDS + 10)


@settings(max_examples=60, deadline=None)
@given(
    st_np.arrays(
        np.float64,
        st.integers(1, 200),
        elements=st.floats(0, 1e300) | st.sampled_from([0.0, -0.0, 1.0, 5e-324]),
    ),
    st.integers(1, 50),
    st.sampled_from([0, 3, 1 << 20]),
)
def test_percentiles_equal_the_sorted_list(values, chunk, sort_count):
    """Radix selection finds what sorting finds, whichever way it ends."""
    percents = (0.1, 25.0, 50.0, 90.0, 99.0, 99.9, 100.0)

    def chunks():
        for start in range(0, values.size, chunk):
            yield values[start : start + chunk]

    original = order_statistics._SORT_COUNT
    order_statistics._SORT_COUNT = sort_count
    try:
        found = percentiles(chunks, values.size, percents)
    finally:
        order_statistics._SORT_COUNT = original
    ordered = np.sort(values)
    expected = [
        ordered[max(1, math.ceil(percent / 100 * values.size)) - 1]
        for percent in percents
    ]
    assert found == expected


def test_ranks_at_both_ends():
    """The smallest and the largest are ranks like any other."""
    values = np.array([3.0, 1.0, 2.0])
    assert select_ranks(lambda: iter([values]), [0, 2]) == {0: 1.0, 2: 3.0}
