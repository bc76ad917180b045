"""What was offered to a task's points, and what became of it.

Input: points. Output: words about the load, and for open loops a table.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bytemlperf.report.percentiles import shown_percentile
from bytemlperf.report.schema import LoadReport, Point
from bytemlperf.report.text_table import TextColumn, TextTable
from bytemlperf.report.units import format_count, format_duration_ns, format_rate

__all__ = ["affinity_words", "load_table", "load_words"]

_Cell = Callable[[LoadReport], str]


def load_words(point: Point) -> str:
    """Describe how load arrived, in a line.

    Parameters
    ----------
    point : Point
        Any of a task's.

    Returns
    -------
    str
        Such as ``"server, 200 queries/s for 10 s (seed 0)"``.
    """
    limit = f", at most {point.point_seconds:g} s" if point.point_seconds else ""
    load = point.load
    if load is None or load.scenario == "closed_loop":
        return (
            f"closed loop, {point.clients} clients x {point.iterations} queries{limit}"
        )
    name = load.scenario.replace("_", " ")
    if not load.is_open:
        return f"{name}, {point.iterations} queries{limit}"
    if not load.schedule_ns:
        return f"{name}, everything at once"
    rate = load.requested_qps if load.requested_qps is not None else load.offered_qps
    words = (
        f"{name}, {format_rate(rate or 0)} queries/s for {load.schedule_ns / 1e9:g} s"
    )
    if load.source is not None:
        return f"{words} ({load.source})"
    return f"{words} (seed {load.schedule_seed})"


def affinity_words(points: Sequence[Point]) -> str:
    """Say where threads were held, if they were.

    Parameters
    ----------
    points : sequence of Point
        Of a task.

    Returns
    -------
    str
        Such as ``"; affinity loop=0,predict=1 (read back)"``, or empty.
    """
    asked = next((point.affinity for point in points if point.affinity), None)
    if asked is None:
        return ""
    elsewhere = dict.fromkeys(
        group.role
        for point in points
        for group in point.threads
        if group.is_as_asked is False
    )
    held = f"but not {', '.join(elsewhere)}" if elsewhere else "read back"
    return f"; affinity {asked} ({held})"


def load_table(points: Sequence[Point]) -> TextTable | None:
    """Lay out what was offered, issued and answered.

    Parameters
    ----------
    points : sequence of Point
        In the order to show.

    Returns
    -------
    TextTable or None
        None if no point was an open loop.
    """
    shown = [
        (point, point.load)
        for point in points
        if point.load is not None and point.load.is_open
    ]
    if not shown:
        return None
    columns: list[tuple[str, _Cell]] = [
        ("offered\nqueries/s", lambda load: _rate(load.offered_qps)),
        ("achieved\nqueries/s", lambda load: _rate(load.achieved_qps)),
        ("\nscheduled", lambda load: _count(load.scheduled_count)),
        ("not\nissued", lambda load: _count(_not_issued(load))),
        ("\ndropped", lambda load: _count(load.dropped_count)),
        ("peak in\nflight", lambda load: _count(load.peak_in_flight)),
        ("lag\np50", lambda load: _lag(load, 50)),
        ("lag\np99", lambda load: _lag(load, 99)),
    ]
    return TextTable(
        [
            TextColumn("batch\nsize", [str(point.batch_size) for point, _ in shown]),
            *(
                TextColumn(heading, [cell(load) for _, load in shown])
                for heading, cell in columns
            ),
        ]
    )


def _not_issued(load: LoadReport) -> int:
    return sum(
        count or 0
        for count in (load.refused_count, load.starved_count, load.unissued_count)
    )


def _rate(per_second: float | None) -> str:
    return "-" if per_second is None else format_rate(per_second)


def _count(count: int | None) -> str:
    return "-" if count is None else format_count(count)


def _lag(load: LoadReport, percentile: int) -> str:
    if load.lag is None:
        return "-"
    value_ns: int = getattr(load.lag, f"p{percentile}_ns")
    return shown_percentile(format_duration_ns(value_ns), percentile, load.lag.count)
