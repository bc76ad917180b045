"""SQuAD: normalisation, spans and answers, by hand and by brute force."""

from __future__ import annotations

import re
import string
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bytemlperf.errors import InternalError, PredictError
from bytemlperf.quality import score
from bytemlperf.quality.squad_spans import best_spans
from bytemlperf.quality.squad_text import exact_match, f1, normalise

TEXT = st.text(alphabet="aAtThHeEn .,-'  é", max_size=20)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("The  Cat, a dog!", "cat dog"),
        ("an-other theatre", "another theatre"),
        ("A", ""),
        ("308", "308"),
        ("Bank of America's", "bank of americas"),
        ("«the» x", "« » x"),
    ],
)
def test_normalisation(answer, expected):
    """Lower case, ASCII punctuation, articles as words, white space."""
    assert normalise(answer) == expected


def reference_normalise(text):
    """Normalise step by step, in the published order."""
    lowered = "".join(c for c in text.lower() if c not in set(string.punctuation))
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", lowered).split())


def reference_f1(prediction, truth):
    """Give F1 as the published script computes it, precision and recall apart."""
    predicted = reference_normalise(prediction).split()
    wanted = reference_normalise(truth).split()
    same = sum((Counter(predicted) & Counter(wanted)).values())
    if same == 0:
        return 0
    precision, recall = same / len(predicted), same / len(wanted)
    return 2 * precision * recall / (precision + recall)


@given(TEXT, st.lists(TEXT, min_size=1, max_size=3))
def test_em_and_f1_equal_the_published_steps(prediction, answers):
    """Any text gives the published script's numbers; the best answer counts."""
    expected = max(reference_f1(prediction, answer) for answer in answers)
    assert f1(prediction, answers) == pytest.approx(expected)
    same = any(
        reference_normalise(prediction) == reference_normalise(answer)
        for answer in answers
    )
    assert exact_match(prediction, answers) == same


@given(TEXT)
def test_normalisation_is_idempotent(text):
    """Normalising twice changes nothing more."""
    assert normalise(normalise(text)) == normalise(text)


def brute_force_span(start, end, in_context, is_max_context):
    """Pair the 20 best of each, in python."""
    tokens = [t for t in range(len(start)) if in_context[t]]
    starts = sorted(tokens, key=lambda t: (-start[t], t))[:20]
    ends = sorted(tokens, key=lambda t: (-end[t], t))[:20]
    pairs = [
        (-(start[a] + end[b]), b - a, a)
        for a in starts
        for b in ends
        if is_max_context[a] and 0 <= b - a < 30
    ]
    if not pairs:
        return None
    total, length, first = min(pairs)
    return first, first + length, -total


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 60), st.booleans())
def test_best_span_equals_brute_force(seed, tokens, coarse):
    """Also where logits are equal, as those of int8 models often are."""
    random = np.random.default_rng(seed)
    logits = random.standard_normal((2, 3, tokens)) * 3
    if coarse:
        logits = np.round(logits)
    in_context = random.random((3, tokens)) < 0.8
    is_max_context = in_context & (random.random((3, tokens)) < 0.7)
    spans = best_spans(logits[0], logits[1], in_context, is_max_context)
    for row in range(3):
        expected = brute_force_span(
            logits[0, row], logits[1, row], in_context[row], is_max_context[row]
        )
        if expected is None:
            assert spans.total[row] == -np.inf
        else:
            assert (spans.start[row], spans.end[row]) == expected[:2]
            assert spans.total[row] == pytest.approx(expected[2])


def text_columns(name, texts):
    encoded = [text.encode() for text in texts]
    offsets = np.cumsum([0, *map(len, encoded)])
    joined = np.frombuffer(b"".join(encoded), np.uint8)
    return {f"{name}.utf8": joined, f"{name}.offsets": offsets}


CONTEXT = "Zoë met the cat."
WORDS = [(0, 3), (4, 7), (8, 11), (12, 15), (15, 16)]


def make_labels():
    """Two questions on one context of 5 words; the second has two windows."""
    question, window = 2, 4
    token_start = np.full((3, 1 + question + window), -1, np.int32)
    token_end = token_start.copy()
    marks = np.zeros(token_start.shape, bool)
    for row, words in enumerate([[0, 1, 2, 3], [0, 1, 2, 3], [1, 2, 3, 4]]):
        for place, word in enumerate(words):
            token_start[row, 3 + place], token_end[row, 3 + place] = WORDS[word]
            marks[row, 3 + place] = row == 0 or (word < 3) == (row == 1)
    return {
        "feature_question": np.array([0, 1, 1]),
        "token_start": token_start,
        "token_end": token_end,
        "is_max_context": marks,
        "question_context": np.array([0, 0]),
        "question_answers": np.array([0, 1, 3]),
        **text_columns("context", [CONTEXT]),
        **text_columns("answer", ["Zoë", "a cat", "dog"]),
    }


def make_logits():
    """Question 0 answers with word 0; question 1 with words 3 to 4, window 2."""
    start, end = np.full((2, 3, 7), -5.0, np.float32)
    start[0, 3] = end[0, 3] = -1
    start[1, 4] = end[1, 4] = -2
    start[2, 5], end[2, 6] = -1, -1
    # Tokens of the question have the best logits of all, and must not matter.
    start[:, :3] = end[:, :3] = 9
    return {"start_logits": start, "end_logits": end}


def test_answers_are_scored_over_questions():
    """Three features, two questions; negative logits beat masked ones."""
    result = score("squad_v1", make_logits(), make_labels(), [0, 1, 2])
    assert (result.n, result.unit, result.sample_count) == (2, "questions", 3)
    # "Zoë" and "cat." both match after normalisation.
    assert result.figure("exact_match").value == 1.0
    assert result.figure("f1").value == 1.0


def test_joint_logits_are_read_as_well():
    """TensorFlow's BERT returns one output of shape (n, tokens, 2)."""
    pair = make_logits()
    joint = {"logits:0": np.stack([pair["start_logits"], pair["end_logits"]], axis=-1)}
    labels = make_labels()
    apart = score("squad_v1", pair, labels, [0, 1, 2])
    assert score("squad_v1", joint, labels, [0, 1, 2]) == apart
    roles = {"start_logits": "output_0", "end_logits": "output_1"}
    named = dict(zip(roles.values(), pair.values(), strict=True))
    assert score("squad_v1", named, labels, [0, 1, 2], output_roles=roles) == apart


def test_any_order_of_samples_gives_the_same_score():
    """Outputs are keyed by sample id."""
    order = np.array([2, 0, 1])
    logits = {name: array[order] for name, array in make_logits().items()}
    labels = make_labels()
    straight = score("squad_v1", make_logits(), labels, [0, 1, 2])
    assert score("squad_v1", logits, labels, order) == straight


def test_a_half_run_question_is_left_out_and_counted():
    """The denominator is the questions that could be answered."""
    logits = {name: array[:2] for name, array in make_logits().items()}
    result = score("squad_v1", logits, make_labels(), [0, 1])
    assert (result.n, result.incomplete_count) == (1, 1)
    only_half = {name: array[1:2] for name, array in make_logits().items()}
    with pytest.raises(InternalError, match="no SQuAD question has all"):
        score("squad_v1", only_half, make_labels(), [1])


def test_nan_logits_answer_nothing():
    """A window of NaN has no span; the question's other window still counts."""
    logits = make_logits()
    logits["start_logits"][0, 4] = np.nan
    result = score("squad_v1", logits, make_labels(), [0, 1, 2])
    assert result.nonfinite_count == 1
    assert result.figure("exact_match").value == 0.5


def test_masked_padding_is_not_counted_as_nonfinite():
    """Backends may mask padding with -inf themselves."""
    logits = make_logits()
    logits["start_logits"][:, :3] = -np.inf
    result = score("squad_v1", logits, make_labels(), [0, 1, 2])
    assert (result.nonfinite_count, result.figure("f1").value) == (0, 1.0)


def test_errors_name_output_and_shape():
    """A missing output, other lengths, a third axis of another size."""
    labels = make_labels()
    with pytest.raises(PredictError, match=r"output 'end_logits' is missing"):
        score(
            "squad_v1", {"start_logits": np.ones((3, 7)), "x": np.ones(3)}, labels, IDS
        )
    short = np.ones((3, 6))
    with pytest.raises(PredictError, match=r"should have shape \(3, 7\)"):
        score("squad_v1", {"start_logits": short, "end_logits": short}, labels, IDS)
    with pytest.raises(PredictError, match=r"'y' should have shape \(n, tokens, 2\)"):
        score("squad_v1", {"y": np.ones((3, 7, 3))}, labels, IDS)


IDS = np.arange(3)
