"""One door to the accuracy metrics.

Input: a metric's name, outputs, label columns, sample ids. Output: an `AccuracyScore`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy.typing as npt

from bytemlperf.errors import UnknownNameError
from bytemlperf.quality.accuracy_score import AccuracyScore
from bytemlperf.quality.click_score import score_clicks
from bytemlperf.quality.detection_score import score_detection
from bytemlperf.quality.pair_accuracy import score_pairs
from bytemlperf.quality.sample_outputs import Arrays, SampleIds, check_ids
from bytemlperf.quality.squad_score import score_squad
from bytemlperf.quality.top_k import score_top_k

__all__ = ["METRICS", "score"]


class Scorer(Protocol):
    """A metric."""

    def __call__(
        self,
        outputs: Arrays,
        labels: Arrays,
        samples: SampleIds,
        *,
        subset: str,
        roles: Mapping[str, str],
    ) -> AccuracyScore:
        """Score the outputs of some samples."""


METRICS: dict[str, Scorer] = {
    "top_k": score_top_k,
    "squad_v1": score_squad,
    "criteo": score_clicks,
    "coco_map": score_detection,
    "pair_accuracy": score_pairs,
}


def score(
    metric_name: str,
    outputs: Arrays,
    labels: Arrays,
    sample_ids: npt.ArrayLike,
    *,
    subset: str = "",
    output_roles: Mapping[str, str] | None = None,
) -> AccuracyScore:
    """Score a run.

    The score depends on the samples answered and on nothing else: not on their order
    and not on the batch size they were answered in.

    Parameters
    ----------
    metric_name : str
        A key of `METRICS`.
    outputs : mapping of str to numpy.ndarray
        Output name to an array of shape (n * rows, ...), rows in the order of
        `sample_ids`.
    labels : mapping of str to numpy.ndarray
        The dataset's label columns.
    sample_ids : array_like of int
        The n samples that were answered, all different.
    subset : str
        What was run of which data, for the report.
    output_roles : mapping of str to str, optional
        Role to output name, where the model's names do not tell: ``"scores"``
        (top_k, pair_accuracy), ``"start_logits"`` and ``"end_logits"`` or ``"logits"``
        (squad_v1),
        ``"probabilities"`` (criteo), ``"predictions"`` (coco_map).

    Returns
    -------
    AccuracyScore
        Figures with n and a 95 % interval each.

    Raises
    ------
    UnknownNameError
        If there is no such metric.
    PredictError
        If an output is missing or has a shape the metric cannot read; it is named.
    InternalError
        If ids repeat or do not belong to the labels.
    """
    if metric_name not in METRICS:
        raise UnknownNameError("metric", metric_name, METRICS)
    return METRICS[metric_name](
        outputs,
        labels,
        check_ids(sample_ids, "backend"),
        subset=subset,
        roles=output_roles or {},
    )
