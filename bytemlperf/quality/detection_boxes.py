"""From a YOLOv5 head to boxes: decode, threshold, suppress.

Input: one picture's predictions. Output: boxes, scores and classes, best first. The
settings are those YOLOv5 validates with: every class of a box is a candidate of its own
above 0.001, IoU 0.6 within a class, 30,000 candidates, 300 boxes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Detections", "box_iou", "find_boxes"]

MIN_SCORE = 0.001
MAX_IOU = 0.6
MAX_CANDIDATES = 30_000
MAX_BOXES = 300

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Detections:
    """Boxes found in one picture, best first.

    Parameters
    ----------
    boxes : numpy.ndarray
        float64, shape (n, 4): left, top, right, bottom, pixels of the input.
    scores : numpy.ndarray
        float64, shape (n,): objectness times class probability.
    classes : numpy.ndarray
        intp, shape (n,).
    """

    boxes: Floats
    scores: Floats
    classes: npt.NDArray[np.intp]


def find_boxes(predictions: Floats, picture: Floats) -> Detections:
    """Decode one picture's predictions and suppress overlapping boxes.

    Parameters
    ----------
    predictions : numpy.ndarray
        float64, shape (anchors, 5 + classes), finite: centre x and y, width, height in
        pixels, objectness, class probabilities.
    picture : numpy.ndarray
        float64, shape (4,): the part of the input that is no padding; boxes are cut to
        it.

    Returns
    -------
    Detections
        At most 300.
    """
    likely = predictions[predictions[:, 4] > MIN_SCORE]
    class_scores = likely[:, 5:] * likely[:, 4:5]
    anchors, classes = np.nonzero(class_scores > MIN_SCORE)
    scores = class_scores[anchors, classes]
    # Stable, so that equal scores keep the order of anchors whatever the platform.
    order = np.argsort(-scores, kind="stable")[:MAX_CANDIDATES]
    anchors, classes, scores = anchors[order], classes[order], scores[order]
    centre, half = likely[anchors, :2], likely[anchors, 2:4] / 2
    corners = np.concatenate([centre - half, centre + half], axis=1)
    kept = _suppress(corners, classes)
    # The least upper and the greatest lower bound: the picture's own edges.
    cut = np.clip(corners[kept], np.tile(picture[:2], 2), np.tile(picture[2:], 2))
    return Detections(boxes=cut, scores=scores[kept], classes=classes[kept])


def box_iou(boxes: Floats, others: Floats) -> Floats:
    """Give intersection over union of all pairs.

    Parameters
    ----------
    boxes, others : numpy.ndarray
        float64, shapes (n, 4) and (m, 4): left, top, right, bottom.

    Returns
    -------
    numpy.ndarray
        float64, shape (n, m), in [0, 1]; 0 for two boxes without area.
    """
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    shared = np.prod(np.clip(high - low, 0, None), axis=2)
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    other_areas = np.prod(others[:, 2:] - others[:, :2], axis=1)
    union = areas[:, None] + other_areas[None, :] - shared
    iou: Floats = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return iou


def _suppress(boxes: Floats, classes: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """Keep the best box, drop those of its class that overlap it, and so on."""
    left = np.arange(len(boxes))
    kept: list[int] = []
    while left.size and len(kept) < MAX_BOXES:
        best, left = left[0], left[1:]
        kept.append(int(best))
        overlap = box_iou(boxes[best : best + 1], boxes[left])[0]
        left = left[(overlap <= MAX_IOU) | (classes[left] != classes[best])]
    return np.array(kept, np.intp)
