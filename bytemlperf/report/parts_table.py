"""The table of what each process did, where several loaded a point together.

Input: points. Output: a table, or None if every point was loaded by one process.
"""

from __future__ import annotations

from collections.abc import Sequence

from bytemlperf.report.percentiles import shown_percentile
from bytemlperf.report.schema import Point
from bytemlperf.report.schema.point import PointPart
from bytemlperf.report.text_table import TextColumn, TextTable
from bytemlperf.report.units import format_count, format_duration_ns, format_rate

__all__ = ["parts_table"]

# More of them are in the result; a page of rows is read by nobody.
MAX_PARTS_SHOWN = 16
HEADINGS = (
    "batch\nsize", "\nprocess", "\nclients", "\nn", "\nQPS", "\np50", "\np99",
    "began\nlater by",
)  # fmt: skip


def parts_table(points: Sequence[Point]) -> TextTable | None:
    """Lay out every process's share of every point.

    Parameters
    ----------
    points : sequence of Point
        In the order to show.

    Returns
    -------
    TextTable or None
        At most 16 processes of each point.
    """
    if not any(point.parts for point in points):
        return None
    rows: list[list[str]] = []
    for point in points:
        for number, part in enumerate(point.parts[:MAX_PARTS_SHOWN]):
            rows.append([str(point.batch_size), _where(number, part), *_cells(part)])
        more = len(point.parts) - MAX_PARTS_SHOWN
        if more > 0:
            said = ["", f"and {more} more, in the result"]
            rows.append(said + [""] * (len(HEADINGS) - len(said)))
    return TextTable(
        [
            TextColumn(heading, list(cells), is_left=heading == "\nprocess")
            for heading, cells in zip(HEADINGS, zip(*rows, strict=True), strict=True)
        ],
        key_count=2,
    )


def _where(number: int, part: PointPart) -> str:
    """Say which process it was and what it was held to."""
    held = []
    if part.host is not None:
        held.append(part.host)
    if part.cores:
        held.append(f"cores {_ranges(part.cores)}")
    held += [f"{name}={value}" for name, value in part.devices.items()]
    return f"{number}: {', '.join(held)}" if held else str(number)


def _ranges(numbers: Sequence[int]) -> str:
    """Write sorted numbers as the kernel does: 0-3,8."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ",".join(
        f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs
    )


def _cells(part: PointPart) -> list[str]:
    latency = part.latency
    return [
        str(part.clients),
        format_count(latency.count),
        format_rate(part.throughput_samples_per_s),
        shown_percentile(format_duration_ns(latency.p50_ns), 50, latency.count),
        shown_percentile(format_duration_ns(latency.p99_ns), 99, latency.count),
        format_duration_ns(part.start_offset_ns),
    ]
