"""From what a page says to the page.

Input: collected results. Output: HTML.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bytemlperf.report.collect import Collected, CollectedVariants
from bytemlperf.report.page.assemble import assemble
from bytemlperf.report.page.sections import Shown
from bytemlperf.report.page.task_section import SUMMARY_HEADINGS, summary_cells
from bytemlperf.report.page.view import PageView, page_view
from bytemlperf.report.wall_time import TIME_HEADINGS

__all__ = ["render_page"]


def render_page(
    collected: Sequence[Collected],
    variants: Sequence[CollectedVariants] = (),
    *,
    generated_at_utc: str,
    version: str,
    assets: str = "",
    back: str = "",
    raw: str = "",
) -> str:
    """Return one HTML file that says everything about some results.

    Parameters
    ----------
    collected : sequence of Collected
        At least one.
    variants : sequence of CollectedVariants
        What their sweeps and searches found.
    generated_at_utc, version : str
        When the page is made, and by which version.
    assets, back, raw : str
        On a site: where its scripts are, its first page, and the result's file. Left
        out, the page has no reference to anything outside of it.

    Returns
    -------
    str
        HTML.

    Raises
    ------
    ConfigError
        A histogram in a result is damaged, or jinja2 is not installed.
    """
    view = page_view(
        collected, variants, generated_at_utc=generated_at_utc, version=version
    )
    return assemble(
        "page.html.j2",
        _all_shown(view),
        title=view.title,
        subtitle=view.subtitle,
        generated_at_utc=generated_at_utc,
        version=version,
        assets=assets,
        back=back,
        raw=raw,
        view=view,
        ratios=Shown("ratios", view.compared.ratios) if view.compared else None,
        summary_headings=SUMMARY_HEADINGS,
        time_headings=TIME_HEADINGS,
        summary_rows=[
            (section, summary_cells(each.result))
            for section, each in zip(view.tasks, collected, strict=True)
        ],
        warning_count=sum(
            note.tone != "bad" for task in view.tasks for note in task.notes
        ),
    )


def _all_shown(view: PageView) -> Iterable[Shown]:
    if view.compared is not None:
        yield Shown("ratios", view.compared.ratios)
    for variants in view.variants:
        yield from variants.figures
    yield from view.figures
    for task in view.tasks:
        yield from task.figures
        for point in task.points:
            yield from point.figures
