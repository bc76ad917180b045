"""How often a model prefers what people preferred, of two candidates.

Input: a score for each candidate, and the label columns ``pair`` and ``is_preferred``.
Output: a share of pairs.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from bytemlperf.errors import InternalError, PredictError
from bytemlperf.quality.accuracy_score import AccuracyScore, Figure
from bytemlperf.quality.intervals import wilson
from bytemlperf.quality.label_columns import labels_of
from bytemlperf.quality.sample_outputs import (
    Arrays,
    SampleIds,
    choose_output,
    rows_by_sample,
)

__all__ = ["score_pairs"]


def score_pairs(
    outputs: Arrays,
    labels: Arrays,
    samples: SampleIds,
    *,
    subset: str,
    roles: Mapping[str, str],
) -> AccuracyScore:
    """Compare the scores of two candidates, pair by pair.

    A pair is right if the preferred candidate scores higher; a tie, and a score that is
    NaN or infinite, is wrong.

    Parameters
    ----------
    outputs : mapping of str to numpy.ndarray
        Similarity, shape (n,) or (n, 1), or two classes (n, 2) of which the second
        means alike; under the role ``"scores"`` or as the only output.
    labels : mapping of str to numpy.ndarray
        ``pair``: int32, shape (count,); ``is_preferred``: bool, shape (count,).
    samples : SampleIds
        The n candidates.
    subset : str
        For people.
    roles : mapping of str to str
        Role to output name.

    Returns
    -------
    AccuracyScore
        Figure ``pair_accuracy``, Wilson interval, over the pairs of which both
        candidates were run.

    Raises
    ------
    PredictError
        If the output is missing or has another shape, or no pair is whole.
    InternalError
        If the labels do not name one preferred candidate a pair.
    """
    pair = labels_of(labels, "pair", samples)
    is_preferred = labels_of(labels, "is_preferred", samples).astype(bool)
    name, output = choose_output(outputs, "scores", roles)
    by_sample = rows_by_sample(output, name, samples, "backend")
    scores = by_sample.reshape(samples.ids.size, -1).astype(np.float64)
    if scores.shape[1] not in (1, 2):
        raise PredictError(
            f"output {name!r} should have one score a sample, or two classes, it has "
            f"{scores.shape[1]} numbers"
        )
    finite = np.isfinite(scores).all(axis=1)
    score = np.where(finite, scores[:, -1], np.nan)
    order = np.lexsort((~is_preferred, pair))
    pairs, counts = np.unique(pair, return_counts=True)
    whole = np.isin(pair[order], pairs[counts == 2])
    sides = order[whole].reshape(-1, 2)
    if not len(sides):
        raise PredictError(
            f"of {len(pairs)} pairs none had both candidates run: nothing to compare"
        )
    if not (is_preferred[sides[:, 0]] & ~is_preferred[sides[:, 1]]).all():
        raise InternalError("a pair should have exactly one preferred candidate")
    # A comparison with NaN is false, so that what is not finite is wrong.
    good = int((score[sides[:, 0]] > score[sides[:, 1]]).sum())
    return AccuracyScore(
        metric="pair_accuracy",
        figures=(
            Figure(
                name="pair_accuracy",
                value=good / len(sides),
                unit="fraction",
                interval=wilson(good, len(sides)),
            ),
        ),
        n=len(sides),
        unit="pairs",
        sample_count=samples.ids.size,
        incomplete_count=len(pairs) - len(sides),
        nonfinite_count=int((~finite).sum()),
        subset=subset,
    )
