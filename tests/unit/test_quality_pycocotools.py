"""Average precision against pycocotools, on drawn pictures."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest

from bytemlperf.quality.detection_boxes import Detections
from bytemlperf.quality.detection_precision import PrecisionCurves, Truths

CLASSES = 4


def draw(seed, pictures=12):
    """Draw boxes, and detections that are sometimes near one, sometimes twice."""
    random = np.random.default_rng(seed)
    truths, found = [], []
    for _ in range(pictures):
        count = random.integers(0, 6)
        corner = random.uniform(0, 300, (count, 2))
        drawn = np.concatenate([corner, corner + random.uniform(8, 250, (count, 2))], 1)
        classes = random.integers(0, CLASSES, count)
        truths.append(Truths(boxes=drawn, classes=classes))
        at = random.integers(0, count, 2 * count) if count else np.zeros(0, int)
        near = drawn[at] + random.normal(0, 12, (at.size, 4))
        stray = random.uniform(0, 200, (3, 2))
        boxes = np.concatenate([near, np.concatenate([stray, stray + 60], 1)])
        boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2] + 1)
        labels = np.concatenate([classes[at], random.integers(0, CLASSES, 3)])
        # All different: how ties are broken is nobody's rule.
        scores = random.permutation(len(boxes) * 50)[: len(boxes)] / 1e4
        best = np.argsort(-scores)
        found.append(
            Detections(boxes[best], scores[best] + random.random(), labels[best])
        )
    return found, truths


def official(found, truths):
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    def wh(box):
        left, top, right, bottom = map(float, box)
        return [left, top, right - left, bottom - top]

    annotations, detections = [], []
    for image, (seen, drawn) in enumerate(zip(found, truths, strict=True), 1):
        for box, label in zip(drawn.boxes, drawn.classes, strict=True):
            x, y, w, h = wh(box)
            annotations.append(
                {
                    "id": len(annotations) + 1, "image_id": image, "iscrowd": 0,
                    "category_id": int(label), "bbox": [x, y, w, h], "area": w * h,
                }
            )  # fmt: skip
        for box, mark, label in zip(seen.boxes, seen.scores, seen.classes, strict=True):
            detections.append(
                {
                    "image_id": image, "category_id": int(label),
                    "bbox": wh(box), "score": float(mark),
                }
            )  # fmt: skip
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = {
            "images": [{"id": image} for image in range(1, len(found) + 1)],
            "categories": [{"id": label} for label in range(CLASSES)],
            "annotations": annotations,
        }
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(detections), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation.stats[:2]


@pytest.mark.parametrize("seed", range(6))
def test_average_precision_is_that_of_pycocotools(seed):
    """The mean over ten thresholds and that at 0.5, to rounding."""
    found, truths = draw(seed)
    precision = PrecisionCurves(found, truths).mean_precision(
        np.ones(len(found), np.int64)
    )
    ours = (precision.mean(), precision[0])
    assert ours == pytest.approx(tuple(official(found, truths)), abs=1e-12)
    assert 0.05 < ours[0] < ours[1] < 1
