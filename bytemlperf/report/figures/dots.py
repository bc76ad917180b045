"""Values side by side on one axis: a row a thing, a mark a value.

Input: rows. Output: a figure. What other figures of this kind have in common.
"""

from __future__ import annotations

from collections.abc import Sequence

from bytemlperf.report.figures.figure import Figure, Rows, Spec, bars_height, figure

__all__ = ["dots"]


def dots(
    name: str,
    title: str,
    summary: str,
    *,
    rows: Rows,
    series: Sequence[str],
    axis: Spec,
    unit: str,
) -> Figure:
    """Draw a mark for each value.

    Parameters
    ----------
    name, title, summary : str
        As in `Figure`.
    rows : list of dict
        With ``place`` (what the row is called), ``series``, and ``value``; a whisker
        is drawn where there are ``low`` and ``high``.
    series : sequence of str
        What the marks mean, in the order of the legend.
    axis : dict
        Encoding channel of the values.
    unit : str
        Of the values, for the hint at a mark.

    Returns
    -------
    Figure
        As high as its rows.
    """
    places = list(dict.fromkeys(row["place"] for row in rows))
    legend = {
        "field": "series",
        "type": "nominal",
        "title": None,
        "sort": list(series),
        "scale": {"domain": list(series)},
    }
    y = {
        "field": "place",
        "type": "nominal",
        "title": None,
        "sort": places,
        "axis": {"labelLimit": 180, "grid": True},
    }
    layers: list[Spec] = []
    if any("low" in row for row in rows):
        layers.append(
            {
                "transform": [{"filter": "isValid(datum.low)"}],
                "mark": {"type": "rule", "strokeWidth": 1.5},
                "encoding": {
                    "y": y,
                    "x": axis | {"field": "low"},
                    "x2": {"field": "high"},
                    "color": legend,
                },
            }
        )
    layers.append(
        {
            "mark": {"type": "point", "filled": True, "size": 80, "opacity": 0.9},
            "encoding": {
                "y": y,
                "x": axis | {"field": "value"},
                "color": legend,
                "shape": legend,
                "tooltip": [
                    {"field": "place", "title": "of"},
                    {"field": "series", "title": "what"},
                    {"field": "value", "title": unit, "format": ",.4~g"},
                ],
            },
        }
    )
    return figure(
        name, title, summary, layers=layers, rows=rows, height=bars_height(len(places))
    )
