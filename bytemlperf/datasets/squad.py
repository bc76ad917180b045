"""SQuAD v1.1: each sample is a feature, each label leads back to a question.

Input: a model with token ids, and perhaps an attention mask and segment ids. Output:
those, and the label columns

``feature_question`` (int32, (features,)): the question's index;
``token_start``, ``token_end`` (int32, (features, tokens)): characters of each token in
its context, -1 for tokens that are not of the context;
``is_max_context`` (bool, (features, tokens));
``question_context`` (int32, (questions,)): the context's index;
``question_answers`` (int64, (questions + 1,)): where its answers begin;
``question_id``, ``context``, ``answer``: texts.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt

from bytemlperf.datasets.draft import (
    Draft,
    Progress,
    Request,
    Unavailable,
    Written,
    choose_evenly,
    file_sha256,
)
from bytemlperf.datasets.sample_cache import SampleWriter
from bytemlperf.datasets.squad_arrays import write_inputs, write_labels
from bytemlperf.datasets.squad_features import Feature, make_features
from bytemlperf.datasets.squad_text import SquadText, read_squad
from bytemlperf.datasets.text_inputs import text_specs
from bytemlperf.datasets.tokenizing import read_tokenizer, read_word_piece
from bytemlperf.errors import PrepareError
from bytemlperf.tensor_spec import TensorSpec

__all__ = ["draft"]

VOCABULARY = "bert-base-uncased"
VOCABULARY_SIZE = 30522
TOKENIZER_FILE = "tokenizer.json"

# Data file, what it is, licence. The first that exists is taken.
_FILES = (
    (
        "open_squad/dev-v1.1.json",
        "SQuAD v1.1 development set",
        "CC BY-SA 4.0 (SQuAD v1.1)",
    ),
    (
        "squad_xquad/xquad.en.json",
        "XQuAD English, an official subset of the SQuAD v1.1 development set",
        "CC BY-SA 4.0 (XQuAD, SQuAD v1.1)",
    ),
)
_VOCABULARIES = ("open_squad/vocab.txt", "minilm_qa/vocab.txt")


def draft(request: Request) -> Draft | Unavailable:
    """Draft SQuAD features.

    Parameters
    ----------
    request : Request
        With one token-id input, and at most one mask and one segment input.

    Returns
    -------
    Draft or Unavailable
        Unavailable if the questions or the model's vocabulary are not to be had.

    Raises
    ------
    PrepareError
        If the data is there but damaged, or the inputs are others.
    """
    specs = text_specs(request, "open_squad")
    ids_spec = specs["token_ids"]
    found = _find(request)
    if isinstance(found, Unavailable):
        return found
    vocabulary_path = _find_vocabulary(request, ids_spec)
    if isinstance(vocabulary_path, Unavailable):
        return vocabulary_path
    path, statement, licence = found
    if vocabulary_path.name == TOKENIZER_FILE:
        tokenizer = read_tokenizer(vocabulary_path, str(request.hints.vocabulary))
    else:
        tokenizer = read_word_piece(vocabulary_path)
    if ids_spec.high is not None and tokenizer.size > ids_spec.high:
        raise PrepareError(
            f"{request.hints.model}: input {ids_spec.name!r} takes ids below "
            f"{ids_spec.high:g}, {vocabulary_path} has {tokenizer.size} tokens"
        )
    hints = request.hints
    tokens = request.shape(ids_spec)[-1]

    def write(out: SampleWriter, progress: Progress) -> Written:
        progress("tokenizing questions", 0, 1)
        text = read_squad(path, article_stride=hints.article_stride)
        contexts = tokenizer.tokenize(text.contexts)
        every = make_features(
            tokenizer,
            text,
            contexts,
            max_seq_length=tokens,
            doc_stride=hints.doc_stride,
            max_query_length=hints.max_query_length,
        )
        features = _choose(every, len(text.questions), request)
        write_inputs(out, request, specs, features, text, contexts, tokenizer)
        write_labels(out, features, text, contexts, tokens, tokenizer)
        progress("tokenizing questions", 1, 1)
        return Written(
            count=len(features), subset=_subset(features, text, statement, request)
        )

    return Draft(
        unit="features",
        transform=(
            f"{tokenizer.name}, {tokens} tokens, stride "
            f"{hints.doc_stride}, question at most {hints.max_query_length}"
        ),
        licence=licence,
        write=write,
        metric="squad_v1",
        source_sha256={
            path.name: file_sha256(path),
            vocabulary_path.name: file_sha256(vocabulary_path),
        },
        parameters={
            "doc_stride": hints.doc_stride,
            "max_query_length": hints.max_query_length,
            "article_stride": hints.article_stride,
            "tokenizers": tokenizer.version,
        },
    )


def _find_vocabulary(request: Request, spec: TensorSpec) -> Path | Unavailable:
    """Find the file with the model's own vocabulary; another one's ids would lie."""
    named = request.hints.vocabulary
    if named == VOCABULARY or (named is None and spec.high == VOCABULARY_SIZE):
        path = request.find(*_VOCABULARIES)
        return path or Unavailable(request.missing(*_VOCABULARIES))
    size = "an unknown number of" if spec.high is None else f"{spec.high:g}"
    reason = (
        f"the model's vocabulary ({named or 'unnamed'}, {size} tokens) cannot be read; "
        f"WordPiece ids of {VOCABULARY} would be other words to it"
    )
    if named is None:
        return Unavailable(reason)
    wanted = f"open_squad/{PurePosixPath(named).name}/{TOKENIZER_FILE}"
    return request.find(wanted) or Unavailable(f"{reason}; {request.missing(wanted)}")


def _find(request: Request) -> tuple[Path, str, str] | Unavailable:
    """Find the questions, and what to say of them."""
    for name, statement, licence in _FILES:
        path = request.find(name)
        if path is not None:
            return path, statement, licence
    return Unavailable(request.missing(*(name for name, _, _ in _FILES)))


def _choose(
    features: list[Feature], question_count: int, request: Request
) -> list[Feature]:
    """Choose whole questions, evenly, with no more than `max_samples` features.

    A question of which one window were missing could not be answered. Questions come
    in random order, the windows of one stay together.
    """
    of_question: list[list[Feature]] = [[] for _ in range(question_count)]
    for feature in features:
        of_question[feature.question].append(feature)
    windows = np.array([len(group) for group in of_question])
    chosen = _fitting_questions(windows, request.max_samples or len(features))
    random = np.random.Generator(np.random.PCG64(request.seed))
    return [
        feature
        for question in random.permutation(chosen)
        for feature in of_question[question]
    ]


def _fitting_questions(windows: npt.NDArray[np.int64], max_samples: int) -> list[int]:
    """Choose evenly spaced questions of which the windows add up to what is allowed."""
    for count in range(min(max_samples, windows.size), 0, -1):
        chosen = choose_evenly(windows.size, count)
        if windows[chosen].sum() <= max_samples:
            return chosen
    # Not even the first question fits: take the first that does, or else the first of
    # all, whole, for half would be no question.
    fitting = np.flatnonzero(windows <= max_samples)
    return [int(fitting[0]) if fitting.size else 0]


def _subset(
    features: list[Feature], text: SquadText, statement: str, request: Request
) -> str:
    asked = len({feature.question for feature in features})
    stride = request.hints.article_stride
    articles = f" (articles 0, {stride}, ... of {text.article_count})" * (stride > 1)
    taken = "all" if asked == len(text.questions) else f"{asked} evenly of"
    return (
        f"{taken} {len(text.questions)} questions{articles} of {statement}, "
        f"{len(features)} features"
    )
