"""A result as text for a terminal, a pipe or a log.

Input: result structs. Output: rich renderables; nothing is printed here. What a
backend, a model or a log said is shown as plain text, never as markup.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TextIO, cast

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from bytemlperf.report.certainty_table import CertaintyTable
from bytemlperf.report.load_table import load_table
from bytemlperf.report.overhead_table import overhead_table, point_overheads
from bytemlperf.report.parts_table import parts_table
from bytemlperf.report.plain_text import clean_line
from bytemlperf.report.points_table import PointsTable
from bytemlperf.report.schema import (
    InvocationIndex,
    Point,
    TaskEntry,
    TaskResult,
)
from bytemlperf.report.task_words import task_facts, task_notes
from bytemlperf.report.text_table import TextColumn, TextTable
from bytemlperf.report.units import (
    format_rate,
    format_seconds,
)
from bytemlperf.report.wall_time import time_table

__all__ = ["invocation_report", "open_console", "task_report"]

PIPE_WIDTH = 160
STATUS_STYLES = {
    "ok": "bold green",
    "off_target": "bold red",
    "invalid": "bold yellow",
    "failed": "bold red",
    "interrupted": "bold yellow",
}


def open_console(stream: TextIO, *, width: int | None = None) -> Console:
    """Return a console for a stream, terminal or not.

    Parameters
    ----------
    stream : TextIO
        Where it will print.
    width : int, optional
        Columns. Default: the terminal's own; 160 where there is no terminal, so that a
        log or a pipe gets whole rows.

    Returns
    -------
    rich.console.Console
        With neither markup, nor emoji, nor highlighting of what is printed.
    """
    is_terminal = stream.isatty()
    return Console(
        file=stream if is_terminal else cast(TextIO, _TrimmedStream(stream)),
        width=width or (None if is_terminal else PIPE_WIDTH),
        markup=False,
        emoji=False,
        highlight=False,
    )


class _TrimmedStream:
    """A stream without blanks at the ends of lines, which rich pads for terminals."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    @property
    def encoding(self) -> str:
        return self._stream.encoding

    def write(self, text: str) -> int:
        self._stream.write(re.sub(r" +(?=\n|$)", "", text))
        return len(text)

    def flush(self) -> None:
        self._stream.flush()

    def isatty(self) -> bool:
        return False

    def fileno(self) -> int:
        return self._stream.fileno()


def task_report(result: TaskResult, result_file: Path | None = None) -> RenderableType:
    """Lay out everything worth reading about a task.

    Parameters
    ----------
    result : TaskResult
        Complete or not.
    result_file : Path, optional
        Named at the end.

    Returns
    -------
    RenderableType
        For a console of any width.
    """
    facts = _grid((name, Text(clean_line(text))) for name, text in task_facts(result))
    parts: list[RenderableType] = [Text(), _title(result), facts]
    if result.points:
        parts += [Text(), Padding(PointsTable(result.points), (0, 0, 0, 2))]
    certificates = overhead_table(point_overheads(result.points))
    loads = load_table(result.points)
    if loads is not None:
        parts += [Text(), Padding(loads, (0, 0, 0, 2))]
    if any(point.statistics for point in result.points):
        parts += [Text(), Padding(CertaintyTable(result.points), (0, 0, 0, 2))]
    if certificates is not None:
        parts += [
            Text(),
            Padding(Text("the same load on a predict that does nothing"), (0, 0, 0, 2)),
            Padding(certificates, (0, 0, 0, 2)),
        ]
    shares = parts_table(result.points)
    if shares is not None:
        parts += [Text(), Padding(shares, (0, 0, 0, 2))]
    notes = list(task_notes(result))
    if notes:
        parts += [Text(), _grid(notes)]
    files = [("result", result_file), ("log", result.log_file)]
    shown = [(name, Text(str(file))) for name, file in files if file is not None]
    return Group(*parts, Text(), _grid(shown))


def invocation_report(
    index: InvocationIndex, results: Sequence[TaskResult], index_file: Path
) -> RenderableType:
    """Lay out all tasks of a command, one row each.

    Parameters
    ----------
    index : InvocationIndex
        Of the command.
    results : sequence of TaskResult
        Those that exist, in any order.
    index_file : Path
        Named at the end.

    Returns
    -------
    RenderableType
        For a console of any width.
    """
    by_key = {(result.task, result.hardware_type): result for result in results}
    has_several = len({entry.hardware_type for entry in index.tasks}) > 1
    names = ("task", *(["hardware"] if has_several else []), "status")
    figures = ("points", "skip", "fail", "best QPS", "took")
    rows = [
        _entry_cells(
            entry,
            by_key.get((entry.task, entry.hardware_type)),
            has_hardware=has_several,
        )
        for entry in index.tasks
    ]
    table = TextTable(
        [
            TextColumn(
                heading, [row[place] for row in rows], is_left=place < len(names)
            )
            for place, heading in enumerate((*names, *figures))
        ],
        key_count=len(names),
    )
    parts: list[RenderableType] = [table, Text()]
    times = time_table(index)
    if times is not None and len(index.tasks) > 1:
        parts += [times, Text()]
    return Group(*parts, _grid([("index", Text(str(index_file)))]))


def _entry_cells(
    entry: TaskEntry, result: TaskResult | None, *, has_hardware: bool
) -> list[str | Text]:
    best = _best(result.points) if result else None
    is_reached = entry.result_file is not None
    status = entry.status if is_reached else "not reached"
    counts = entry.point_count, entry.skipped_count, entry.failure_count
    return [
        clean_line(entry.task),
        *([entry.hardware_type] if has_hardware else []),
        Text(status, style=STATUS_STYLES[entry.status]),
        *(str(count) if is_reached else "-" for count in counts),
        format_rate(best.throughput_samples_per_s) if best else "-",
        format_seconds(entry.duration_seconds) if is_reached else "-",
    ]


def _best(points: Sequence[Point]) -> Point | None:
    """Return the fastest valid point."""
    return max(
        (point for point in points if not point.invalid_reasons),
        key=lambda point: point.throughput_samples_per_s,
        default=None,
    )


def _title(result: TaskResult) -> Text:
    return Text.assemble(
        (clean_line(f"{result.task} on {result.hardware_type}"), "bold"),
        "   ",
        (result.status.upper(), STATUS_STYLES[result.status]),
        f"   {format_seconds(result.duration_seconds)}",
    )


def _grid(rows: Iterable[tuple[str, Text]]) -> Table:
    """Name on the left, words on the right, wrapped under each other, never cut."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, text in rows:
        grid.add_row(Text(f"  {clean_line(name, max_characters=24)}"), text)
    return grid
