"""The best answer span of each feature, from its start and end logits.

Input: logits and what each token is. Output: spans as token positions. It refuses to
know texts and questions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Spans", "best_spans"]

BEST_COUNT = 20
MAX_ANSWER_TOKENS = 30

Logits = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Spans:
    """The best span of each feature.

    Parameters
    ----------
    start, end : numpy.ndarray
        intp, shape (features,): first and last token.
    total : numpy.ndarray
        float64, shape (features,): sum of both logits; -inf if no span is allowed.
    nonfinite : numpy.ndarray
        bool, shape (features,): a logit of the context is NaN or infinite. Such a
        feature has no span.
    """

    start: npt.NDArray[np.intp]
    end: npt.NDArray[np.intp]
    total: Logits
    nonfinite: npt.NDArray[np.bool_]


def best_spans(
    start_logits: Logits,
    end_logits: Logits,
    in_context: npt.NDArray[np.bool_],
    is_max_context: npt.NDArray[np.bool_],
) -> Spans:
    """Find each feature's best span, by the rules of BERT's SQuAD script.

    Tokens outside the context are out (-inf, not 0: a zero would beat every negative
    logit). Of the others, the 20 best starts and the 20 best ends are paired: the end
    not before the start, at most 30 tokens, the start in the window that shows it with
    most context. The pair with the largest sum wins; ties go to the shorter, then the
    earlier span.

    Parameters
    ----------
    start_logits, end_logits : numpy.ndarray
        float64, shape (features, tokens).
    in_context : numpy.ndarray
        bool, same shape: the token is one of the context.
    is_max_context : numpy.ndarray
        bool, same shape: no other window shows the token with more context.

    Returns
    -------
    Spans
        One a feature.
    """
    count, tokens = start_logits.shape
    both_finite = np.isfinite(start_logits) & np.isfinite(end_logits)
    nonfinite: npt.NDArray[np.bool_] = np.any(in_context & ~both_finite, axis=1)
    allowed = in_context & ~nonfinite[:, None]
    starts = np.where(
        is_max_context, _keep_best(np.where(allowed, start_logits, -np.inf)), -np.inf
    )
    ends = _keep_best(np.where(allowed, end_logits, -np.inf))
    total = np.full(count, -np.inf)
    start, end = np.zeros(count, np.intp), np.zeros(count, np.intp)
    rows = np.arange(count)
    for length in range(min(MAX_ANSWER_TOKENS, tokens)):
        sums = starts[:, : tokens - length] + ends[:, length:]
        at = sums.argmax(axis=1)
        better = sums[rows, at] > total
        total[better] = sums[rows, at][better]
        start[better], end[better] = at[better], at[better] + length
    return Spans(start=start, end=end, total=total, nonfinite=nonfinite)


def _keep_best(logits: Logits) -> Logits:
    """Keep the 20 best of each row, the earlier of equal ones; the rest is -inf."""
    order = np.argsort(-logits, axis=1, kind="stable")[:, :BEST_COUNT]
    kept = np.full(logits.shape, -np.inf)
    np.put_along_axis(kept, order, np.take_along_axis(logits, order, 1), 1)
    return kept
