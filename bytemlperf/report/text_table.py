"""A table of text that fits any width: as one table, or as several below each other.

Input: columns of text. Output: a rich renderable that looks at its width when it is
drawn. Nothing is cut: what does not fit beside its neighbours goes into a table below,
in which the columns that name a row are repeated.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec
from rich import box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

__all__ = ["TextColumn", "TextTable"]

# A column of sentences may be wrapped to this many characters, and not below.
MIN_WRAPPED = 24
UNLIMITED = 10_000


class TextColumn(msgspec.Struct, frozen=True):
    """A heading, and what stands below it.

    Parameters
    ----------
    heading : str
        Lines of the heading.
    cells : list of str or Text
        One a row; several lines where there is a newline.
    is_left : bool, default False
        Words stand left, numbers right.
    wraps : bool, default False
        Whether its cells may be wrapped between words.
    """

    heading: str
    cells: list[str | Text]
    is_left: bool = False
    wraps: bool = False


class TextTable:
    """A table.

    Parameters
    ----------
    columns : sequence of TextColumn
        Equally long.
    key_count : int, default 1
        How many of the first columns name a row.
    """

    def __init__(self, columns: Sequence[TextColumn], *, key_count: int = 1) -> None:
        self.columns = list(columns)
        self.key_count = key_count

    @property
    def headings(self) -> list[str]:
        """Each heading on one line."""
        return [" ".join(column.heading.split()) for column in self.columns]

    @property
    def rows(self) -> list[list[str]]:
        """Plain text of every cell."""
        return [
            [cell.plain if isinstance(cell, Text) else cell for cell in row]
            for row in zip(*(column.cells for column in self.columns), strict=True)
        ]

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> RenderResult:
        """Draw as few tables as fit.

        Yields
        ------
        Table
            With an empty line between two.
        """
        for index, columns in enumerate(self._parts(console, options)):
            if index:
                yield Text()
            yield _drawn(columns)

    def _parts(
        self, console: Console, options: ConsoleOptions
    ) -> Iterator[list[TextColumn]]:
        """Deal out the columns, in their order.

        Yields
        ------
        list of TextColumn
            Of one table.
        """
        wide = options.update(max_width=UNLIMITED)

        def fits(columns: Sequence[TextColumn]) -> bool:
            needed = Measurement.get(console, wide, _drawn(columns, is_narrow=True))
            return needed.maximum <= options.max_width

        keys = self.columns[: self.key_count]
        part: list[TextColumn] = []
        for column in self.columns[self.key_count :]:
            if part and not fits([*keys, *part, column]):
                yield [*keys, *part]
                part = []
            part.append(column)
        yield [*keys, *part]


def _drawn(columns: Sequence[TextColumn], *, is_narrow: bool = False) -> Table:
    """Lay columns out; narrow: at the least width that sentences may have."""
    table = Table(
        box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, collapse_padding=True
    )
    for column in columns:
        table.add_column(
            Text(column.heading),
            justify="left" if column.is_left else "right",
            header_style="bold",
            # A name is broken only where it does not even fit alone.
            no_wrap=not column.is_left,
            overflow="fold",
            max_width=MIN_WRAPPED if is_narrow and column.wraps else None,
        )
    for row in zip(*(column.cells for column in columns), strict=True):
        table.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in row))
    return table
