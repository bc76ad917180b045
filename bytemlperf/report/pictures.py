"""Figures as pictures, without a browser and without a network.

Input: figures. Output: SVG or PNG, in the light colours.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from bytemlperf.errors import ConfigError
from bytemlperf.report.figures import Figure
from bytemlperf.report.figures.theme import THEMES
from bytemlperf.report.fonts import FONTS_FOLDER

__all__ = ["to_png", "to_svg"]

WIDTH = 620
VEGA_LITE = "v6.4"


def to_svg(figure: Figure) -> str:
    """Draw a figure as SVG.

    Parameters
    ----------
    figure : Figure
        With a `spec`.

    Returns
    -------
    str
        XML, on white.

    Raises
    ------
    ConfigError
        vl-convert-python is not installed, or it cannot draw the figure.
    """
    try:
        drawn: str = _converter().vegalite_to_svg(_spec(figure), vl_version=VEGA_LITE)
    except ValueError as error:
        raise _undrawable(figure, error) from error
    return drawn


def to_png(figure: Figure, *, scale: float = 2, width: int = WIDTH) -> bytes:
    """Draw a figure as PNG.

    Parameters
    ----------
    figure : Figure
        With a `spec`.
    scale : float, default 2
        Pixels per unit.
    width : int, default 620
        Of the plot, in units; text stays as large.

    Returns
    -------
    bytes
        A PNG file, on white.

    Raises
    ------
    ConfigError
        vl-convert-python is not installed, or it cannot draw the figure.
    """
    try:
        drawn: bytes = _converter().vegalite_to_png(
            _spec(figure, width), vl_version=VEGA_LITE, scale=scale
        )
    except ValueError as error:
        raise _undrawable(figure, error) from error
    return drawn


def _spec(figure: Figure, width: int = WIDTH) -> dict[str, Any]:
    """Give a figure a width of its own, and paper below it."""
    if figure.spec is None:
        raise ConfigError(f"there is nothing to draw: {figure.summary}")
    config = THEMES["light"] | {"background": "white", "font": "sans-serif"}
    return figure.spec | {"width": width, "config": config}


@cache
def _converter() -> Any:
    try:
        import vl_convert
    except ImportError as error:
        raise ConfigError(
            "pictures need vl-convert-python, which is not installed",
            hint="pip install 'bytemlperf[report]'",
        ) from error
    # For names that the fonts of this machine cannot show.
    vl_convert.register_font_directory(str(FONTS_FOLDER))
    return vl_convert


def _undrawable(figure: Figure, error: ValueError) -> ConfigError:
    return ConfigError(f"figure {figure.name!r} cannot be drawn", detail=str(error))
