"""From what a page says to the page.

Input: collected results. Output: HTML. All text goes through the template's escaping;
data for scripts is JSON that cannot end its own element.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from bytemlperf.errors import ConfigError
from bytemlperf.report.collect import Collected
from bytemlperf.report.figures.theme import THEMES
from bytemlperf.report.page.view import (
    SUMMARY_HEADINGS,
    PageView,
    Shown,
    page_view,
    summary_cells,
)

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["render_page"]

PACKAGE = "bytemlperf.report.page"
SCRIPTS = (
    "vega/vega.min.js", "vega/vega-lite.min.js", "vega/vega-embed.min.js", "page.js",
)  # fmt: skip
# What a browser's HTML parser could take for the end of the element, or JavaScript for
# the end of a line.
UNSAFE_IN_SCRIPT = {
    ord(mark): f"\\u{ord(mark):04x}" for mark in ("<", ">", "&", "\u2028", "\u2029")
}
FRAME_HEIGHT = 90


def render_page(
    collected: Sequence[Collected], *, generated_at_utc: str, version: str
) -> str:
    """Return one HTML file that says everything about some results.

    Parameters
    ----------
    collected : sequence of Collected
        At least one.
    generated_at_utc, version : str
        When the page is made, and by which version.

    Returns
    -------
    str
        Without any reference to anything outside of it.

    Raises
    ------
    ConfigError
        A histogram in a result is damaged, or jinja2 is not installed.
    """
    view = page_view(collected, generated_at_utc=generated_at_utc, version=version)
    shown = list(_all_shown(view))
    return (
        _environment()
        .get_template("page.html.j2")
        .render(
            view=view,
            summary_headings=SUMMARY_HEADINGS,
            summary_rows=[
                (section, summary_cells(each.result))
                for section, each in zip(view.tasks, collected, strict=True)
            ],
            warning_count=sum(
                note.tone != "bad" for task in view.tasks for note in task.notes
            ),
            heights={each.key: _height(each) for each in shown},
            style=_safe(_asset("style.css")),
            figures_json=_safe(
                script_json(
                    {
                        each.key: _packed(each.figure.spec)
                        for each in shown
                        if each.figure.spec is not None
                    }
                )
            ),
            themes_json=_safe(script_json(THEMES)),
            scripts=[_safe(_asset(name)) for name in SCRIPTS],
        )
    )


def script_json(value: object) -> str:
    """Return JSON that is the same inside a script element as outside.

    Parameters
    ----------
    value : object
        Of what JSON has.

    Returns
    -------
    str
        Without any character that an HTML parser looks at.
    """
    return json.dumps(value, separators=(",", ":"), allow_nan=False).translate(
        UNSAFE_IN_SCRIPT
    )


def _all_shown(view: PageView) -> Iterable[Shown]:
    yield from view.figures
    for task in view.tasks:
        yield from task.figures
        for point in task.points:
            yield from point.figures


def _height(shown: Shown) -> int:
    """Return about how high a figure becomes: what is below need not move then."""
    if shown.figure.spec is None:
        return 0
    height: int = shown.figure.spec["height"]
    return FRAME_HEIGHT + height


def _packed(spec: dict[str, Any]) -> dict[str, Any]:
    """Write rows as columns with their names once: the page's script unpacks them."""
    rows = spec["data"]["values"]
    fields = list(dict.fromkeys(field for row in rows for field in row))
    packed = {
        "fields": fields,
        "rows": [[row.get(field) for field in fields] for row in rows],
    }
    return spec | {"data": packed}


@cache
def _environment() -> Environment:
    try:
        import jinja2
    except ImportError as error:
        raise ConfigError(
            "an HTML report needs jinja2, which is not installed",
            hint="pip install 'bytemlperf[report]'",
        ) from error
    return jinja2.Environment(
        loader=jinja2.PackageLoader(PACKAGE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=False,
    )


def _safe(text: str) -> str:
    """Mark text as not to be escaped: our own files, and JSON made safe."""
    from markupsafe import Markup

    return Markup(text)


@cache
def _asset(name: str) -> str:
    return resources.files(PACKAGE).joinpath(name).read_text(encoding="utf-8")
