"""Exact match and F1 of two answers, by SQuAD v1.1's definition.

Input: texts. Output: 0 or 1, and a number in [0, 1]. Definition: Rajpurkar et al. 2016,
section 6.1, and the evaluation script published with it.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence

__all__ = ["exact_match", "f1", "normalise"]

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_WITHOUT_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalise(answer: str) -> str:
    """Lower the case, drop ASCII punctuation and English articles, unify spaces.

    Parameters
    ----------
    answer : str
        Any text.

    Returns
    -------
    str
        Words with single spaces; may be empty.
    """
    bare = answer.lower().translate(_WITHOUT_PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", bare).split())


def exact_match(prediction: str, answers: Sequence[str]) -> bool:
    """Tell whether a prediction equals one of the answers, both normalised.

    Parameters
    ----------
    prediction : str
        The model's answer.
    answers : sequence of str
        The people's answers, one or more.

    Returns
    -------
    bool
        True if it does.
    """
    return normalise(prediction) in map(normalise, answers)


def f1(prediction: str, answers: Sequence[str]) -> float:
    """Give the best F1 of word overlap with any of the answers.

    Parameters
    ----------
    prediction : str
        The model's answer.
    answers : sequence of str
        The people's answers, one or more.

    Returns
    -------
    float
        In [0, 1]; 0 where a side has no words.
    """
    return max(_overlap_f1(prediction, answer) for answer in answers)


def _overlap_f1(prediction: str, answer: str) -> float:
    predicted, wanted = normalise(prediction).split(), normalise(answer).split()
    common = (Counter(predicted) & Counter(wanted)).total()
    # 2PR/(P+R), with P = common/|predicted| and R = common/|wanted|.
    return 2 * common / (len(predicted) + len(wanted)) if common else 0.0
