"""Foreign text cannot drive a terminal."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bytemlperf.report.plain_text import clean_line, clean_text


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]8;;http://evil\x1b\\link", "link"),
        (" 10%\r 50%\r100%\r\n", "100%"),
        ("a\u202egnp.exe", "agnp.exe"),
        ("tab\tstays  ", "tab\tstays"),
        ("\x9b2J\x00\x7f", "2J"),
    ],
)
def test_sequences_go_and_words_stay(raw: str, clean: str) -> None:
    """Colours, titles, links, direction marks and overwritten states."""
    assert clean_line(raw) == clean


@settings(deadline=None, derandomize=True)
@given(st.text())
def test_no_control_character_survives(raw: str) -> None:
    """Whatever comes, only the tab is left of them."""
    line = clean_line(raw)
    assert all(mark == "\t" or mark.isprintable() or ord(mark) > 0x9F for mark in line)
    assert clean_line(line) == line


def test_long_lines_are_cut_and_lines_are_kept() -> None:
    """A line of a megabyte is not worth showing."""
    assert len(clean_line("x" * 10_000)) == 500
    assert clean_text("a\x07\nb\r\n") == "a\nb\n"
