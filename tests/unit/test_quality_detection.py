"""Detection: suppression and average precision, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from bytemlperf.errors import InternalError, PredictError
from bytemlperf.quality import score
from bytemlperf.quality.detection_boxes import Detections, box_iou, find_boxes
from bytemlperf.quality.detection_precision import PrecisionCurves, Truths

PICTURE = np.array([0.0, 0.0, 100.0, 100.0])
ONE = np.array([1])


def make_detections(boxes, scores, classes):
    return Detections(
        np.array(boxes, float).reshape(-1, 4), np.array(scores), np.array(classes, int)
    )


def make_truths(boxes, classes):
    return Truths(np.array(boxes, float).reshape(-1, 4), np.array(classes, int))


def test_iou_by_hand():
    """A quarter overlap is 25 of 175; empty boxes overlap nothing."""
    boxes = np.array([[0, 0, 10, 10]], float)
    others = np.array([[5, 5, 15, 15], [20, 20, 30, 30], [3, 3, 3, 3]], float)
    assert box_iou(boxes, others).tolist() == [[25 / 175, 0.0, 0.0]]
    assert box_iou(others[2:], others[2:]).tolist() == [[0.0]]


def test_suppression_is_within_a_class():
    """Of two boxes that overlap, the worse goes only if it is of the same class."""
    head = np.zeros((4, 7))
    head[:, :4] = [50, 50, 20, 20]
    head[1, 0] = 51
    head[3, :2] = 95
    head[:, 4] = 1.0
    head[0, 5], head[1, 5], head[2, 6], head[3, 5] = 0.9, 0.8, 0.7, 0.6
    found = find_boxes(head, PICTURE)
    assert found.scores.tolist() == [0.9, 0.7, 0.6]
    assert found.classes.tolist() == [0, 1, 0]
    # The last is cut to the picture.
    assert found.boxes[2].tolist() == [85, 85, 100, 100]


def test_each_class_of_a_box_is_a_candidate():
    """One anchor with two classes gives two boxes, as in YOLOv5's validation."""
    head = np.array([[50, 50, 20, 20, 0.5, 0.9, 0.4]])
    found = find_boxes(head, PICTURE)
    assert found.scores.tolist() == [0.45, 0.2]
    assert find_boxes(head * [1, 1, 1, 1, 0, 1, 1], PICTURE).scores.size == 0


def test_average_precision_by_hand():
    """Right, wrong, right of two boxes: precision 1 up to recall 0.5, then 2/3."""
    truth = make_truths([[0, 0, 10, 10], [50, 50, 60, 60]], [0, 0])
    found = make_detections(
        [[0, 0, 10, 10], [20, 20, 30, 30], [50, 50, 60, 60]], [0.9, 0.8, 0.7], [0, 0, 0]
    )
    curves = PrecisionCurves([found], [truth])
    expected = (51 * 1.0 + 50 * 2 / 3) / 101
    assert curves.mean_precision(ONE) == pytest.approx(np.full(10, expected))


def test_thresholds_and_double_hits():
    """IoU 0.68 passes 4 of 10 thresholds; a second box on the same truth is wrong."""
    truth = make_truths([[0, 0, 10, 10]], [0])
    near = [0, 0, 10, 6.8]
    curves = PrecisionCurves([make_detections([near], [0.9], [0])], [truth])
    assert curves.mean_precision(ONE).tolist() == [1.0] * 4 + [0.0] * 6
    both = make_detections([[0, 0, 10, 10]] * 2, [0.9, 0.8], [0, 0])
    assert PrecisionCurves([both], [truth]).mean_precision(ONE)[0] == 1.0
    wrong_first = make_detections([[30, 30, 40, 40], near], [0.9, 0.8], [0, 0])
    precision = PrecisionCurves([wrong_first], [truth]).mean_precision(ONE)
    assert precision[0] == pytest.approx(0.5)


def test_weights_count_pictures_like_copies():
    """A picture that counts twice equals the picture given twice."""
    random = np.random.default_rng(0)
    found, truths = [], []
    for _ in range(6):
        corners = random.random((5, 2)) * 50
        boxes = np.concatenate([corners, corners + 20], axis=1)
        classes = random.integers(0, 3, 5)
        truths.append(Truths(boxes, classes))
        noisy = boxes + random.normal(0, 2, boxes.shape)
        found.append(Detections(noisy, np.sort(random.random(5))[::-1], classes))
    weights = np.array([2, 0, 1, 3, 1, 1])
    copies = [at for at, weight in enumerate(weights) for _ in range(weight)]
    copied = PrecisionCurves(
        [found[at] for at in copies], [truths[at] for at in copies]
    )
    expected = copied.mean_precision(np.ones(len(copies), int))
    weighted = PrecisionCurves(found, truths).mean_precision(weights)
    assert weighted == pytest.approx(expected)
    assert np.isnan(PrecisionCurves(found, truths).mean_precision(weights * 0)).all()


def make_run():
    """Two pictures, a box each; the head answers the first only."""
    labels = {
        "box": np.array([[40, 40, 60, 60], [10, 10, 30, 30]], np.float32),
        "box_class": np.array([0, 1], np.int32),
        "image_boxes": np.array([0, 1, 2]),
        "picture": np.tile(PICTURE, (2, 1)).astype(np.float32),
    }
    head = np.zeros((2, 3, 7), np.float32)
    head[0, 0] = [50, 50, 20, 20, 1, 0.9, 0]
    return head, labels


def test_score_by_hand_and_in_any_order():
    """One of two classes found; the raw heads beside the predictions are ignored."""
    head, labels = make_run()
    outputs = {"output": head, "345": np.zeros((2, 3, 4, 4, 85), np.float32)}
    result = score("coco_map", outputs, labels, [0, 1])
    assert result.figure("map50").value == result.figure("map50_95").value == 0.5
    assert (result.n, result.unit) == (2, "images")
    turned = score("coco_map", {"output": head[::-1]}, labels, [1, 0])
    assert turned == result


def test_nan_finds_nothing():
    """A picture with NaN in its predictions has no boxes, and is counted."""
    head, labels = make_run()
    head[0, 2, 6] = np.nan
    result = score("coco_map", {"output": head}, labels, [0, 1])
    assert (result.nonfinite_count, result.figure("map50").value) == (1, 0.0)


def test_errors():
    """Too few classes, several candidates, and nothing to find."""
    head, labels = make_run()
    with pytest.raises(PredictError, match=r"at least 2 classes"):
        score("coco_map", {"output": head[..., :6]}, labels, [0, 1])
    with pytest.raises(PredictError, match=r"which of the outputs \['a', 'b'\]"):
        score("coco_map", {"a": head, "b": head}, labels, [0, 1])
    empty = labels | {"image_boxes": np.array([0, 0, 0])}
    with pytest.raises(InternalError, match="none of the 2 pictures answered"):
        score("coco_map", {"output": head}, empty, [0, 1])
