"""Where the wall time of a task and of a command went, in words and as a table.

Input: results' phase times. Output: a sentence, rows of text, a table.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.text import Text

from bytemlperf.report.plain_text import clean_line
from bytemlperf.report.schema import InvocationIndex, PhaseTime, TaskEntry, TaskResult
from bytemlperf.report.text_table import TextColumn, TextTable
from bytemlperf.report.units import format_seconds

__all__ = [
    "TIME_HEADINGS",
    "format_clock",
    "time_rows",
    "time_table",
    "wall_time_words",
]

# Columns, and the phases that each is the sum of.
STAGES: dict[str, tuple[str, ...]] = {
    "prepare": (
        "download data",
        "prepare model",
        "prepare samples",
        "prepare reference",
    ),
    "start": ("start", "import"),
    "compile": ("pre_optimize", "compile", "segment", "tuning"),
    "load": ("load",),
    "accuracy": ("accuracy",),
    "numeric": ("numeric",),
    "perf": ("perf",),
}
OTHER = "other"
TIME_HEADINGS = (*STAGES, OTHER, "all")


def wall_time_words(result: TaskResult) -> str | None:
    """Say where the time of a task went.

    Parameters
    ----------
    result : TaskResult
        Complete or not.

    Returns
    -------
    str or None
        Such as ``"3.1 s: prepare 0.4 s, start 2.7 s"``; None if it was not kept.
    """
    if not result.phase_times:
        return None
    shares = _by_stage(result.phase_times, result.duration_seconds)
    parts = [
        f"{stage} {format_seconds(seconds)}"
        for stage, seconds in shares.items()
        if seconds >= 0.05
    ]
    return f"{format_seconds(result.duration_seconds)}: {', '.join(parts)}"


def time_rows(
    tasks: Iterable[tuple[str, TaskResult | TaskEntry]], whole_seconds: float | None
) -> list[tuple[str, list[float]]]:
    """Put the times of tasks and of all of them side by side.

    Parameters
    ----------
    tasks : iterable of (str, TaskResult or TaskEntry)
        Names, and what is known of each.
    whole_seconds : float or None
        Wall time of the command that ran them; None: nothing but the tasks counts.

    Returns
    -------
    list of (str, list of float)
        The longest first, then one row for all; s by `TIME_HEADINGS`: stages, what is
        in none of them, and the sum. Empty if it was not kept.
    """
    rows = [
        (name, _seconds(task))
        for name, task in sorted(tasks, key=lambda each: -each[1].duration_seconds)
        if task.phase_times
    ]
    if not rows:
        return []
    sums = [sum(column) for column in zip(*(each for _, each in rows), strict=True)]
    if whole_seconds is not None and whole_seconds > sums[-1]:
        # Environments, questions to the backend, tasks that nothing is known of.
        sums[-2] += whole_seconds - sums[-1]
        sums[-1] = whole_seconds
    return [*rows, ("all", sums)]


def time_table(index: InvocationIndex) -> TextTable | None:
    """Lay out where a command's time went, a row a task.

    Parameters
    ----------
    index : InvocationIndex
        Of a command.

    Returns
    -------
    TextTable or None
        Minutes and seconds; None if it was not kept.
    """
    has_several = len({entry.hardware_type for entry in index.tasks}) > 1
    named = [
        (f"{each.task} on {each.hardware_type}" if has_several else each.task, each)
        for each in index.tasks
    ]
    rows = time_rows(named, index.duration_seconds)
    if not rows:
        return None
    cells = [[clean_line(name), *map(format_clock, seconds)] for name, seconds in rows]
    return TextTable(
        [
            TextColumn(
                heading,
                # The last row is the sum.
                [*column[:-1], Text(column[-1], style="bold")],
                is_left=place == 0,
            )
            for place, (heading, column) in enumerate(
                zip(("min:s", *TIME_HEADINGS), zip(*cells, strict=True), strict=True)
            )
        ]
    )


def format_clock(seconds: float) -> str:
    """Format a duration as minutes and seconds.

    Parameters
    ----------
    seconds : float
        >= 0.

    Returns
    -------
    str
        Such as ``"3:07"``, ``"72:00"``; ``"-"`` for less than half a second.
    """
    whole = round(seconds)
    return f"{whole // 60}:{whole % 60:02d}" if whole else "-"


def _seconds(task: TaskResult | TaskEntry) -> list[float]:
    shares = _by_stage(task.phase_times, task.duration_seconds)
    return [*shares.values(), task.duration_seconds]


def _by_stage(times: Sequence[PhaseTime], duration_seconds: float) -> dict[str, float]:
    """Sum up phases by stage; what is in none is named `OTHER`."""
    shares = {
        stage: sum((each.seconds for each in times if each.phase in phases), 0.0)
        for stage, phases in STAGES.items()
    }
    return shares | {OTHER: max(0.0, duration_seconds - sum(shares.values()))}
