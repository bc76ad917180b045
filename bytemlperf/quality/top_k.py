"""Top-1 and Top-5 of image classification.

Input: class scores and the label column ``label``. Output: shares of images.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from bytemlperf.errors import PredictError
from bytemlperf.quality.accuracy_score import AccuracyScore, Figure
from bytemlperf.quality.intervals import wilson
from bytemlperf.quality.label_columns import labels_of
from bytemlperf.quality.sample_outputs import (
    Arrays,
    SampleIds,
    choose_output,
    rows_by_sample,
)

__all__ = ["score_top_k"]

_CHUNK_ELEMENTS = 1 << 22


def score_top_k(
    outputs: Arrays,
    labels: Arrays,
    samples: SampleIds,
    *,
    subset: str,
    roles: Mapping[str, str],
) -> AccuracyScore:
    """Score class scores: how often the label is first, or among the first five.

    The rank of a label is the number of classes that score higher, plus those that
    score the same and come before it: ties are decided as `argmax` does. Logits and
    probabilities rank alike.

    Parameters
    ----------
    outputs : mapping of str to numpy.ndarray
        The class scores, shape (n, classes), under the role ``"scores"`` or as the
        only output.
    labels : mapping of str to numpy.ndarray
        ``label``: int64, shape (count,), the model's class index.
    samples : SampleIds
        The n images.
    subset : str
        For people.
    roles : mapping of str to str
        Role to output name.

    Returns
    -------
    AccuracyScore
        Figures ``top1`` and ``top5``, Wilson intervals.

    Raises
    ------
    PredictError
        If the output is missing or has another shape, or a label is not among its
        classes.
    """
    name, output = choose_output(outputs, "scores", roles)
    by_sample = rows_by_sample(output, name, samples, "backend")
    count = samples.ids.size
    scores = by_sample.reshape(count, -1)
    wanted = labels_of(labels, "label", samples)
    if scores.shape[1] <= wanted.max():
        raise PredictError(
            f"output {name!r} should have a score for class {wanted.max()}, it has "
            f"{scores.shape[1]} classes"
        )
    top1 = top5 = nonfinite = 0
    step = max(1, _CHUNK_ELEMENTS // scores.shape[1])
    for start in range(0, count, step):
        part = scores[start : start + step].astype(np.float64)
        label = wanted[start : start + step, None]
        own = np.take_along_axis(part, label, axis=1)
        before = np.arange(part.shape[1])[None, :] < label
        rank = (part > own).sum(axis=1) + ((part == own) & before).sum(axis=1)
        finite = np.isfinite(part).all(axis=1)
        nonfinite += int((~finite).sum())
        top1 += int((finite & (rank < 1)).sum())
        top5 += int((finite & (rank < 5)).sum())
    figures = tuple(
        Figure(
            name=figure_name,
            value=good / count,
            unit="fraction",
            interval=wilson(good, count),
        )
        for figure_name, good in (("top1", top1), ("top5", top5))
    )
    return AccuracyScore(
        metric="top_k",
        figures=figures,
        n=count,
        unit="images",
        sample_count=count,
        incomplete_count=0,
        nonfinite_count=nonfinite,
        subset=subset,
    )
