"""How right are the answers: accuracy against labels, numerics against a reference.

Input: a loaded backend and the prepared samples. Output: an `AccuracyReport` and a
`NumericReport`. A number that means nothing is not made: seeded weights have no
accuracy, and a run is never compared with itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from bytemlperf import quality
from bytemlperf.datasets import PreparedSamples, open_labels
from bytemlperf.engine.emitter import Emitter
from bytemlperf.engine.fitting import FittedPredict
from bytemlperf.engine.messages import PreparedTask
from bytemlperf.engine.targets import check_accuracy, check_numerics
from bytemlperf.errors import ConfigError
from bytemlperf.report.schema import (
    AccuracyReport,
    DifferenceBins,
    NumericOutput,
    NumericReport,
    WorstSample,
)
from bytemlperf.workloads import Workload

__all__ = ["compare_with_reference", "score_accuracy"]

Arrays = Mapping[str, npt.NDArray[Any]]


def predict_samples(
    predict: FittedPredict,
    arrays: Arrays,
    samples: PreparedSamples,
    count: int,
    emitter: Emitter,
) -> dict[str, npt.NDArray[Any]]:
    """Predict the first `count` samples, batch by batch; no tail is dropped.

    Parameters
    ----------
    predict : FittedPredict
        Loaded.
    arrays : mapping of str to ndarray
        All samples, rows on axis 0.
    samples : PreparedSamples
        Their description.
    count : int
        1 to ``samples.count``.
    emitter : Emitter
        Told of the progress.

    Returns
    -------
    dict of str to ndarray
        Outputs of samples 0 to ``count - 1``, in order.
    """
    size = predict.loaded_batch_size
    parts: list[dict[str, npt.NDArray[Any]]] = []
    for start in range(0, count, size):
        stop = min(start + size, count)
        feeds = {
            name: array[
                start * samples.rows_per_sample[name] : stop
                * samples.rows_per_sample[name]
            ]
            for name, array in arrays.items()
        }
        parts.append(predict.checked(feeds))
        emitter.progress(stop, count, samples.unit)
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def score_accuracy(
    predict: FittedPredict,
    arrays: Arrays,
    prepared: PreparedTask,
    workload: Workload,
    emitter: Emitter,
) -> AccuracyReport:
    """Score the backend's answers against the labels, if that means anything.

    Parameters
    ----------
    predict : FittedPredict
        Loaded.
    arrays : mapping of str to ndarray
        All samples.
    prepared : PreparedTask
        With the weights' origin and the dataset's metric.
    workload : Workload
        Its `data_percent` says what share of the samples is scored,
        its `accuracy_target` what share of a reference score is enough.
    emitter : Emitter
        Told of the progress.

    Returns
    -------
    AccuracyReport
        Scored, or the reason why not.

    Raises
    ------
    ConfigError
        The share is less than half a sample: nothing is selected.
    """
    samples = prepared.samples
    if prepared.model is None:
        return AccuracyReport("unavailable", "the backend runs no model")
    if samples.metric is None:
        why = samples.reason or f"dataset {samples.dataset} has no labels"
        return AccuracyReport("unavailable", why)
    if prepared.model.weights == "seeded":
        return AccuracyReport("not_meaningful", "seeded weights")
    count = round(samples.count * workload.data_percent / 100)
    if count < 1:
        raise ConfigError(
            f"data_percent {workload.data_percent:g} selects none of "
            f"{samples.count:,} {samples.unit}",
            hint=f"at least {50 / samples.count:.3g} selects one",
        )
    outputs = predict_samples(predict, arrays, samples, count, emitter)
    score = quality.score(
        samples.metric,
        outputs,
        open_labels(samples),
        np.arange(count),
        subset=samples.subset,
        output_roles=samples.output_roles,
    )
    targets, unjudged = check_accuracy(
        score,
        prepared.reference_scores,
        samples.source_sha256.values(),
        workload.accuracy_target,
    )
    return AccuracyReport(
        status="scored",
        metric=score.metric,
        values={figure.name: figure.value for figure in score.figures},
        interval_95={
            figure.name: (figure.interval.low, figure.interval.high)
            for figure in score.figures
        },
        n=score.n,
        unit=score.unit,
        sample_count=score.sample_count,
        incomplete_count=score.incomplete_count,
        nonfinite_count=score.nonfinite_count,
        data_percent=workload.data_percent,
        subset=score.subset,
        targets=targets,
        unjudged=unjudged,
    )


def compare_with_reference(
    predict: FittedPredict,
    arrays: Arrays,
    prepared: PreparedTask,
    workload: Workload,
    precision: str,
    emitter: Emitter,
) -> NumericReport:
    """Compare the backend's outputs with the prepared reference.

    Parameters
    ----------
    predict : FittedPredict
        Loaded.
    arrays : mapping of str to ndarray
        All samples.
    prepared : PreparedTask
        With the reference's file.
    workload : Workload
        May set the bound.
    precision : str
        That the backend says it computes in.
    emitter : Emitter
        Told of the progress.

    Returns
    -------
    NumericReport
        Compared, or the reason why not.

    Raises
    ------
    PredictError
        An output is missing or has another shape than the reference's.
    """
    if prepared.model is None:
        return NumericReport("unavailable", "the backend runs no model")
    if prepared.reference_file is None:
        return NumericReport(
            "unavailable", prepared.reference or "no reference was prepared"
        )
    count = prepared.reference_sample_count
    actual = predict_samples(predict, arrays, prepared.samples, count, emitter)
    with np.load(prepared.reference_file, allow_pickle=False) as stored:
        reference = {name: stored[name] for name in stored.files}
    ids = np.arange(count)
    compared = quality.compare_outputs(
        reference, actual, reference_ids=ids, actual_ids=ids
    )
    targets, unjudged = check_numerics(
        compared,
        precision,
        workload.min_snr_db,
        stored=str(prepared.model_info.get("model_precision") or ""),
    )
    return NumericReport(
        status="compared",
        reference=prepared.reference,
        sample_count=compared.sample_count,
        overall=_output(compared.overall),
        outputs=[_output(output) for output in compared.outputs],
        worst_samples=[
            WorstSample(
                worst.sample_id, worst.max_diff, worst.disagreeing_nonfinite_count
            )
            for worst in compared.worst_samples
        ],
        targets=targets,
        unjudged=unjudged,
    )


def _output(difference: quality.OutputDifference) -> NumericOutput:
    """Put one output's differences into the report's words."""
    return NumericOutput(
        name=difference.output,
        element_count=difference.element_count,
        compared_count=difference.compared_count,
        reference_nonfinite_count=difference.reference_nonfinite_count,
        actual_nonfinite_count=difference.actual_nonfinite_count,
        agreeing_nonfinite_count=difference.agreeing_nonfinite_count,
        mean_diff=difference.mean_diff,
        std_diff=difference.std_diff,
        max_diff=difference.max_diff,
        max_rel_diff=difference.max_rel_diff,
        mean_rel_diff=difference.mean_rel_diff,
        p50_diff=difference.p50_diff,
        p90_diff=difference.p90_diff,
        p99_diff=difference.p99_diff,
        p999_diff=difference.p999_diff,
        cosine_similarity=difference.cosine_similarity,
        snr_db=difference.snr_db,
        mean_ulp=difference.mean_ulp,
        p50_ulp=difference.p50_ulp,
        p99_ulp=difference.p99_ulp,
        max_ulp=difference.max_ulp,
        bins=DifferenceBins(
            zero_count=difference.bins.zero_count,
            below=[(o.exponent, o.count) for o in difference.bins.below],
            above=[(o.exponent, o.count) for o in difference.bins.above],
        ),
    )
