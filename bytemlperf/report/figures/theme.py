"""Colours of figures, light and dark; what is drawn is the same in both.

Input: nothing. Output: Vega-Lite configurations.
"""

from __future__ import annotations

from typing import Any, Literal

from bytemlperf.report.figures.figure import PALETTE

__all__ = ["THEMES", "Theme"]

Theme = Literal["light", "dark"]


def _theme(*, ink: str, soft: str, line: str, scheme: str) -> dict[str, Any]:
    return {
        "background": None,
        "font": "system-ui, sans-serif",
        "view": {"stroke": line},
        "axis": {
            "labelColor": soft,
            "titleColor": ink,
            "titleFontWeight": 500,
            "domainColor": line,
            "tickColor": line,
            "gridColor": line,
            "gridOpacity": 0.6,
        },
        "legend": {
            "labelColor": ink,
            "titleColor": ink,
            "orient": "top",
            "columns": 4,
            "labelLimit": 200,
        },
        "text": {"color": ink},
        "rule": {"color": soft},
        "mark": {"color": PALETTE[0]},
        "range": {"category": list(PALETTE), "heatmap": {"scheme": scheme}},
    }


THEMES: dict[Theme, dict[str, Any]] = {
    "light": _theme(
        ink="#14181f", soft="#505a68", line="#dde2e8", scheme="yellowgreenblue"
    ),
    "dark": _theme(ink="#e8ecf1", soft="#a9b4c2", line="#3a4452", scheme="viridis"),
}
