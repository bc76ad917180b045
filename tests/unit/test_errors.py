"""Errors compose their sentences from facts."""

from __future__ import annotations

import pytest

from bytemlperf.errors import PredictError, UnknownNameError

TASKS = ["albert-torch-fp32", "bert-tf-fp32", "bert-torch-fp32", "vit-torch-fp32"]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("bert-torch-fp16", "bert-torch-fp32"),
        ("BERT-TF", "bert-tf-fp32"),
        ("bart", "bert-tf-fp32"),
        ("vit", "vit-torch-fp32"),
        ("zzzz", None),
    ],
)
def test_the_nearest_name_is_guessed(typed, meant):
    """A typing error or a beginning finds what was meant; nonsense finds nothing."""
    assert UnknownNameError("task", typed, TASKS).nearest == meant


def test_nothing_exists():
    """An empty list of names is said, not guessed from."""
    error = UnknownNameError("task", "bert", [])

    assert "tasks that exist: none" in str(error)
    assert error.nearest is None


def test_detail_and_hint_stand_on_their_own_lines():
    """A reader finds what to do on the last line."""
    error = PredictError("it failed", detail="device lost", hint="reset it")

    assert str(error).splitlines() == [
        "it failed", "detail: device lost", "hint: reset it",
    ]  # fmt: skip
    assert error.exit_code == 3
