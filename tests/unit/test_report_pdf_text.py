"""Names of any script on paper: shown, or an escape that says which letter it was."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest
from sample_results import make_point, make_result

from bytemlperf.report.collect import Collected

pytest.importorskip("reportlab", reason="the report extra is not installed")

from bytemlperf.report.pdf_text import markup


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a <b>&", "a &lt;b&gt;&amp;"),
        ("Ελληνικά кириллица ẞ → ≤", "Ελληνικά кириллица ẞ → ≤"),
        ("模型 a", "\\u6a21\\u578b a"),
        ("\U0001f600", "\\U0001f600"),
        ("tab\tbell\x07", "tab bell "),
        ("one\ntwo", "one<br/>two"),
        ("x" * 700, "x" * 600 + " ..."),
    ],
)
def test_every_letter_is_shown_or_escaped(text, shown):
    """No question mark in place of a letter."""
    assert markup(text, "DejaVuSans") == shown


def test_words_from_right_to_left_are_turned_around_and_others_are_not():
    """Text is drawn in the order given: the first Hebrew letter stands last."""
    aleph, bet, gimel = "\u05d0", "\u05d1", "\u05d2"
    assert markup(f"m {aleph}{bet} {gimel} v2", "DejaVuSans") == (
        f"m {gimel} {bet}{aleph} v2"
    )


def test_what_a_font_lacks_is_taken_from_the_widest():
    """The monospaced one has no Hebrew."""
    assert markup("a\u05d0b", "DejaVuSansMono") == (
        'a<font name="DejaVuSans">\u05d0</font>b'
    )


@pytest.mark.slow
def test_a_document_holds_the_names_as_text():
    """Read back by another program."""
    pytest.importorskip("vl_convert")
    program = shutil.which("pdftotext")
    if program is None:
        pytest.skip("pdftotext (poppler) is not installed")
    from bytemlperf.report.pdf import render_pdf

    result = make_result(task="Żółć кириллица 模", points=[make_point(1)])
    body = render_pdf(
        [Collected("run", "1", result)], generated_at_utc="now", version="1"
    )
    told = subprocess.run(
        [program, "-", "-"], input=body, stdout=subprocess.PIPE, check=True, timeout=60
    ).stdout.decode()
    assert re.search(r"FAILED Żółć кириллица \\u6a21 on CPU", told)
