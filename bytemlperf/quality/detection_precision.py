"""Average precision of boxes, by COCO's rules.

Input: boxes found and boxes drawn, picture by picture. Output: precision by IoU
threshold. Matching is done once; a resample of pictures then costs only sums.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bytemlperf.quality.detection_boxes import Detections, box_iou

__all__ = ["IOU_THRESHOLDS", "PrecisionCurves", "Truths"]

IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)
MAX_BOXES_PER_CLASS = 100

_RECALLS = np.linspace(0.0, 1.0, 101)

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Truths:
    """The boxes people drew on one picture.

    Parameters
    ----------
    boxes : numpy.ndarray
        float64, shape (n, 4): left, top, right, bottom.
    classes : numpy.ndarray
        int, shape (n,).
    """

    boxes: Floats
    classes: npt.NDArray[Any]


@dataclass(frozen=True)
class _ClassHits:
    """All boxes found of one class, best first.

    Attributes
    ----------
    picture : numpy.ndarray
        intp, shape (found,): where each was found.
    hits : numpy.ndarray
        bool, shape (thresholds, found): whether it matches a box drawn.
    drawn : numpy.ndarray
        int64, shape (pictures,): boxes of the class drawn on each picture.
    """

    picture: npt.NDArray[np.intp]
    hits: npt.NDArray[np.bool_]
    drawn: npt.NDArray[np.int64]


class PrecisionCurves:
    """Precision and recall of a run, ready to be taken over any draw of pictures.

    Parameters
    ----------
    found : sequence of Detections
        One a picture.
    truths : sequence of Truths
        One a picture, same order.
    """

    def __init__(self, found: Sequence[Detections], truths: Sequence[Truths]) -> None:
        classes = np.unique(np.concatenate([truth.classes for truth in truths]))
        self._classes = [_match_class(int(one), found, truths) for one in classes]

    def mean_precision(self, weights: npt.NDArray[np.int64]) -> Floats:
        """Give the mean over classes of average precision.

        Parameters
        ----------
        weights : numpy.ndarray
            int64, shape (pictures,): how often each picture counts.

        Returns
        -------
        numpy.ndarray
            float64, shape (thresholds,), in [0, 1]; NaN if no picture that counts has
            a box drawn. Classes without one do not count.
        """
        averages = [
            _average_precision(hits, weights)
            for hits in self._classes
            if np.dot(hits.drawn, weights) > 0
        ]
        if not averages:
            return np.full(IOU_THRESHOLDS.size, np.nan)
        mean: Floats = np.mean(averages, axis=0)
        return mean


def _average_precision(hits: _ClassHits, weights: npt.NDArray[np.int64]) -> Floats:
    """Average precision at 101 recalls; shape (thresholds,)."""
    counts = weights[hits.picture]
    right = np.cumsum(hits.hits * counts, axis=1, dtype=np.float64)
    seen = np.cumsum(counts)
    recall = right / np.dot(hits.drawn, weights)
    precision = right / np.maximum(seen, 1)
    # The envelope: the best precision at this recall or any higher one.
    envelope = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    # A recall that is never reached has precision 0.
    padded = np.pad(envelope, ((0, 0), (0, 1)))
    return np.array(
        [
            row[np.searchsorted(reached, _RECALLS, side="left")].mean()
            for row, reached in zip(padded, recall, strict=True)
        ]
    )


def _match_class(
    wanted: int, found: Sequence[Detections], truths: Sequence[Truths]
) -> _ClassHits:
    scores, pictures, hits = [], [], []
    drawn = np.zeros(len(truths), np.int64)
    for picture, (detections, truth) in enumerate(zip(found, truths, strict=True)):
        chosen = np.flatnonzero(detections.classes == wanted)[:MAX_BOXES_PER_CLASS]
        boxes = truth.boxes[truth.classes == wanted]
        drawn[picture] = len(boxes)
        scores.append(detections.scores[chosen])
        pictures.append(np.full(chosen.size, picture, np.intp))
        hits.append(_match_picture(box_iou(detections.boxes[chosen], boxes)))
    order = np.argsort(-np.concatenate(scores), kind="stable")
    return _ClassHits(
        picture=np.concatenate(pictures)[order],
        hits=np.concatenate(hits, axis=1)[:, order],
        drawn=drawn,
    )


def _match_picture(iou: Floats) -> npt.NDArray[np.bool_]:
    """Match found boxes, best first, each to the free drawn box it overlaps most."""
    hits = np.zeros((IOU_THRESHOLDS.size, len(iou)), np.bool_)
    if not iou.shape[1]:
        return hits
    for row, threshold in enumerate(IOU_THRESHOLDS):
        free = np.ones(iou.shape[1], np.bool_)
        for at, overlaps in enumerate(iou):
            best = int(np.where(free, overlaps, -1.0).argmax())
            if free[best] and overlaps[best] >= threshold:
                free[best] = False
                hits[row, at] = True
    return hits
