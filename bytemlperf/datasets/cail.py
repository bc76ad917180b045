"""CAIL2019-SCM: which of two court cases is more like a third.

Input: a model that takes token ids of a pair of texts, and perhaps a mask and segments.
Output: two samples a triple, (A, one) and (A, other), side by side, and the columns

``pair`` (int32, (count,)): the triple;
``is_preferred`` (bool, (count,)): whether the second text is the one that people chose.

In the published file the chosen text always stands first. A model that prefers whatever
comes first would be right always, so a coin, thrown by the seed, decides the order.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec
import numpy as np

from bytemlperf.datasets.draft import (
    Draft,
    Progress,
    Request,
    Unavailable,
    Written,
    file_sha256,
)
from bytemlperf.datasets.sample_cache import SampleWriter
from bytemlperf.datasets.text_inputs import text_specs
from bytemlperf.datasets.tokenizing import read_word_piece
from bytemlperf.errors import MALFORMED, PrepareError
from bytemlperf.tensor_spec import last_segment

__all__ = ["draft", "truncate_pair"]

DATASET = "open_cail2019"
VOCABULARY = "bert-base-chinese"
LICENCE = "CAIL2019 (arXiv:1911.08962): public judgments, published for research"
_FILES = (
    "open_cail2019/test.json",
    "open_cail2019/input.txt",
    "cail2019_scm/input.jsonl",
)
_VOCABULARIES = ("open_cail2019/vocab.txt", "cail2019_scm/vocab.txt")


class _Triple(msgspec.Struct):
    A: str
    B: str
    C: str
    label: Literal["B", "C"] = "B"


def draft(request: Request) -> Draft | Unavailable:
    """Draft pairs of court cases.

    Parameters
    ----------
    request : Request
        With one token-id input, and at most one mask and one segment input.

    Returns
    -------
    Draft or Unavailable
        Unavailable if the cases or the model's vocabulary are not to be had.

    Raises
    ------
    PrepareError
        If the data is there but damaged, or the inputs are others.
    """
    specs = text_specs(request, DATASET)
    if request.hints.vocabulary != VOCABULARY:
        return Unavailable(
            f"the model's vocabulary ({request.hints.vocabulary or 'unnamed'}) cannot "
            f"be read; ids of {VOCABULARY} would be other words to it"
        )
    path, vocabulary = request.find(*_FILES), request.find(*_VOCABULARIES)
    if path is None:
        return Unavailable(request.missing(*_FILES))
    if vocabulary is None:
        return Unavailable(request.missing(*_VOCABULARIES))
    tokenizer = read_word_piece(vocabulary)
    tokens = request.shape(specs["token_ids"])[-1]
    room = tokens - tokenizer.special_count

    def write(out: SampleWriter, progress: Progress) -> Written:
        progress("tokenizing cases", 0, 1)
        triples = _read(path)
        pairs = (request if request.max_samples is None else _halved(request)).choose(
            len(triples)
        )
        random = np.random.Generator(np.random.PCG64(request.seed))
        is_first = random.random(len(triples)) < 0.5
        chosen = [triples[at] for at in pairs]
        texts = [text for each in chosen for text in (each.A, each.B, each.C)]
        encoded = [each.ids for each in tokenizer.tokenize(texts)]
        arrays = {
            semantics: out.add_input(
                spec.name,
                count=2 * len(pairs),
                dtype=spec.dtype,
                sample_shape=request.shape(spec),
            )[:, 0]
            for semantics, spec in specs.items()
        }
        arrays["token_ids"][...] = tokenizer.pad
        preferred = np.zeros(2 * len(pairs), np.bool_)
        for row, (at, triple) in enumerate(zip(pairs, chosen, strict=True)):
            a, b, c = encoded[3 * row : 3 * row + 3]
            better, worse = (b, c) if triple.label == "B" else (c, b)
            both = [(better, True), (worse, False)]
            for side, (other, is_better) in enumerate(
                both if is_first[at] else both[::-1]
            ):
                sample = 2 * row + side
                preferred[sample] = is_better
                first, second = truncate_pair(a, other, room)
                before = [*tokenizer.opening, *first, *tokenizer.middle]
                ids = [*before, *second, *tokenizer.closing]
                arrays["token_ids"][sample, : len(ids)] = ids
                if "attention_mask" in arrays:
                    arrays["attention_mask"][sample, : len(ids)] = 1
                if "segment_ids" in arrays:
                    arrays["segment_ids"][sample, len(before) : len(ids)] = (
                        last_segment(specs["segment_ids"])
                    )
        out.add_label("pair", np.repeat(np.array(pairs, np.int32), 2))
        out.add_label("is_preferred", preferred)
        progress("tokenizing cases", 1, 1)
        taken = "all" if len(pairs) == len(triples) else f"{len(pairs)} evenly of"
        return Written(
            count=2 * len(pairs),
            subset=f"{taken} {len(triples)} CAIL2019-SCM triples of {path.name}",
        )

    return Draft(
        unit="pairs of cases",
        transform=(
            f"WordPiece ({VOCABULARY}), {tokens} tokens, the longer text cut first; "
            "order of the two candidates by a seeded coin"
        ),
        licence=LICENCE,
        write=write,
        metric="pair_accuracy",
        source_sha256={
            path.name: file_sha256(path),
            vocabulary.name: file_sha256(vocabulary),
        },
        parameters={"tokenizers": tokenizer.version},
    )


def truncate_pair(
    first: list[int], second: list[int], room: int
) -> tuple[list[int], list[int]]:
    """Cut two texts to a number of tokens, always the longer one, from its end.

    Parameters
    ----------
    first, second : list of int
        Token ids.
    room : int
        Tokens that both may have together.

    Returns
    -------
    tuple of (list of int, list of int)
        Of two texts that are both too long, each gets half; the first the odd one.
    """
    half = room // 2
    if len(second) <= half:
        return first[: room - len(second)], second
    if len(first) <= room - half:
        return first, second[: room - len(first)]
    return first[: room - half], second[:half]


def _halved(request: Request) -> Request:
    """Ask for triples: two samples each."""
    assert request.max_samples is not None
    return Request(
        specs=request.specs,
        hints=request.hints,
        data_root=request.data_root,
        max_samples=max(1, request.max_samples // 2),
        seed=request.seed,
        download_root=request.download_root,
    )


def _read(path: Path) -> list[_Triple]:
    """Read one JSON object a line."""
    triples = []
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if not line.strip():
                    continue
                try:
                    triples.append(msgspec.json.decode(line, type=_Triple))
                except MALFORMED as error:
                    raise PrepareError(
                        f"{path}, line {number}: expected an object with texts A, B "
                        "and C",
                        detail=str(error),
                    ) from error
    except OSError as error:
        raise PrepareError(f"cannot read {path}", detail=str(error)) from error
    if not triples:
        raise PrepareError(f"{path} holds no triple: the dataset is empty")
    return triples
