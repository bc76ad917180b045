"""The arrays of SQuAD features: what the model takes, and the way back to the texts.

Input: chosen features. Output: arrays in a `SampleWriter`.
"""

from __future__ import annotations

from itertools import accumulate
from typing import Any

import numpy as np
import numpy.typing as npt

from bytemlperf.datasets.draft import Request
from bytemlperf.datasets.sample_cache import SampleWriter
from bytemlperf.datasets.squad_features import Feature
from bytemlperf.datasets.squad_text import SquadText
from bytemlperf.datasets.tokenizing import PairTokenizer, Tokens
from bytemlperf.tensor_spec import TensorSpec, last_segment

__all__ = ["write_inputs", "write_labels"]


def write_inputs(
    out: SampleWriter,
    request: Request,
    specs: dict[str, TensorSpec],
    features: list[Feature],
    text: SquadText,
    contexts: list[Tokens],
    tokenizer: PairTokenizer,
) -> None:
    """Write ids, mask and segments of every feature.

    Parameters
    ----------
    out : SampleWriter
        Where to.
    request : Request
        For the shapes.
    specs : dict of str to TensorSpec
        Semantics to input.
    features : list of Feature
        The samples, in order.
    text : SquadText
        Their questions.
    contexts : list of Tokens
        The contexts of `text`, tokenized.
    tokenizer : PairTokenizer
        For its special tokens.
    """
    arrays: dict[str, npt.NDArray[Any]] = {
        semantics: out.add_input(
            spec.name,
            count=len(features),
            dtype=spec.dtype,
            sample_shape=request.shape(spec),
        )[:, 0]
        for semantics, spec in specs.items()
    }
    arrays["token_ids"][...] = tokenizer.pad
    for row, feature in enumerate(features):
        context = contexts[text.questions[feature.question].context]
        window = context.ids[feature.start : feature.stop]
        before = [*tokenizer.opening, *feature.question_ids, *tokenizer.middle]
        ids = [*before, *window, *tokenizer.closing]
        arrays["token_ids"][row, : len(ids)] = ids
        if "attention_mask" in arrays:
            arrays["attention_mask"][row, : len(ids)] = 1
        if "segment_ids" in arrays:
            second = last_segment(specs["segment_ids"])
            arrays["segment_ids"][row, len(before) : len(ids)] = second


def write_labels(
    out: SampleWriter,
    features: list[Feature],
    text: SquadText,
    contexts: list[Tokens],
    tokens: int,
    tokenizer: PairTokenizer,
) -> None:
    """Write the label columns, as the module `squad` lists them.

    Parameters
    ----------
    out : SampleWriter
        Where to.
    features : list of Feature
        The samples, in order.
    text : SquadText
        All questions, asked or not.
    contexts : list of Tokens
        The contexts of `text`, tokenized.
    tokens : int
        Tokens of a sample.
    tokenizer : PairTokenizer
        For the number of its special tokens.
    """
    joined = len(tokenizer.opening) + len(tokenizer.middle)
    starts = np.full((len(features), tokens), -1, np.int32)
    ends = np.full((len(features), tokens), -1, np.int32)
    marks = np.zeros((len(features), tokens), np.bool_)
    for row, feature in enumerate(features):
        context = contexts[text.questions[feature.question].context]
        first = len(feature.question_ids) + joined
        part = slice(first, first + feature.stop - feature.start)
        offsets = np.array(context.offsets[feature.start : feature.stop], np.int32)
        offsets = offsets.reshape(-1, 2)
        starts[row, part], ends[row, part] = offsets[:, 0], offsets[:, 1]
        marks[row, part] = feature.is_max_context
    out.add_label("token_start", starts)
    out.add_label("token_end", ends)
    out.add_label("is_max_context", marks)
    questions = text.questions
    asked = [feature.question for feature in features]
    out.add_label("feature_question", np.array(asked, np.int32))
    context_of = [question.context for question in questions]
    out.add_label("question_context", np.array(context_of, np.int32))
    answer_counts = (len(question.answers) for question in questions)
    bounds = list(accumulate(answer_counts, initial=0))
    out.add_label("question_answers", np.array(bounds, np.int64))
    out.add_text_label("question_id", [question.identity for question in questions])
    out.add_text_label("context", text.contexts)
    out.add_text_label(
        "answer", [answer for question in questions for answer in question.answers]
    )
