"""Accuracy, AUC and log loss of click prediction.

Input: click probabilities and the label column ``label``. Output: figures over rows.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from bytemlperf.errors import PredictError
from bytemlperf.quality.accuracy_score import AccuracyScore, Figure
from bytemlperf.quality.intervals import bootstrap, bootstrap_mean, wilson
from bytemlperf.quality.label_columns import labels_of
from bytemlperf.quality.sample_outputs import (
    Arrays,
    SampleIds,
    choose_output,
    rows_by_sample,
)

__all__ = ["area_under_curve", "score_clicks"]

_CLIP = 1e-15
_TOLERANCE = 1e-3


def score_clicks(
    outputs: Arrays,
    labels: Arrays,
    samples: SampleIds,
    *,
    subset: str,
    roles: Mapping[str, str],
) -> AccuracyScore:
    """Score click probabilities.

    ``accuracy`` is ByteMLPerf's Top-1, ``argmax(round(p)) == label``: a click is
    predicted above 0.5. It says little where few rows are clicks, hence ``auc`` (the
    chance that a click scores higher than a non-click, ties counting half) and
    ``log_loss`` (mean ``-ln`` of the probability given to what happened, probabilities
    clipped to ``[1e-15, 1 - 1e-15]``).

    A row whose output is NaN or infinite is as wrong as can be: it counts as the
    opposite of its label in all three.

    Parameters
    ----------
    outputs : mapping of str to numpy.ndarray
        Probabilities, shape (n, 2) of (no click, click), or (n, 1) or (n,) of a
        click, under the role ``"probabilities"`` or as the only output.
    labels : mapping of str to numpy.ndarray
        ``label``: int8, shape (count,), 1 for a click.
    samples : SampleIds
        The n rows.
    subset : str
        For people.
    roles : mapping of str to str
        Role to output name.

    Returns
    -------
    AccuracyScore
        Figures ``auc`` (bootstrap; absent if only one class occurs), ``log_loss``
        (bootstrap) and ``accuracy`` (Wilson).

    Raises
    ------
    PredictError
        If the output is missing, has another shape, or holds no probabilities.
    """
    name, output = choose_output(outputs, "probabilities", roles)
    by_sample = rows_by_sample(output, name, samples, "backend")
    count = samples.ids.size
    columns = by_sample.reshape(count, -1).astype(np.float64)
    if columns.shape[1] not in (1, 2):
        raise PredictError(
            f"output {name!r} should have one or two values a row, "
            f"it has {columns.shape[1]}"
        )
    clicked = labels_of(labels, "label", samples).astype(np.bool_)
    finite = np.isfinite(columns).all(axis=1)
    probability = columns[:, -1]
    if finite.any():
        low, high = float(probability[finite].min()), float(probability[finite].max())
        if low < -_TOLERANCE or high > 1 + _TOLERANCE:
            raise PredictError(
                f"output {name!r} should hold probabilities, "
                f"its values reach from {low:g} to {high:g}"
            )
    probability = np.where(finite, probability.clip(0.0, 1.0), ~clicked)
    figures = []
    if clicked.any() and not clicked.all():
        curve = _Curve(probability, clicked)
        (interval,) = bootstrap(count, lambda drawn: np.array([curve.area(drawn)]))
        figures.append(
            Figure(
                name="auc",
                value=curve.area(np.ones(count, np.int64)),
                unit="fraction",
                interval=interval,
            )
        )
    given = np.where(clicked, probability, 1.0 - probability).clip(_CLIP, 1 - _CLIP)
    losses = -np.log(given)
    figures.append(
        Figure(
            name="log_loss",
            value=float(losses.mean()),
            unit="nats",
            interval=bootstrap_mean(losses),
            is_better="lower",
        )
    )
    good = int(((probability > 0.5) == clicked).sum())
    figures.append(
        Figure(
            name="accuracy",
            value=good / count,
            unit="fraction",
            interval=wilson(good, count),
        )
    )
    return AccuracyScore(
        metric="criteo",
        figures=tuple(figures),
        n=count,
        unit="rows",
        sample_count=count,
        incomplete_count=0,
        nonfinite_count=int((~finite).sum()),
        subset=subset,
    )


def area_under_curve(
    scores: npt.NDArray[np.float64], positive: npt.NDArray[np.bool_]
) -> float:
    """Give the area under the ROC curve, as Mann and Whitney's U over all pairs.

    Parameters
    ----------
    scores : numpy.ndarray
        float64, shape (n,), finite.
    positive : numpy.ndarray
        bool, shape (n,).

    Returns
    -------
    float
        In [0, 1]: the share of (positive, negative) pairs in which the positive
        scores higher, ties counting half. NaN if one class is absent.
    """
    return _Curve(scores, positive).area(np.ones(scores.size, np.int64))


class _Curve:
    """Scores sorted once, so that each resample costs no sort."""

    def __init__(
        self, scores: npt.NDArray[np.float64], positive: npt.NDArray[np.bool_]
    ) -> None:
        distinct, self._group = np.unique(scores, return_inverse=True)
        self._group_count = distinct.size
        self._positive = positive

    def area(self, weights: npt.NDArray[np.int64]) -> float:
        """Give the area with each row counted `weights` times; NaN if undefined."""
        size = self._group_count
        ones = np.bincount(self._group, weights * self._positive, size)
        zeros = np.bincount(self._group, weights * ~self._positive, size)
        pairs = ones.sum() * zeros.sum()
        if pairs == 0.0:
            return float("nan")
        below = np.cumsum(zeros) - zeros
        return float(np.dot(ones, below + zeros / 2) / pairs)
