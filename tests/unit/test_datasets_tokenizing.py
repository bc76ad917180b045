"""Each model's own tokenizer: byte-level BPE joins and points back as RoBERTa's."""

from __future__ import annotations

import json

import numpy as np
import pytest

from bytemlperf.datasets import ModelHints, open_arrays, open_labels, prepare_samples
from bytemlperf.datasets.tokenizing import read_tokenizer
from bytemlperf.errors import PrepareError
from bytemlperf.tensor_spec import TensorSpec

pytestmark = pytest.mark.frameworks

CONTEXT = "Die Müllers saßen am Fluß — und lasen."
LENGTH = 48


def train_byte_level(path, tokens):
    """Train a small byte-level BPE with RoBERTa's special tokens and joining."""
    from tokenizers import ByteLevelBPETokenizer, processors

    tokenizer = ByteLevelBPETokenizer(trim_offsets=True)
    tokenizer.train_from_iterator(
        [CONTEXT, "Wer saß am Fluß?"] * 20, vocab_size=300, special_tokens=list(tokens)
    )
    if "<s>" in tokens:
        tokenizer.post_processor = processors.RobertaProcessing(
            ("</s>", tokens.index("</s>")), ("<s>", tokens.index("<s>"))
        )
    # Whoever saved the file may have wanted texts cut to eight tokens; we do not.
    tokenizer.enable_truncation(8)
    path.parent.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(path))


def prepare(root, vocabulary="roberta-tiny"):
    article = {
        "title": "t",
        "paragraphs": [
            {
                "context": CONTEXT,
                "qas": [
                    {
                        "id": "q",
                        "question": "Wer saß am Fluß?",
                        "answers": [{"text": "Die Müllers", "answer_start": 0}],
                    }
                ],
            }
        ],
    }
    folder = root / "open_squad"
    folder.mkdir(exist_ok=True)
    (folder / "dev-v1.1.json").write_text(json.dumps({"data": [article]}))
    specs = (
        TensorSpec("ids", "int64", (1, LENGTH), "token_ids", 0, 400),
        TensorSpec("mask", "int64", (1, LENGTH), "attention_mask"),
    )
    return prepare_samples(
        "open_squad",
        specs=specs,
        model=ModelHints(model="net", framework="Pytorch", vocabulary=vocabulary),
        cache_dir=root / "cache",
        data_root=root,
        max_samples=None,
        seed=0,
    )


def test_byte_level_bpe_is_joined_as_roberta_joins(tmp_path):
    """<s> question </s></s> context </s>; every token leads back to its characters."""
    path = tmp_path / "open_squad" / "roberta-tiny" / "tokenizer.json"
    train_byte_level(path, ("<s>", "<pad>", "</s>", "<unk>", "<mask>"))
    prepared = prepare(tmp_path)
    assert prepared.origin == "real"
    assert "roberta-tiny" in prepared.transform
    tokenizer = read_tokenizer(path, "roberta-tiny")
    question, context = tokenizer.tokenize(["Wer saß am Fluß?", CONTEXT])
    ids = open_arrays(prepared)["ids"][0]
    used = int(open_arrays(prepared)["mask"][0].sum())
    assert ids[:used].tolist() == [0, *question.ids, 2, 2, *context.ids, 2]
    assert set(ids[used:]) == {1}
    labels = open_labels(prepared)
    starts, ends = labels["token_start"][0], labels["token_end"][0]
    inside = np.flatnonzero(starts >= 0)
    assert inside.tolist() == list(
        range(len(question.ids) + 3, len(question.ids) + 3 + len(context.ids))
    )
    # The first and the last token of "Die Müllers" give back just these letters; the
    # space that a token begins with is not among its characters.
    first, last = (
        int(starts[inside[0]]),
        next(int(end) for end in ends[inside] if end >= len("Die Müllers")),
    )
    assert CONTEXT[first:last] == "Die Müllers"
    pieces = [CONTEXT[starts[at] : ends[at]] for at in inside]
    assert not any(piece.startswith(" ") for piece in pieces)


def test_a_file_that_is_no_tokenizer_is_named(tmp_path):
    """Damage is an error, absence a reason, and another join is refused."""
    path = tmp_path / "open_squad" / "roberta-tiny" / "tokenizer.json"
    path.parent.mkdir(parents=True)
    drawn = prepare(tmp_path, vocabulary="xlnet-base-cased")
    assert drawn.origin == "synthetic"
    assert "open_squad/xlnet-base-cased/tokenizer.json" in str(drawn.reason)
    path.write_text("{}")
    with pytest.raises(PrepareError, match=r"cannot read the tokenizer .*tokenizer\.j"):
        prepare(tmp_path)
    train_byte_level(path, ("<pad>", "<sep>", "<cls>"))
    with pytest.raises(PrepareError, match="not known how this tokenizer joins"):
        prepare(tmp_path)
