"""SQuAD v1.1: from start and end logits to answers, and from answers to EM and F1.

Input: logits of features (windows of a context) and the label columns that lead back to
questions and texts. Output: figures over questions, never over features.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from bytemlperf.errors import InternalError, PredictError
from bytemlperf.quality.accuracy_score import AccuracyScore, Figure
from bytemlperf.quality.intervals import bootstrap_mean, wilson
from bytemlperf.quality.label_columns import label_column, labels_of, text_column
from bytemlperf.quality.sample_outputs import (
    Arrays,
    SampleIds,
    choose_output,
    rows_by_sample,
    take_output,
)
from bytemlperf.quality.squad_spans import Spans, best_spans
from bytemlperf.quality.squad_text import exact_match, f1

__all__ = ["predict_answers", "score_squad"]

_CHUNK_FEATURES = 512


def score_squad(
    outputs: Arrays,
    labels: Arrays,
    samples: SampleIds,
    *,
    subset: str,
    roles: Mapping[str, str],
) -> AccuracyScore:
    """Score answers: exact match and F1, over questions.

    A question counts if all of its features were run; the others are left out and
    counted as incomplete. A question without an allowed span is answered with nothing,
    which is wrong.

    Parameters
    ----------
    outputs : mapping of str to numpy.ndarray
        Either the roles ``"start_logits"`` and ``"end_logits"``, each of shape
        (n, tokens), or one output of shape (n, tokens, 2).
    labels : mapping of str to numpy.ndarray
        Columns as docs/datasets.md lists them for ``squad_v1``.
    samples : SampleIds
        The n features.
    subset : str
        For people.
    roles : mapping of str to str
        Role to output name; outputs named just like a role need no entry.

    Returns
    -------
    AccuracyScore
        Figures ``f1`` (bootstrap) and ``exact_match`` (Wilson).

    Raises
    ------
    PredictError
        If an output is missing or has another shape.
    InternalError
        If no question is complete.
    """
    answers, nonfinite_count, incomplete_count = predict_answers(
        outputs, labels, samples, roles=roles
    )
    if not answers:
        raise InternalError(
            "no SQuAD question has all of its features among the samples"
        )
    truths = text_column(labels, "answer")
    bounds = label_column(labels, "question_answers")
    exact = np.zeros(len(answers), np.bool_)
    overlap = np.zeros(len(answers))
    for at, (question, answer) in enumerate(sorted(answers.items())):
        accepted = truths[bounds[question] : bounds[question + 1]]
        exact[at] = exact_match(answer, accepted)
        overlap[at] = f1(answer, accepted)
    count = len(answers)
    good = int(exact.sum())
    return AccuracyScore(
        metric="squad_v1",
        figures=(
            Figure(
                name="f1",
                value=float(overlap.mean()),
                unit="fraction",
                interval=bootstrap_mean(overlap),
            ),
            Figure(
                name="exact_match",
                value=good / count,
                unit="fraction",
                interval=wilson(good, count),
            ),
        ),
        n=count,
        unit="questions",
        sample_count=samples.ids.size,
        incomplete_count=incomplete_count,
        nonfinite_count=nonfinite_count,
        subset=subset,
    )


def predict_answers(
    outputs: Arrays,
    labels: Arrays,
    samples: SampleIds,
    *,
    roles: Mapping[str, str],
) -> tuple[dict[int, str], int, int]:
    """Turn logits into an answer for each complete question.

    Of the spans of all of a question's features, the one with the largest sum of start
    and end logit wins; ties go to the earlier feature.

    Parameters
    ----------
    outputs, labels, samples, roles
        As in `score_squad`.

    Returns
    -------
    answers : dict of int to str
        Question index to the answer's text, ``""`` where no span is allowed.
    nonfinite_count : int
        Features with NaN or infinite logits.
    incomplete_count : int
        Questions with some but not all of their features among the samples.

    Raises
    ------
    PredictError
        If an output is missing or has another shape.
    """
    logits = _logits(outputs, samples, roles)
    question_of = labels_of(labels, "feature_question", samples)
    spans = _all_spans(logits, labels, samples)
    needed = np.bincount(label_column(labels, "feature_question"))
    present = np.bincount(question_of, minlength=needed.size)
    complete = (present == needed) & (needed > 0)
    contexts = text_column(labels, "context")
    context_of = label_column(labels, "question_context")
    answers = {int(question): "" for question in np.flatnonzero(complete)}
    best_total = dict.fromkeys(answers, -np.inf)
    # In the order of sample ids, so that ties do not depend on the order of answers.
    for at in np.argsort(samples.ids, kind="stable"):
        question = int(question_of[at])
        if question in answers and spans.total[at] > best_total[question]:
            best_total[question] = spans.total[at]
            feature = samples.ids[at]
            first = label_column(labels, "token_start")[feature, spans.start[at]]
            last = label_column(labels, "token_end")[feature, spans.end[at]]
            answers[question] = contexts[context_of[question]][first:last]
    incomplete = int(((present > 0) & ~complete).sum())
    return answers, int(spans.nonfinite.sum()), incomplete


def _all_spans(
    logits: tuple[npt.NDArray[Any], npt.NDArray[Any]],
    labels: Arrays,
    samples: SampleIds,
) -> Spans:
    token_start = label_column(labels, "token_start")
    if logits[0].shape != (samples.ids.size, token_start.shape[1]):
        raise PredictError(
            f"start and end logits should have shape "
            f"{(samples.ids.size, token_start.shape[1])}, they have {logits[0].shape}"
        )
    parts = []
    for first in range(0, samples.ids.size, _CHUNK_FEATURES):
        part = slice(first, first + _CHUNK_FEATURES)
        ids = samples.ids[part]
        parts.append(
            best_spans(
                logits[0][part].astype(np.float64),
                logits[1][part].astype(np.float64),
                token_start[ids] >= 0,
                np.asarray(label_column(labels, "is_max_context")[ids]),
            )
        )
    return Spans(
        start=np.concatenate([part.start for part in parts]),
        end=np.concatenate([part.end for part in parts]),
        total=np.concatenate([part.total for part in parts]),
        nonfinite=np.concatenate([part.nonfinite for part in parts]),
    )


def _logits(
    outputs: Arrays, samples: SampleIds, roles: Mapping[str, str]
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    count = samples.ids.size
    if len(outputs) > 1 or "start_logits" in roles:
        pair = []
        for role in ("start_logits", "end_logits"):
            name = roles.get(role, role)
            array = take_output(outputs, name, "backend")
            by_sample = rows_by_sample(array, name, samples, "backend")
            pair.append(by_sample.reshape(count, -1))
        if pair[0].shape != pair[1].shape:
            raise PredictError(
                f"start and end logits should have one shape, they have "
                f"{pair[0].shape} and {pair[1].shape}"
            )
        return pair[0], pair[1]
    name, array = choose_output(outputs, "logits", roles)
    by_sample = rows_by_sample(array, name, samples, "backend")
    if by_sample.ndim != 4 or by_sample.shape[1] != 1 or by_sample.shape[3] != 2:
        raise PredictError(
            f"output {name!r} should have shape (n, tokens, 2): start and end logits; "
            f"it has {array.shape}"
        )
    return by_sample[:, 0, :, 0], by_sample[:, 0, :, 1]
