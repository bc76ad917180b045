"""Top-k, clicks and intervals: by hand, by brute force, and whatever the batch size."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bytemlperf.errors import InternalError, PredictError, UnknownNameError
from bytemlperf.quality import METRICS, score
from bytemlperf.quality.click_score import area_under_curve
from bytemlperf.quality.intervals import bootstrap, bootstrap_mean, wilson


def test_top_k_by_hand():
    """Ranks 0, 4, 5 and a tie that the lower class wins, as argmax decides."""
    scores = np.zeros((4, 8), np.float32)
    scores[0, 3] = 1
    scores[1] = [9, 8, 7, 6, 5, 0, 0, 0]
    scores[2] = [9, 8, 7, 6, 5, 4, 0, 0]
    scores[3, [2, 5]] = 1
    labels = {"label": np.array([3, 4, 5, 5])}
    result = score("top_k", {"y": scores}, labels, np.arange(4), subset="four")
    assert result.figure("top1").value == 0.25
    assert result.figure("top5").value == 0.75
    assert (result.n, result.unit, result.subset) == (4, "images", "four")


def test_top_k_is_by_sample_id():
    """The label is that of the sample, not of the position."""
    scores = np.eye(10, dtype=np.float32)
    labels = {"label": np.arange(10)}
    chosen = np.array([7, 2, 9])
    result = score("top_k", {"y": scores[chosen]}, labels, chosen)
    assert result.figure("top1").value == 1.0
    assert result.n == 3


def test_nan_is_a_wrong_answer():
    """An output of NaN only must not win, neither by argmax nor by comparison."""
    scores = np.full((3, 5), np.nan, np.float32)
    scores[0] = [1, 0, 0, 0, 0]
    result = score("top_k", {"y": scores}, {"label": np.zeros(3, int)}, np.arange(3))
    assert result.figure("top1").value == pytest.approx(1 / 3)
    assert result.figure("top5").value == pytest.approx(1 / 3)
    assert result.nonfinite_count == 2


def test_top_k_errors_name_the_output():
    """A label without a class, an output that cannot be told, a foreign sample."""
    labels = {"label": np.array([0, 12])}
    with pytest.raises(PredictError, match=r"'y' should have a score for class 12"):
        score("top_k", {"y": np.ones((2, 10))}, labels, [0, 1])
    two = {"a": np.ones((2, 20)), "b": np.ones((2, 20))}
    with pytest.raises(PredictError, match=r"which of the outputs \['a', 'b'\]"):
        score("top_k", two, labels, [0, 1])
    assert score("top_k", two, labels, [0, 1], output_roles={"scores": "b"}).n == 2
    with pytest.raises(PredictError, match=r"output 'c' is missing"):
        score("top_k", two, labels, [0, 1], output_roles={"scores": "c"})
    with pytest.raises(InternalError, match=r"sample ids should be in 0 to 1"):
        score("top_k", {"y": np.ones((2, 20))}, labels, [1, 2])
    with pytest.raises(UnknownNameError, match="unknown metric 'topk'") as caught:
        score("topk", {}, {}, [0])
    assert caught.value.nearest == "top_k"


def brute_force_area(scores, positive):
    pairs = [
        (a > b) + (a == b) / 2 for a in scores[positive] for b in scores[~positive]
    ]
    return sum(pairs) / len(pairs) if pairs else math.nan


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from([0.0, 0.1, 0.1 + 1e-12, 0.5, 1.0]), st.booleans()),
        min_size=1,
        max_size=40,
    )
)
def test_area_equals_all_pairs(rows):
    """Mann and Whitney's U, ties counting half."""
    scores = np.array([row[0] for row in rows])
    positive = np.array([row[1] for row in rows])
    expected = brute_force_area(scores, positive)
    assert area_under_curve(scores, positive) == pytest.approx(expected, nan_ok=True)


def test_clicks_by_hand():
    """Four rows, every figure worked out on paper."""
    probability = np.array([0.9, 0.4, 0.6, 0.2])
    outputs = {"p": np.stack([1 - probability, probability], axis=1)}
    labels = {"label": np.array([1, 1, 0, 0], np.int8)}
    result = score("criteo", outputs, labels, np.arange(4))
    assert result.figure("auc").value == 0.75
    assert result.figure("accuracy").value == 0.5
    expected = -(math.log(0.9) + math.log(0.4) + math.log(0.4) + math.log(0.8)) / 4
    assert result.figure("log_loss").value == pytest.approx(expected)
    assert result.figure("log_loss").is_better == "lower"
    single = score("criteo", {"p": probability}, labels, np.arange(4))
    assert single.figures == result.figures


def test_clicks_of_one_class_have_no_area():
    """A figure that is not defined is absent, not zero and not a half."""
    result = score("criteo", {"p": np.full(3, 0.1)}, {"label": np.zeros(3)}, [0, 1, 2])
    assert [figure.name for figure in result.figures] == ["log_loss", "accuracy"]


def test_nan_click_is_as_wrong_as_can_be():
    """It must not be dropped, which would flatter the model."""
    probability = np.array([0.9, np.nan, 0.1, np.nan])
    labels = {"label": np.array([1, 1, 0, 0], np.int8)}
    result = score("criteo", {"p": probability}, labels, np.arange(4))
    assert result.nonfinite_count == 2
    assert result.figure("accuracy").value == 0.5
    # Of the 4 pairs only (0.9, 0.1) is right.
    assert result.figure("auc").value == 0.25
    assert result.figure("log_loss").value > 15


def test_logits_are_no_probabilities():
    """A model that returns logits is told so, not clipped."""
    with pytest.raises(PredictError, match=r"'p' should hold probabilities.*-3 to 7"):
        score("criteo", {"p": np.array([-3.0, 7.0])}, {"label": np.zeros(2)}, [0, 1])
    with pytest.raises(PredictError, match=r"'p' should have one or two values"):
        score("criteo", {"p": np.ones((2, 3))}, {"label": np.zeros(2)}, [0, 1])


def test_wilson_against_published_values():
    """Newcombe 1998, table I: 81 of 263, 15 of 148, 0 of 20, 1 of 29."""
    for good, total, low, high in [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ]:
        interval = wilson(good, total)
        assert interval.low == pytest.approx(low, abs=5e-5)
        assert interval.high == pytest.approx(high, abs=5e-5)
    assert wilson(5, 5).high == 1.0


def test_bootstrap_is_seeded_and_near_the_normal_interval():
    """The same draw twice, and for a mean of many the textbook's width."""
    values = np.random.default_rng(0).standard_normal(2000)
    interval = bootstrap_mean(values)
    assert interval == bootstrap_mean(values)
    half = 1.96 * values.std() / math.sqrt(values.size)
    assert interval.high - interval.low == pytest.approx(2 * half, rel=0.1)
    assert interval.low < values.mean() < interval.high
    assert interval.resample_count == 1000


def test_bootstrap_leaves_undefined_draws_out():
    """Draws with one class have no area; they are not counted as zero."""

    def share(drawn):
        return np.array([np.nan if drawn[0] == 0 else 1.0])

    (interval,) = bootstrap(3, share)
    assert (interval.low, interval.high) == (1.0, 1.0)
    assert 0 < interval.resample_count < 1000


@pytest.mark.parametrize("metric", sorted(METRICS))
def test_every_metric_misses_its_labels_by_name(metric):
    """Labels of another dataset are our bug, and the message names the column."""
    shapes = {"criteo": (2, 2), "squad_v1": (2, 3, 2)}
    outputs = {"y": np.full(shapes.get(metric, (2, 3, 85)), 0.5)}
    with pytest.raises(InternalError, match="the metric needs the label column"):
        score(metric, outputs, {"nonsense": np.zeros(2)}, [0, 1])
