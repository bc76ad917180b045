"""COCO mean average precision of detection.

Input: a YOLOv5 head's predictions and the box columns. Output: mAP at IoU 0.5, and over
0.5 to 0.95. Definition: the COCO evaluation (cocodataset.org, "Detection Evaluation"):
all areas, 100 boxes a class and picture, precision at 101 recalls.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from bytemlperf.errors import InternalError, PredictError
from bytemlperf.quality.accuracy_score import AccuracyScore, Figure
from bytemlperf.quality.detection_boxes import find_boxes
from bytemlperf.quality.detection_precision import PrecisionCurves, Truths
from bytemlperf.quality.intervals import bootstrap
from bytemlperf.quality.label_columns import label_column, labels_of
from bytemlperf.quality.sample_outputs import (
    Arrays,
    SampleIds,
    choose_output,
    rows_by_sample,
)

__all__ = ["score_detection"]

_RESAMPLES = 200


def score_detection(
    outputs: Arrays,
    labels: Arrays,
    samples: SampleIds,
    *,
    subset: str,
    roles: Mapping[str, str],
) -> AccuracyScore:
    """Score boxes.

    Intervals are bootstraps over pictures, 200 resamples. A picture whose predictions
    hold NaN or infinity has no boxes.

    Parameters
    ----------
    outputs : mapping of str to numpy.ndarray
        Predictions, shape (n, anchors, 5 + classes), under the role
        ``"predictions"`` or as the only output of three dimensions.
    labels : mapping of str to numpy.ndarray
        Columns as docs/datasets.md lists them for ``coco_map``.
    samples : SampleIds
        The n pictures.
    subset : str
        For people.
    roles : mapping of str to str
        Role to output name.

    Returns
    -------
    AccuracyScore
        Figures ``map50_95`` and ``map50``.

    Raises
    ------
    PredictError
        If the output is missing or has another shape.
    InternalError
        If none of the pictures has a box: there is nothing to find.
    """
    if "predictions" not in roles:
        outputs = {n: array for n, array in outputs.items() if array.ndim == 3}
    name, output = choose_output(outputs, "predictions", roles)
    by_sample = rows_by_sample(output, name, samples, "backend")
    class_count = int(label_column(labels, "box_class").max(initial=0)) + 1
    if by_sample.ndim != 4 or by_sample.shape[3] < 5 + class_count:
        raise PredictError(
            f"output {name!r} should have shape (n, anchors, 5 + classes) with at "
            f"least {class_count} classes, it has {output.shape}"
        )
    pictures = labels_of(labels, "picture", samples)
    bounds = label_column(labels, "image_boxes")
    found, truths = [], []
    nonfinite = 0
    # In the order of sample ids, so that ties do not depend on the order of answers.
    for at in np.argsort(samples.ids, kind="stable"):
        predictions = by_sample[at].reshape(-1, by_sample.shape[3]).astype(np.float64)
        if not np.isfinite(predictions).all():
            nonfinite += 1
            predictions = predictions[:0]
        found.append(find_boxes(predictions, pictures[at].astype(np.float64)))
        drawn = slice(bounds[samples.ids[at]], bounds[samples.ids[at] + 1])
        truths.append(
            Truths(
                boxes=label_column(labels, "box")[drawn].astype(np.float64),
                classes=np.asarray(label_column(labels, "box_class")[drawn]),
            )
        )
    count = samples.ids.size
    if not any(len(drawn.classes) for drawn in truths):
        raise InternalError(f"none of the {count} pictures answered has a box to find")
    curves = PrecisionCurves(found, truths)

    def both_figures(weights: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        precision = curves.mean_precision(weights)
        return np.array([precision.mean(), precision[0]])

    values = both_figures(np.ones(count, np.int64))
    intervals = bootstrap(count, both_figures, max_resamples=_RESAMPLES)
    figures = tuple(
        Figure(name=figure, value=float(value), unit="fraction", interval=interval)
        for figure, value, interval in zip(
            ("map50_95", "map50"), values, intervals, strict=True
        )
    )
    return AccuracyScore(
        metric="coco_map",
        figures=figures,
        n=count,
        unit="images",
        sample_count=count,
        incomplete_count=0,
        nonfinite_count=nonfinite,
        subset=subset,
    )
