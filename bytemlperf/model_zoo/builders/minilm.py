"""MiniLM-L6 with a span head: BERT, smaller.

Input: nothing. Output: an `Architecture`. Wang et al., "MiniLM", 2020.
"""

from __future__ import annotations

from bytemlperf.model_zoo.builders.bert import Bert

__all__ = ["minilm_l6"]


def minilm_l6() -> Bert:
    """Return MiniLM-L6 for SQuAD, at 256 tokens.

    Returns
    -------
    Bert
        22,566,146 parameters.
    """
    return Bert(vocabulary=30522, width=384, layers=6, heads=12, inner=1536, length=256)
