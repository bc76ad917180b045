"""Pairs of court cases: order by a coin, the longer text cut, both scored together."""

from __future__ import annotations

import json

import numpy as np
import pytest

from bytemlperf.datasets import ModelHints, open_arrays, open_labels, prepare_samples
from bytemlperf.datasets.cail import truncate_pair
from bytemlperf.errors import PredictError, PrepareError
from bytemlperf.quality import score
from bytemlperf.tensor_spec import TensorSpec

LENGTH = 16
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *"甲乙丙丁戊己庚辛"]
PAD, UNK, CLS, SEP = range(4)
SPECS = (
    TensorSpec("ids", "float32", (1, LENGTH), "token_ids", 0, len(WORDS)),
    TensorSpec("segments", "float32", (1, LENGTH), "segment_ids"),
)


def write(root, lines, vocabulary=True):
    folder = root / "cail2019_scm"
    folder.mkdir(parents=True)
    (folder / "input.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    if vocabulary:
        (folder / "vocab.txt").write_text("\n".join(WORDS) + "\n", encoding="utf-8")


def triple(a, b, c, **more):
    return json.dumps({"A": a, "B": b, "C": c} | more, ensure_ascii=False)


def prepare(root, vocabulary="bert-base-chinese", **changes):
    arguments = {
        "specs": SPECS,
        "model": ModelHints(model="net", framework="Tensorflow", vocabulary=vocabulary),
        "cache_dir": root / "cache",
        "data_root": root,
        "max_samples": None,
        "seed": 0,
    }
    return prepare_samples("open_cail2019", **(arguments | changes))


@pytest.mark.frameworks
def test_a_triple_is_two_samples_in_an_order_of_chance(tmp_path):
    """[CLS] A [SEP] other [SEP]; the preferred one is first about half the time."""
    write(tmp_path, [triple("甲乙", "丙", "丁戊") for _ in range(40)])
    prepared = prepare(tmp_path)
    ids, segments = (open_arrays(prepared)[spec.name] for spec in SPECS)
    labels = open_labels(prepared)
    assert (prepared.count, prepared.metric) == (80, "pair_accuracy")
    assert sorted(labels["pair"].tolist()) == sorted([*range(40)] * 2)
    wanted = {True: [CLS, 4, 5, SEP, 6, SEP], False: [CLS, 4, 5, SEP, 7, 8, SEP]}
    for row, is_preferred in zip(ids, labels["is_preferred"], strict=True):
        expected = wanted[bool(is_preferred)]
        assert row.tolist() == expected + [PAD] * (LENGTH - len(expected))
    assert set(segments[:, 3]) == {0}
    assert set(segments[:, 4]) == {1}
    first = labels["is_preferred"][::2]
    assert 8 <= first.sum() <= 32
    assert (first != labels["is_preferred"][1::2]).all()


@pytest.mark.frameworks
def test_a_label_says_which_was_preferred(tmp_path):
    """The test set names it; the training set means B."""
    write(tmp_path, [triple("甲", "丙", "丁", label="C")])
    prepared = prepare(tmp_path)
    preferred = int(np.flatnonzero(open_labels(prepared)["is_preferred"])[0])
    assert open_arrays(prepared)["ids"][preferred, 3] == WORDS.index("丁")


@pytest.mark.frameworks
def test_samples_come_in_whole_triples(tmp_path):
    """Five samples are two triples."""
    write(tmp_path, [triple("甲", "丙", "丁") for _ in range(9)])
    assert prepare(tmp_path, max_samples=5).count == 4


def test_the_longer_text_is_cut_first():
    """Whoever has room to spare gives it to the other."""
    assert truncate_pair([1] * 9, [2] * 2, 6) == ([1] * 4, [2] * 2)
    assert truncate_pair([1] * 2, [2] * 9, 6) == ([1] * 2, [2] * 4)
    assert truncate_pair([1] * 9, [2] * 9, 7) == ([1] * 4, [2] * 3)
    assert truncate_pair([1], [2], 7) == ([1], [2])


@pytest.mark.frameworks
@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([triple("甲", "乙", "丙"), "{"], r"input\.jsonl, line 2: expected an object"),
        (['{"A": "甲", "B": "乙"}'], "line 1: expected an object"),
        ([triple("甲", "乙", "丙", label="D")], "line 1: expected an object"),
        ([""], "holds no triple: the dataset is empty"),
    ],
)
def test_damage_is_named_by_its_line(tmp_path, lines, message):
    """Nothing half-written stays."""
    write(tmp_path, lines)
    with pytest.raises(PrepareError, match=message):
        prepare(tmp_path)
    cache = tmp_path / "cache"
    assert [p.name for p in cache.glob("*") if p.name != ".locks"] == []


def test_another_vocabulary_gets_drawn_ids(tmp_path):
    """Ids of one vocabulary are other words in another; it is said, not done."""
    write(tmp_path, [triple("甲", "乙", "丙")], vocabulary=False)
    drawn = prepare(tmp_path, vocabulary="roformer-chinese-base", max_samples=3)
    assert drawn.origin == "synthetic"
    assert "vocabulary (roformer-chinese-base) cannot be read" in str(drawn.reason)
    missing = prepare(tmp_path, max_samples=3)
    assert "vocab.txt" in str(missing.reason)


def judge(scores, pair, preferred, ids=None):
    ids = np.arange(len(scores)) if ids is None else np.asarray(ids)
    return score(
        "pair_accuracy",
        {"y": np.asarray(scores, np.float32)[ids]},
        {"pair": np.array(pair), "is_preferred": np.array(preferred)},
        ids,
    )


PAIR = [0, 0, 1, 1, 2, 2, 3, 3]
PREFERRED = [True, False, False, True, True, False, True, False]


def test_pairs_are_compared_whatever_their_order():
    """Right, right, a tie, not a number: two of four."""
    scores = [0.9, 0.1, 0.2, 0.8, 0.5, 0.5, np.nan, 0.0]
    found = judge(scores, PAIR, PREFERRED)
    assert (found.n, found.unit, found.nonfinite_count) == (4, "pairs", 1)
    assert found.figure("pair_accuracy").value == 0.5
    again = judge(scores, PAIR, PREFERRED, ids=[7, 2, 0, 5, 3, 1, 6, 4])
    assert again.figures == found.figures


def test_a_pair_of_which_one_side_was_run_is_left_out():
    """It is counted, and in no figure; two classes mean the second."""
    scores = [[0.9, 0.1], [0.2, 0.8], [0.5, 0.5], [0.1, 0.9]] * 2
    found = judge(scores, PAIR, PREFERRED, ids=[0, 1, 2, 3, 4])
    assert (found.n, found.incomplete_count, found.sample_count) == (2, 1, 5)
    assert found.figure("pair_accuracy").value == 0.5
    with pytest.raises(PredictError, match="none had both candidates run"):
        judge(scores, PAIR, PREFERRED, ids=[0, 2])
    with pytest.raises(PredictError, match="it has 3 numbers"):
        judge([[1, 2, 3]] * 8, PAIR, PREFERRED)
