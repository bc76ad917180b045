"""What is shown while a command runs: a progress bar, plain lines, or nothing.

Input: the launcher's facts (`bytemlperf.launch.observer.Observer`). Output: text to
wherever it was told. Nothing is drawn but when a fact arrives, and at most four times
a second: a display with a thread of its own would run under every measurement.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.text import Text

from bytemlperf.report.plain_text import clean_line
from bytemlperf.report.points_table import verdict
from bytemlperf.report.schema import Failure, Point, SkippedPoint, TaskResult
from bytemlperf.report.units import format_duration_ns, format_rate, format_seconds

__all__ = ["PlainObserver", "RichObserver", "SilentObserver"]

REDRAW_INTERVAL_NS = 250_000_000
STYLES = {"FAILED": "bold red", "INVALID": "bold red", "VALID": "green"}


class SilentObserver:
    """Shows nothing."""

    def __enter__(self) -> SilentObserver:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Keep out of the way of a dialog.

        Yields
        ------
        None
            While nothing is drawn.
        """
        yield

    def message(self, text: str) -> None:
        """Ignore it."""

    def task_started(
        self, task: str, hardware_type: str, index: int, count: int
    ) -> None:
        """Ignore it."""

    def phase(self, name: str, detail: str, batch_size: int | None) -> None:
        """Ignore it."""

    def progress(self, done: int, total: int, text: str) -> None:
        """Ignore it."""

    def point(self, point: Point) -> None:
        """Ignore it."""

    def skipped(self, skipped: SkippedPoint) -> None:
        """Ignore it."""

    def failure(self, failure: Failure) -> None:
        """Ignore it."""

    def warning(self, text: str) -> None:
        """Ignore it."""

    def task_finished(self, result: TaskResult, result_file: Path) -> None:
        """Ignore it."""


class PlainObserver(SilentObserver):
    """One line for each event of the life-cycle; for logs and pipes.

    Parameters
    ----------
    write : callable
        Gets each line, without its end.
    """

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write

    def __enter__(self) -> PlainObserver:
        return self

    def message(self, text: str) -> None:
        """Write what is slow or unusual."""
        self._write(f"  {clean_line(text)}")

    def task_started(
        self, task: str, hardware_type: str, index: int, count: int
    ) -> None:
        """Write the task's name."""
        self._write(f"[{index}/{count}] {task} on {hardware_type}")

    def phase(self, name: str, detail: str, batch_size: int | None) -> None:
        """Write what is being done."""
        self._write(f"  {phase_line(name, detail, batch_size)} ...")

    def point(self, point: Point) -> None:
        """Write a point's figures."""
        self._write(f"  {point_line(point)}")

    def skipped(self, skipped: SkippedPoint) -> None:
        """Write what was left out."""
        self._write(
            f"  batch {skipped.batch_size} skipped: {clean_line(skipped.reason)}"
        )

    def failure(self, failure: Failure) -> None:
        """Write what went wrong."""
        self._write(f"  FAILED {clean_line(failure.message)}")

    def warning(self, text: str) -> None:
        """Write a warning."""
        self._write(f"  warning: {clean_line(text)}")

    def task_finished(self, result: TaskResult, result_file: Path) -> None:
        """Write how it ended, and where it is."""
        took = format_seconds(result.duration_seconds)
        self._write(f"  {result.status} after {took}: {result_file}")


class RichObserver(PlainObserver):
    """A progress bar, with the lines that stay above it; for terminals.

    Parameters
    ----------
    console : rich.console.Console
        On a terminal, usually standard error.
    now_ns : callable
        Reads the monotonic clock.

    Notes
    -----
    Open it as a context manager; the bar goes when it is closed.
    """

    def __init__(self, console: Console, now_ns: Callable[[], int]) -> None:
        super().__init__(self._print)
        self._console = console
        self._now_ns = now_ns
        self._next_draw_ns = 0
        self._place = ""
        self._bar = Progress(
            TextColumn("{task.fields[place]}", markup=False),
            TextColumn("{task.description}", markup=False, style="bold"),
            BarColumn(bar_width=20),
            TextColumn("{task.fields[news]}", markup=False, style="dim"),
            console=console,
            auto_refresh=False,
            transient=True,
            # Neither may the display take over what a library prints elsewhere.
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._task = self._bar.add_task("starting", total=None, place="", news="")

    def __enter__(self) -> RichObserver:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Take the bar away, and put it back.

        Yields
        ------
        None
            While it is away.
        """
        self._bar.stop()
        try:
            yield
        finally:
            self._bar.start()

    def task_started(
        self, task: str, hardware_type: str, index: int, count: int
    ) -> None:
        """Print the task's name above the bar, and its number in it."""
        super().task_started(task, hardware_type, index, count)
        self._place = f"[{index}/{count}]"

    def phase(self, name: str, detail: str, batch_size: int | None) -> None:
        """Show what is being done, from zero."""
        self._bar.reset(
            self._task,
            total=None,
            description=phase_line(name, detail, batch_size),
            place=self._place,
            news="",
        )
        self._draw(at_once=True)

    def progress(self, done: int, total: int, text: str) -> None:
        """Move the bar; a point's rate and latency are in the text."""
        counted = f"{done}/{total}" if total else str(done or "")
        self._bar.update(
            self._task,
            completed=done,
            total=total or None,
            news=" ".join(part for part in (counted, clean_line(text)) if part),
        )
        self._draw(at_once=False)

    def _print(self, line: str) -> None:
        text = Text(line)
        for word, style in STYLES.items():
            text.highlight_words([f" {word}"], style)
        self._bar.console.print(text)

    def _draw(self, *, at_once: bool) -> None:
        moment_ns = self._now_ns()
        if at_once or moment_ns >= self._next_draw_ns:
            self._next_draw_ns = moment_ns + REDRAW_INTERVAL_NS
            self._bar.refresh()


def phase_line(name: str, detail: str, batch_size: int | None) -> str:
    """Say in a few words what is being done.

    Parameters
    ----------
    name, detail : str
        Of the phase; `detail` may be empty.
    batch_size : int or None
        Of the point in flight.

    Returns
    -------
    str
        Such as ``"perf, batch 8"``.
    """
    size = "" if batch_size is None else f"batch {batch_size}"
    return ", ".join(part for part in (name, size, clean_line(detail)) if part)


def point_line(point: Point) -> str:
    """Say the main figures of a point.

    Parameters
    ----------
    point : Point
        Measured.

    Returns
    -------
    str
        Such as ``"batch 8: 53.0 QPS, p50 451 ms, max 613 ms, VALID"``.
    """
    reasons = f" ({'; '.join(point.invalid_reasons)})" if point.invalid_reasons else ""
    return (
        f"batch {point.batch_size}: {format_rate(point.throughput_samples_per_s)} QPS, "
        f"p50 {format_duration_ns(point.latency.p50_ns)}, "
        f"max {format_duration_ns(point.latency.max_ns)}, "
        f"{verdict(point)}{clean_line(reasons)}"
    )
