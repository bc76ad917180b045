"""Series as lines of text for a terminal, and as figures for a page.

Input: readings. Output: text or figures.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from bytemlperf.report.figures.figure import (
    Figure,
    Rows,
    Spec,
    figure,
    missing,
    round_digits,
)
from bytemlperf.report.history.change_points import MIN_VALUES, change_points
from bytemlperf.report.history.store import Entry, Reading
from bytemlperf.report.plain_text import clean_line
from bytemlperf.report.units import format_bytes, format_duration_ns, format_rate

__all__ = ["format_value", "reading_figure", "reading_lines"]

BAR = 30
DASH = "#d64545"


def format_value(metric: str, value: float) -> str:
    """Format a figure by the unit in its metric's name.

    Parameters
    ----------
    metric : str
        One of the store's.
    value : float
        In that unit.

    Returns
    -------
    str
        With its unit.
    """
    if metric.endswith("_ns"):
        return format_duration_ns(value)
    if metric.endswith("_bytes"):
        return format_bytes(value)
    return f"{format_rate(value)} samples/s"


def reading_lines(reading: Reading) -> list[str]:
    """Say a series in lines: one a run, with a bar, and where the level changed.

    Parameters
    ----------
    reading : Reading
        With at least one entry.

    Returns
    -------
    list of str
        ASCII but for names; invalid points are marked and take no part in changes.
    """
    title = f"{reading.task} on {reading.hardware_type}, {reading.point}"
    lines = [clean_line(f"{title}: {reading.metric}"), clean_line(f"  {reading.host}")]
    changes = _changes(reading)
    largest = max(entry.value for entry in reading.entries) or 1.0
    for index, entry in enumerate(reading.entries):
        bar = "#" * max(1, round(BAR * entry.value / largest))
        value = format_value(reading.metric, entry.value)
        line = f"  {entry.started_at_utc[:19]}  {_version(entry):<18}  {value:>18}  "
        line += f"{bar:<{BAR}}"
        if not entry.is_valid:
            line += "  INVALID"
        if index in changes:
            line += f"  <- {_change_words(reading, changes[index])}"
        lines.append(clean_line(line))
    valid = sum(entry.is_valid for entry in reading.entries)
    if valid < MIN_VALUES:
        lines.append(f"  changes are looked for from {MIN_VALUES} valid runs on")
    return lines


def reading_figure(reading: Reading, name: str) -> Figure:
    """Draw a series over time.

    Parameters
    ----------
    reading : Reading
        Of one point.
    name : str
        Of the figure.

    Returns
    -------
    Figure
        With a dashed line where the level changed.
    """
    title = f"{reading.task} on {reading.hardware_type}, {reading.point}"
    entries = reading.entries
    if not entries:
        return missing(name, title, "Nothing is known yet.")
    scale = {"_ns": 1e6}.get(reading.metric[-3:], 1.0)
    unit = "ms" if scale != 1 else "bytes" if "bytes" in reading.metric else "samples/s"
    rows: Rows = [
        {
            "when": entry.started_at_utc,
            "value": round_digits(entry.value / scale),
            "version": _version(entry),
            "verdict": "VALID" if entry.is_valid else "INVALID",
        }
        for entry in entries
    ]
    changes = _changes(reading)
    x = {
        "field": "when",
        "type": "temporal",
        "title": None,
        "axis": {"labelOverlap": "greedy"},
    }
    y = {
        "field": "value",
        "type": "quantitative",
        "title": f"{reading.metric.rsplit('_', 1)[0]}, {unit}" if scale != 1 else unit,
        "scale": {"zero": True},
        "axis": {"format": "~s", "tickCount": 5},
    }
    layers: list[Spec] = [
        {"mark": {"type": "line", "opacity": 0.5}, "encoding": {"x": x, "y": y}},
        {
            "mark": {"type": "point", "filled": True, "size": 60, "opacity": 1},
            "encoding": {
                "x": x,
                "y": y,
                "shape": {
                    "field": "verdict",
                    "type": "nominal",
                    "title": None,
                    "scale": {
                        "domain": ["VALID", "INVALID"],
                        "range": ["circle", "cross"],
                    },
                },
                "tooltip": [
                    {"field": "when", "type": "temporal", "title": "began",
                     "format": "%Y-%m-%d %H:%M"},
                    {"field": "version", "title": "version"},
                    {"field": "value", "title": unit, "format": ",.4~g"},
                    {"field": "verdict", "title": "verdict"},
                ],
            },
        },
    ]  # fmt: skip
    if changes:
        layers.append(
            {
                "data": {
                    "values": [
                        {"when": entries[index].started_at_utc} for index in changes
                    ]
                },
                "mark": {"type": "rule", "strokeDash": [5, 3], "color": DASH},
                "encoding": {"x": x},
            }
        )
    words = [
        f"{len(entries)} runs on {reading.host}",
        f"latest {format_value(reading.metric, entries[-1].value)}",
        *(
            f"{entries[index].started_at_utc[:10]}: {_change_words(reading, levels)}"
            for index, levels in changes.items()
        ),
    ]
    return figure(
        name, title, "; ".join(words) + ".", layers=layers, rows=rows, height=180
    )


def _changes(reading: Reading) -> dict[int, tuple[float, float]]:
    """Return where the level changes, with the medians before and after."""
    valid = [index for index, entry in enumerate(reading.entries) if entry.is_valid]
    values = [reading.entries[index].value for index in valid]
    places = change_points(values)
    borders = [0, *places, len(values)]
    levels = [
        _median(values[begin:end])
        for begin, end in itertools.pairwise(borders)
        if end > begin
    ]
    return {
        valid[place]: (levels[number], levels[number + 1])
        for number, place in enumerate(places)
    }


def _change_words(reading: Reading, levels: tuple[float, float]) -> str:
    before, after = levels
    share = f" ({after / before - 1:+.1%})" if before else ""
    return (
        f"changed from {format_value(reading.metric, before)} to "
        f"{format_value(reading.metric, after)}{share}"
    )


def _median(values: Sequence[float]) -> float:
    ordered = sorted(values)
    middle = len(ordered) // 2
    return (ordered[middle] + ordered[-middle - 1]) / 2


def _version(entry: Entry) -> str:
    commit = f" {entry.source_commit[:9]}" if entry.source_commit else ""
    return f"{entry.version}{commit}"
