"""Text as a PDF can show it: in fonts of many scripts, or as an escape.

Input: any text. Output: reportlab's markup. The fonts lie in ``report/fonts``, so that
a report looks the same on every machine.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from itertools import groupby
from typing import Literal
from xml.sax.saxutils import escape

from bytemlperf.report.fonts import FONTS_FOLDER

__all__ = ["Font", "markup", "register_fonts"]

Font = Literal["DejaVuSans", "DejaVuSans-Bold", "DejaVuSansMono"]
FONTS: tuple[Font, ...] = ("DejaVuSans", "DejaVuSans-Bold", "DejaVuSansMono")
# The one with the most scripts stands in for the others.
WIDEST: Font = "DejaVuSans"
# Words from right to left with the spaces between them, else anything.
RUN = re.compile(r"R(?:[R_]*R)?|[L_]+")
# reportlab does not say right what text a glyph beyond it stands for.
MAX_CODE_POINT = 0xFFFF
MAX_TEXT = 600


def register_fonts() -> None:
    """Make the fonts known to reportlab, which must be installed."""
    from reportlab.pdfbase import pdfmetrics, ttfonts

    for name in FONTS:
        if name not in pdfmetrics.getRegisteredFontNames():
            pdfmetrics.registerFont(ttfonts.TTFont(name, FONTS_FOLDER / f"{name}.ttf"))


def markup(text: str, font: Font) -> str:
    """Return text as it is said inside reportlab's markup.

    Parameters
    ----------
    text : str
        Any characters; the rest of a very long one is left out.
    font : str
        Of the paragraph.

    Returns
    -------
    str
        Every character is shown: in `font`, else in the font with the most scripts,
        else as the escape that Python writes for it.
    """
    shortened = text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]} ..."
    parts = []
    for used, marks in groupby(
        _drawable(shortened), key=lambda mark: _font(mark, font)
    ):
        part = escape("".join(marks)).replace("\n", "<br/>")
        parts.append(part if used == font else f'<font name="{used}">{part}</font>')
    return "".join(parts)


def _drawable(text: str) -> str:
    """Return text in the order in which it is drawn, in characters that can be.

    What no font has is an escape; runs from right to left are turned around, because
    reportlab draws from left to right; what cannot be printed is a space.
    """
    kinds = "".join(_direction(mark) for mark in text)
    drawn = []
    for run in RUN.finditer(kinds):
        marks = text[run.start() : run.end()]
        drawn += [_shown(mark) for mark in (marks[::-1] if run[0][0] == "R" else marks)]
    return "".join(drawn)


def _direction(mark: str) -> str:
    """Return R for a letter of a script written from right to left, _ for a space."""
    if mark == " ":
        return "_"
    return "R" if unicodedata.bidirectional(mark) in {"R", "AL"} else "L"


def _shown(mark: str) -> str:
    if mark == "\n":
        return mark
    if not mark.isprintable():
        return " "
    if ord(mark) in _characters(WIDEST):
        return mark
    return mark.encode("unicode_escape").decode()


def _font(mark: str, font: Font) -> Font:
    return font if mark == "\n" or ord(mark) in _characters(font) else WIDEST


@cache
def _characters(font: Font) -> frozenset[int]:
    """Return the code points that a font has."""
    from reportlab.pdfbase import ttfonts

    face = ttfonts.TTFontFace(FONTS_FOLDER / f"{font}.ttf")
    return frozenset(code for code in face.charToGlyph if code <= MAX_CODE_POINT)
