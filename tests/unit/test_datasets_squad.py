"""SQuAD features: windows, the way back to characters, and whole questions."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bytemlperf.datasets import ModelHints, open_arrays, open_labels, prepare_samples
from bytemlperf.datasets.squad_features import context_windows, max_context
from bytemlperf.datasets.squad_text import read_squad
from bytemlperf.errors import PrepareError
from bytemlperf.tensor_spec import TensorSpec

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "the", "cat", "##s", "sat", "where", "?"]
LENGTH = 12

SPECS = (
    TensorSpec("ids", "int64", (1, LENGTH), "token_ids", 0, len(WORDS)),
    TensorSpec("mask", "int32", (1, LENGTH), "attention_mask"),
    TensorSpec("segments", "float32", (1, LENGTH), "segment_ids"),
)


def hints(**changes):
    return ModelHints(
        model="tiny-bert",
        framework="Pytorch",
        **({"vocabulary": "bert-base-uncased", "doc_stride": 3} | changes),
    )


def write_squad(root, paragraphs):
    """Write one article a paragraph, and a vocabulary of ten words."""
    (root / "open_squad").mkdir(parents=True)
    articles = [
        {
            "title": f"t{index}",
            "paragraphs": [
                {
                    "context": context,
                    "qas": [
                        {
                            "id": f"q{index}-{at}",
                            "question": question,
                            "answers": [
                                {"text": answer, "answer_start": context.find(answer)}
                            ],
                        }
                        for at, (question, answer) in enumerate(questions)
                    ],
                }
            ],
        }
        for index, (context, questions) in enumerate(paragraphs)
    ]
    file = root / "open_squad" / "dev-v1.1.json"
    file.write_text(json.dumps({"version": "1.1", "data": articles}))
    (root / "open_squad" / "vocab.txt").write_text("\n".join(WORDS) + "\n")
    return file


def prepare(root, specs=SPECS, **changes):
    arguments = {
        "specs": specs,
        "model": hints(),
        "cache_dir": root / "cache",
        "data_root": root,
        "max_samples": None,
        "seed": 0,
    }
    return prepare_samples("open_squad", **(arguments | changes))


@given(st.integers(0, 300), st.integers(1, 90), st.integers(1, 128))
def test_windows_cover_and_each_token_has_one_best_window(length, room, stride):
    """Nothing is skipped, and every token is marked exactly once, by brute force."""
    windows = context_windows(length, room, stride)
    marks = max_context(windows, length)
    assert windows[0][0] == 0
    assert windows[-1][1] == length
    assert all(stop - start <= room for start, stop in windows)
    seen = np.zeros(length, int)
    for (start, stop), mark in zip(windows, marks, strict=True):
        seen[start:stop] += mark
    assert (seen == 1).all()
    for token in range(0, length, 17):
        scores = [
            min(token - start, stop - 1 - token) + 0.01 * (stop - start)
            if start <= token < stop
            else -1.0
            for start, stop in windows
        ]
        best = scores.index(max(scores))
        assert marks[best][token - windows[best][0]]


@pytest.mark.frameworks
def test_a_short_context_by_hand(tmp_path):
    """``[CLS] question [SEP] context [SEP] [PAD]``, segments and characters."""
    write_squad(tmp_path, [("The cats sat", [("Where?", "cats")])])
    prepared = prepare(tmp_path)
    arrays, labels = open_arrays(prepared), open_labels(prepared)
    assert arrays["ids"].tolist() == [[2, 8, 9, 3, 4, 5, 6, 7, 3, 0, 0, 0]]
    assert arrays["mask"].tolist() == [[1] * 9 + [0] * 3]
    assert arrays["segments"].tolist() == [[0.0] * 4 + [1.0] * 5 + [0.0] * 3]
    starts, ends = labels["token_start"][0], labels["token_end"][0]
    assert starts.tolist() == [-1] * 4 + [0, 4, 7, 9] + [-1] * 4
    assert ends.tolist() == [-1] * 4 + [3, 7, 8, 12] + [-1] * 4
    assert labels["is_max_context"].sum() == 4
    assert labels["context.utf8"].tobytes() == b"The cats sat"
    assert labels["answer.utf8"].tobytes() == b"cats"
    assert prepared.unit == "features"


@pytest.mark.frameworks
def test_a_long_context_has_several_features(tmp_path):
    """Seven tokens of room, a start every three; the windows of one stay together."""
    long, short = " ".join(["sat"] * 14), "the cat"
    write_squad(tmp_path, [(long, [("where?", "sat")]), (short, [("?", "cat")])])
    prepared = prepare(tmp_path)
    labels = open_labels(prepared)
    asked = labels["feature_question"].tolist()
    assert asked in ([0, 0, 0, 0, 1], [1, 0, 0, 0, 0])
    assert labels["is_max_context"].sum() == 16
    assert "2 questions of SQuAD v1.1 development set, 5 features" in prepared.subset


@pytest.mark.frameworks
def test_max_samples_keeps_questions_whole(tmp_path):
    """Four windows do not fit into three samples: the other question is taken."""
    long, short = " ".join(["sat"] * 14), "the cat"
    write_squad(tmp_path, [(long, [("where?", "sat")]), (short, [("?", "cat")])])
    prepared = prepare(tmp_path, max_samples=3)
    assert open_labels(prepared)["feature_question"].tolist() == [1]
    assert "1 evenly of 2 questions" in prepared.subset


@pytest.mark.frameworks
def test_article_stride_keeps_the_held_out_articles(tmp_path):
    """A model trained on the others is scored on articles 0, 2, 4 only."""
    write_squad(tmp_path, [(f"the cat {n}", [("where?", "cat")]) for n in range(5)])
    prepared = prepare(tmp_path, model=hints(article_stride=2))
    assert prepared.count == 3
    assert "(articles 0, 2, ... of 5)" in prepared.subset
    ids = open_labels(prepared)["question_id.utf8"].tobytes()
    assert ids == b"q0-0q2-0q4-0"


def test_a_foreign_vocabulary_gets_synthetic_ids(tmp_path):
    """WordPiece ids would be other words to ALBERT; the reason says so."""
    write_squad(tmp_path, [("the cat", [("where?", "cat")])])
    albert = TensorSpec("ids", "int64", (1, LENGTH), "token_ids", 0, 30000)
    for vocabulary in (None, "albert-base-v2"):
        prepared = prepare(
            tmp_path, (albert, SPECS[1]), model=hints(vocabulary=vocabulary)
        )
        assert prepared.origin == "synthetic"
        assert "30000 tokens) cannot be read" in prepared.reason
        assert open_arrays(prepared)["ids"].max() < 30000


@pytest.mark.frameworks
def test_ids_must_fit_the_model(tmp_path):
    """A vocabulary larger than the embedding would read out of bounds."""
    write_squad(tmp_path, [("the cat", [("where?", "cat")])])
    small = TensorSpec("ids", "int64", (1, LENGTH), "token_ids", 0, 5)
    with pytest.raises(PrepareError, match=r"'ids' takes ids below 5.*has 10 tokens"):
        prepare(tmp_path, (small,))


@pytest.mark.frameworks
def test_a_question_that_leaves_no_room(tmp_path):
    """The question's id is named."""
    write_squad(tmp_path, [("the cat", [("where " * 20, "cat")])])
    with pytest.raises(PrepareError, match=r"'q0-0' has 20 tokens: 12 leave no room"):
        prepare(tmp_path)
    assert prepare(tmp_path, model=hints(max_query_length=4)).count == 1


@pytest.mark.parametrize(
    ("specs", "message"),
    [
        (SPECS[1:], "open_squad needs token ids"),
        ((SPECS[0], SPECS[0]), "'ids' is another token_ids"),
        ((SPECS[0], TensorSpec("x", "float32", (1, 2))), "'x' is another real"),
        (
            (SPECS[0], TensorSpec("m", "int32", (1, 9), "attention_mask")),
            "of the same length",
        ),
        (
            (TensorSpec("ids", "int64", (LENGTH,), "token_ids"),),
            r"should have shape \(1, tokens\)",
        ),
    ],
)
def test_inputs_squad_cannot_fill(tmp_path, specs, message):
    """Each is refused, naming the input."""
    with pytest.raises(PrepareError, match=message):
        prepare(tmp_path, specs)


def test_malformed_files_name_the_place(tmp_path):
    """Broken json, a wrong type with its path, a lost answer, SQuAD v2, no question."""
    file = write_squad(tmp_path, [("the cat", [("where?", "cat")])])
    good = json.loads(file.read_text())

    def expect(content, message):
        file.write_text(content if isinstance(content, str) else json.dumps(content))
        with pytest.raises(PrepareError, match=message):
            read_squad(file)

    expect('{"data": [', "not a readable SQuAD v1.1 file")
    qa = good["data"][0]["paragraphs"][0]["qas"][0]
    qa["answers"][0]["answer_start"] = "4"
    expect(good, r"\$.data\[0\].paragraphs\[0\].qas\[0\].answers\[0\].answer_start")
    qa["answers"][0]["answer_start"] = 5
    expect(good, r"data\[0\].paragraphs\[0\]: the answer 'cat' of question 'q0-0'")
    qa["answers"] = []
    expect(good, r"question 'q0-0' has no answer \(SQuAD v2\?\)")
    expect({"data": []}, "has no questions: the dataset is empty")


@pytest.mark.frameworks
def test_a_file_that_is_no_vocabulary(tmp_path):
    """Without the special tokens no feature can be built."""
    write_squad(tmp_path, [("the cat", [("where?", "cat")])])
    (tmp_path / "open_squad" / "vocab.txt").write_text("the\ncat\n")
    with pytest.raises(PrepareError, match=r"not a BERT vocabulary: no \['\[CLS\]'"):
        prepare(tmp_path)
