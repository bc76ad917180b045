"""From questions and contexts to features: windows of tokens a model can take.

Input: texts and a tokenizer. Output: token ids and the way back to characters. The
rules are those of BERT's published SQuAD script: question and window joined as the
tokenizer joins pairs, windows that start every `doc_stride` tokens, and a mark on the
window that shows a token with most context around it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bytemlperf.datasets.squad_text import SquadText
from bytemlperf.datasets.tokenizing import PairTokenizer, Tokens
from bytemlperf.errors import PrepareError

__all__ = ["Feature", "context_windows", "make_features", "max_context"]


@dataclass(frozen=True)
class Feature:
    """One window of a question's context.

    Parameters
    ----------
    question : int
        Index of the question.
    question_ids : list of int
        Its tokens, cut to the longest allowed.
    start, stop : int
        The window: tokens of the context.
    is_max_context : numpy.ndarray
        bool, shape (stop - start,).
    """

    question: int
    question_ids: list[int]
    start: int
    stop: int
    is_max_context: npt.NDArray[np.bool_]


def make_features(
    tokenizer: PairTokenizer,
    text: SquadText,
    contexts: Sequence[Tokens],
    *,
    max_seq_length: int,
    doc_stride: int,
    max_query_length: int,
) -> list[Feature]:
    """Cut every question's context into windows.

    Parameters
    ----------
    tokenizer : PairTokenizer
        The model's own.
    text : SquadText
        The questions.
    contexts : sequence of Tokens
        Its contexts, tokenized.
    max_seq_length : int
        Tokens of a feature, special ones included.
    doc_stride : int
        Tokens from the start of a window to the start of the next.
    max_query_length : int
        A longer question is cut to so many tokens.

    Returns
    -------
    list of Feature
        All windows of question 0, then of question 1, and so on; a question has
        at least one.

    Raises
    ------
    PrepareError
        If a question leaves no room for its context.
    """
    questions = tokenizer.tokenize([question.text for question in text.questions])
    features = []
    for index, (question, tokens) in enumerate(
        zip(text.questions, questions, strict=True)
    ):
        question_ids = tokens.ids[:max_query_length]
        room = max_seq_length - len(question_ids) - tokenizer.special_count
        if room < 1:
            raise PrepareError(
                f"question {question.identity!r} has {len(question_ids)} tokens: "
                f"{max_seq_length} leave no room for its context"
            )
        length = len(contexts[question.context].ids)
        windows = context_windows(length, room, doc_stride)
        for (start, stop), marks in zip(
            windows, max_context(windows, length), strict=True
        ):
            features.append(Feature(index, question_ids, start, stop, marks))
    return features


def context_windows(length: int, room: int, stride: int) -> list[tuple[int, int]]:
    """Cover a context with windows.

    Parameters
    ----------
    length : int
        Tokens of the context.
    room : int
        Tokens a window can hold.
    stride : int
        Tokens between two starts; never more than the window, so nothing is skipped.

    Returns
    -------
    list of (int, int)
        First token and the one after the last; the last window ends at `length`.
    """
    windows = []
    start = 0
    while True:
        stop = min(length, start + room)
        windows.append((start, stop))
        if stop == length:
            return windows
        start += min(stride, room)


def max_context(
    windows: Sequence[tuple[int, int]], length: int
) -> list[npt.NDArray[np.bool_]]:
    """Mark in which window each token has most context.

    A token's context in a window is the smaller of the tokens left and right of it,
    plus a hundredth of the window's length; the earlier window wins a tie.

    Parameters
    ----------
    windows : sequence of (int, int)
        From `context_windows`.
    length : int
        Tokens of the context.

    Returns
    -------
    list of numpy.ndarray
        For each window bool, shape (stop - start,). Over all windows, each token is
        marked once.
    """
    scores = np.full((len(windows), length), -np.inf)
    for row, (start, stop) in enumerate(windows):
        place = np.arange(stop - start)
        scores[row, start:stop] = np.minimum(place, place[::-1]) + 0.01 * (stop - start)
    best = scores.argmax(axis=0) if length else np.zeros(0, np.intp)
    return [best[start:stop] == row for row, (start, stop) in enumerate(windows)]
