"""What a page, a document and a text are made of: sections, notes, figures, tables.

Output: structs, in the order in which they are read. Nothing is laid out here.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from bytemlperf.report.columns import Cell
from bytemlperf.report.figures import Figure
from bytemlperf.report.text_table import TextTable

__all__ = ["HostSection", "Note", "PointSection", "Shown", "ShownTable", "TableRow",
           "TaskSection", "Tone", "VariantsSection", "shown_table"]  # fmt: skip

Tone = Literal["good", "bad", "unsure"]


class Note(msgspec.Struct, frozen=True):
    """Something a reader must not miss."""

    where: str
    text: str
    tone: Tone


class Shown(msgspec.Struct, frozen=True):
    """A figure under the name that it has on the page."""

    key: str
    figure: Figure


class ShownTable(msgspec.Struct, frozen=True):
    """A table under its title.

    Parameters
    ----------
    title, note : str
        Above it, and below it; the note may be empty.
    headings : list of str
        One line each.
    rows : list of list of str
        As many cells as headings; a cell may have several lines.
    key_count : int
        How many of the first cells name a row.
    left : list of int
        Which columns hold words, and not numbers.
    """

    title: str
    headings: list[str]
    rows: list[list[str]]
    note: str = ""
    key_count: int = 1
    left: list[int] = []


class PointSection(msgspec.Struct, frozen=True):
    """One point in detail."""

    anchor: str
    name: str
    headline: str
    tone: Tone
    figures: list[Shown]


class TaskSection(msgspec.Struct, frozen=True):
    """One task of one run in detail."""

    anchor: str
    title: str
    run: str
    verdict: str
    tone: Tone
    answers: list[tuple[str, str]]
    facts: list[tuple[str, str]]
    notes: list[Note]
    figures: list[Shown]
    points: list[PointSection]
    command: str
    environment: list[tuple[str, str]]
    tables: list[ShownTable] = []


class HostSection(msgspec.Struct, frozen=True):
    """A machine, and the tasks that ran on it."""

    facts: list[tuple[str, str]]
    tasks: list[str]


class TableRow(msgspec.Struct, frozen=True):
    """A row of the table of all points."""

    tone: Tone
    cells: list[Cell]


class VariantsSection(msgspec.Struct, frozen=True):
    """Runs of one request under other settings."""

    anchor: str
    title: str
    sentences: list[str]
    tables: list[ShownTable]
    figures: list[Shown]
    command: str


def shown_table(title: str, table: TextTable, note: str = "") -> ShownTable:
    """Return the same table that a terminal shows, without its form."""
    left = [place for place, column in enumerate(table.columns) if column.is_left]
    return ShownTable(title, table.headings, table.rows, note, table.key_count, left)
