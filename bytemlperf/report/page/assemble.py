"""A template, figures and scripts put together into one page.

Input: a template's name and what it says. Output: HTML. All text goes through the
template's escaping; data for scripts is JSON that cannot end its own element.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterable
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from bytemlperf.errors import ConfigError
from bytemlperf.report.figures.theme import THEMES
from bytemlperf.report.page.sections import Shown

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["SCRIPTS", "asset", "assemble", "script_json"]

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


def assemble(
    template: str,
    shown: Iterable[Shown],
    *,
    title: str,
    subtitle: str,
    generated_at_utc: str,
    version: str,
    assets: str = "",
    scripts: tuple[str, ...] = (),
    **context: Any,
) -> str:
    """Return a page.

    Parameters
    ----------
    template : str
        File name.
    shown : iterable of Shown
        Every figure that the template shows.
    title, subtitle, generated_at_utc, version : str
        Of the head.
    assets : str
        Where the common scripts are, relative to the page, ending with ``/``; empty:
        inside the page, which then needs no other file.
    scripts : tuple of str
        Scripts of this package that are inside in any case, after the common ones.
    **context
        What else the template says.

    Returns
    -------
    str
        HTML.

    Raises
    ------
    ConfigError
        jinja2 is not installed.
    """
    figures = list(shown)
    rendered: str = (
        _environment()
        .get_template(template)
        .render(
            title=title,
            subtitle=subtitle,
            generated_at_utc=generated_at_utc,
            version=version,
            heights={each.key: _height(each) for each in figures},
            style=_safe(asset("style.css")),
            figures_packed=_compressed(
                {
                    each.key: _packed(each.figure.spec)
                    for each in figures
                    if each.figure.spec is not None
                }
            ),
            themes_json=_safe(script_json(THEMES)),
            assets=assets,
            linked_scripts=[name.rpartition("/")[2] for name in SCRIPTS]
            if assets
            else [],
            scripts=[_safe(asset(name)) for name in SCRIPTS] if not assets else [],
            own_scripts=[_safe(asset(name)) for name in scripts],
            **context,
        )
    )
    return rendered


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


@cache
def asset(name: str) -> str:
    """Read a text file of this package."""
    return resources.files(PACKAGE).joinpath(name).read_text(encoding="utf-8")


def _height(shown: Shown) -> int:
    """Return about how high a figure becomes: what is below need not move then."""
    if shown.figure.spec is None:
        return 0
    height: int = shown.figure.spec["height"]
    return FRAME_HEIGHT + height


def _compressed(value: object) -> str:
    """Return JSON, gzipped, in base64: the figures of a whole zoo are a tenth of it.

    The same value is the same text: without the moment that gzip would put in.
    """
    body = json.dumps(value, separators=(",", ":"), allow_nan=False).encode()
    return base64.b64encode(gzip.compress(body, mtime=0)).decode("ascii")


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
    )


def _safe(text: str) -> str:
    """Mark text as not to be escaped: our own files, and JSON made safe."""
    from markupsafe import Markup

    return Markup(text)
