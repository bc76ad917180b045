"""Format figures for people: fixed columns of plain text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmarks.bars import BARS, Bar
from benchmarks.results import Cost, Reached

__all__ = ["format_bars", "format_costs", "format_details"]


def _number(value: float) -> str:
    """Show three significant digits, and thousands apart."""
    if value != 0 and abs(value) < 10:
        return f"{value:.3g}"
    if abs(value) < 100:
        return f"{value:.1f}"
    return f"{value:,.0f}"


def _figure(value: float | None, unit: str) -> str:
    if value is None:
        return "-"
    if unit == "yes":
        return "yes" if value else "no"
    return f"{_number(value)}{'' if unit == 'x' else ' '}{unit}"


def _limit(value: float | None, bar: Bar) -> str:
    if value is None or bar.unit == "yes":
        return _figure(value, bar.unit)
    return f"{'>=' if bar.better == 'higher' else '<='} {_figure(value, bar.unit)}"


def _lay_out(rows: Sequence[Sequence[str]], *, right: Sequence[int] = ()) -> str:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if i in right else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(lines)


def format_bars(reached: Sequence[Reached], *, only_these: bool = False) -> str:
    """Set what was reached beside what was asked.

    Parameters
    ----------
    reached : sequence of Reached
        From any number of scripts.
    only_these : bool, default False
        Leave out the bars that nobody reported; otherwise they stand as not measured.

    Returns
    -------
    str
        A table, in the order of the bars, and the notes under it.
    """
    by_key = {each.bar: each for each in reached}
    headings: list[str] = []
    rows = [["what", "at least", "hoped for", "reached", "spread", "quietest",
             "by CPU", "verdict"]]  # fmt: skip
    notes: list[str] = []
    for bar in BARS:
        found = by_key.get(bar.key)
        if found is None:
            if only_these:
                continue
            found = Reached(bar=bar.key, verdict="not measured", note="no script ran")
        if found.note and found.note not in notes:
            notes.append(found.note)
        headings.append(bar.row)
        rows.append(_bar_cells(bar, found, notes))
    if len(rows) == 1:
        return ""
    top, line, *body = _lay_out(rows, right=(1, 2, 3, 4, 5, 6)).splitlines()
    lines = [top, line]
    for i, (heading, text) in enumerate(zip(headings, body, strict=True)):
        # Headings are no cells: they would make the first column as wide as they are.
        if i == 0 or heading != headings[i - 1]:
            lines.append(heading)
        lines.append(text)
    lines += [f"[{i}] {note}" for i, note in enumerate(notes, 1)]
    return "\n".join(lines)


def _bar_cells(bar: Bar, found: Reached, notes: Sequence[str]) -> list[str]:
    spread = "-"
    if found.low is not None and found.high is not None and bar.unit != "yes":
        spread = f"{_number(found.low)}..{_number(found.high)} ({found.windows})"
    mark = f" [{notes.index(found.note) + 1}]" if found.note else ""
    return [
        f"  {bar.what}",
        _limit(bar.at_least, bar),
        _limit(bar.hoped_for, bar),
        _figure(found.value, bar.unit),
        spread,
        _figure(found.quietest, bar.unit),
        _figure(found.by_cpu, bar.unit),
        f"{found.verdict}{mark}",
    ]


def format_costs(costs: Mapping[str, Cost]) -> str:
    """List what a query of each contender cost.

    Parameters
    ----------
    costs : Mapping of str to Cost
        By contender.

    Returns
    -------
    str
        A table, or nothing.
    """
    if not costs:
        return ""
    rows = [["contender", "ns/query", "min", "max", "CPU ns/query", "queries"]]
    rows += [
        [
            name,
            _number(cost.wall_ns.median),
            _number(cost.wall_ns.low),
            _number(cost.wall_ns.high),
            _number(cost.cpu_ns.median),
            f"{cost.queries:,}",
        ]
        for name, cost in costs.items()
    ]
    return _lay_out(rows, right=(1, 2, 3, 4, 5))


def format_details(details: Mapping[str, float]) -> str:
    """List the figures beside the bars.

    Parameters
    ----------
    details : Mapping of str to float
        By name, which ends with the unit.

    Returns
    -------
    str
        A table, or nothing.
    """
    if not details:
        return ""
    rows = [["beside it", "figure"]]
    rows += [[name, _number(value)] for name, value in details.items()]
    return _lay_out(rows, right=(1,))
