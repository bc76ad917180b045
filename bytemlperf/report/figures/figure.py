"""What every figure is made of: a Vega-Lite specification and the words beside it.

Input: rows of numbers and names. Output: plain dictionaries. Names of models, hosts and
folders go into data values only, never into an expression or a field name, so that they
stay text whatever they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

__all__ = [
    "PALETTE",
    "Figure",
    "Rows",
    "Spec",
    "axis_ms",
    "bars_height",
    "bound_lines",
    "figure",
    "milliseconds",
    "missing",
    "round_digits",
]

Spec = dict[str, Any]
Rows = list[dict[str, Any]]

# Told apart by people who see colours differently; 3:1 or more on white and black.
PALETTE = (
    "#2f7fd6", "#d9730d", "#1f9d6b", "#c2569e",
    "#8a63d2", "#0f9bb0", "#d64545", "#8f8a1f",
)  # fmt: skip
SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
DIGITS = 5
BOUND_COLOR = "#d64545"


class Figure(msgspec.Struct, frozen=True):
    """One figure.

    Parameters
    ----------
    name : str
        Unique within its task or point; letters, digits and dashes.
    title : str
        A few words.
    summary : str
        What is to be seen, with numbers: for people who cannot see it, and the figure's
        alternative text. If there is no `spec`, why not.
    spec : dict or None
        Vega-Lite 6, with its data inside; None: nothing to draw.
    """

    name: str
    title: str
    summary: str
    spec: Spec | None = None


def figure(
    name: str,
    title: str,
    summary: str,
    *,
    layers: Sequence[Spec],
    rows: Rows,
    height: int = 260,
) -> Figure:
    """Put a figure together from layers over the same rows.

    Parameters
    ----------
    name, title, summary : str
        As in `Figure`.
    layers : sequence of dict
        Vega-Lite layers; at least one. A layer may bring data of its own.
    rows : list of dict
        The data.
    height : int
        Pixels.

    Returns
    -------
    Figure
        As wide as the place it is put into.
    """
    spec: Spec = {
        "$schema": SCHEMA,
        "description": f"{title}. {summary}",
        "width": "container",
        "height": height,
        "data": {"values": rows},
        "layer": list(layers),
    }
    return Figure(name, title, summary, spec)


def missing(name: str, title: str, reason: str) -> Figure:
    """Return a figure that cannot be drawn, and says why."""
    return Figure(name, title, reason)


def bars_height(count: int, *, each: int = 28) -> int:
    """Return the height of so many rows of bars, in pixels."""
    return 12 + each * count


def milliseconds(duration_ns: float) -> float:
    """Return a duration in milliseconds, at the digits that a picture can show."""
    return round_digits(duration_ns / 1e6)


def round_digits(value: float) -> float:
    """Round to five significant digits: fewer bytes in a page, same picture."""
    return float(f"{value:.{DIGITS}g}")


def axis_ms(title: str, *, log: bool = True, field: str = "ms") -> Spec:
    """Return an encoding channel for durations in milliseconds."""
    # Without "nice", which would give most of a short range to empty decades.
    scale: Spec = {"type": "log", "nice": False, "padding": 12} if log else {}
    return {
        "field": field,
        "type": "quantitative",
        "title": title,
        "scale": scale,
        "axis": {"labelOverlap": "greedy", "tickCount": 6, "format": ",~r"},
    }


def bound_lines(rows: Rows, scale: Spec, *, channel: str = "y") -> list[Spec]:
    """Return layers with a dashed line for each bound, and its name beside it.

    Parameters
    ----------
    rows : list of dict
        With ``slo``, the objective as written, and ``bound``.
    scale : dict
        Encoding channel that the bounds are on.
    channel : {"y", "x"}
        Which one it is.

    Returns
    -------
    list of dict
        Empty without rows.
    """
    if not rows:
        return []
    along = scale | {"field": "bound"}
    name: Spec = {"type": "text", "align": "left", "color": BOUND_COLOR, "limit": 200}
    if channel == "y":
        place: Spec = {"x": {"value": 4}}
        name |= {"dy": -6}
    else:
        place = {"y": {"value": 0}}
        name |= {"dx": 4, "dy": 8}
    return [
        {
            "data": {"values": rows},
            "mark": {"type": "rule", "strokeDash": [6, 3], "color": BOUND_COLOR},
            "encoding": {channel: along},
        },
        {
            "data": {"values": rows},
            "mark": name,
            "encoding": place | {channel: along, "text": {"field": "slo"}},
        },
    ]
