"""From questions and contexts to features: windows of tokens a model can take.

Input: texts and a WordPiece vocabulary. Output: token ids and the way back to
characters. The rules are those of BERT's published SQuAD script: ``[CLS] question
[SEP] window [SEP]``, windows that start every `doc_stride` tokens, and a mark on the
window that shows a token with most context around it.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bytemlperf.datasets.squad_text import SquadText
from bytemlperf.errors import PrepareError

__all__ = ["Feature", "Tokens", "WordPiece", "context_windows", "max_context"]


@dataclass(frozen=True)
class Tokens:
    """A text as tokens.

    Parameters
    ----------
    ids : list of int
        Vocabulary indices.
    offsets : list of (int, int)
        First character and the one after the last, in the text, of each token.
    """

    ids: list[int]
    offsets: list[tuple[int, int]]


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


class WordPiece:
    """BERT's lower-casing WordPiece tokenizer, over a vocabulary file.

    Parameters
    ----------
    vocabulary : Path
        ``vocab.txt``, one token a line.

    Raises
    ------
    PrepareError
        If the file is no such vocabulary, or the tokenizers package is missing.
    """

    def __init__(self, vocabulary: Path) -> None:
        try:
            from tokenizers import BertWordPieceTokenizer
        except ImportError as error:
            raise PrepareError(
                "questions cannot be tokenized: tokenizers is not installed",
                hint="pip install tokenizers in the environment that prepares samples",
            ) from error
        try:
            words = vocabulary.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise PrepareError(
                f"cannot read the vocabulary {vocabulary}", detail=str(error)
            ) from error
        ids = {word: index for index, word in enumerate(words)}
        missing = {"[PAD]", "[UNK]", "[CLS]", "[SEP]"} - ids.keys()
        if missing:
            raise PrepareError(
                f"{vocabulary} is not a BERT vocabulary: no {sorted(missing)}"
            )
        self.size = len(words)
        self.version = importlib.metadata.version("tokenizers")
        self.pad, self.cls, self.sep = ids["[PAD]"], ids["[CLS]"], ids["[SEP]"]
        self._tokenizer: Any = BertWordPieceTokenizer(ids, lowercase=True)

    def tokenize(self, texts: Sequence[str]) -> list[Tokens]:
        """Tokenize texts, without special tokens.

        Parameters
        ----------
        texts : sequence of str
            Any number.

        Returns
        -------
        list of Tokens
            One a text.
        """
        encodings = self._tokenizer.encode_batch(list(texts), add_special_tokens=False)
        return [Tokens(list(one.ids), list(one.offsets)) for one in encodings]

    def features(
        self,
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
        questions = self.tokenize([question.text for question in text.questions])
        features = []
        for index, (question, tokens) in enumerate(
            zip(text.questions, questions, strict=True)
        ):
            question_ids = tokens.ids[:max_query_length]
            room = max_seq_length - len(question_ids) - 3
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
