"""Reports as files: what was asked for, next to each other in a folder.

Input: collected results and the forms wanted. Output: the files' paths.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Literal

from bytemlperf.report.collect import Collected, CollectedVariants
from bytemlperf.report.formats.importing import folder_name
from bytemlperf.report.storage import make_folder, write_bytes_atomic

__all__ = ["Form", "write_pictures", "write_reports"]

Form = Literal["html", "pdf", "md"]
_Renderer = Callable[
    [Sequence[Collected], Sequence[CollectedVariants], str, str], bytes
]
STEM = "report"
PICTURES = "plots"


def write_reports(
    collected: Sequence[Collected],
    folder: Path,
    forms: Iterable[Form],
    variants: Sequence[CollectedVariants] = (),
    *,
    generated_at_utc: str,
    version: str,
) -> list[Path]:
    """Write reports of some results.

    Parameters
    ----------
    collected : sequence of Collected
        At least one.
    folder : Path
        Made if it is missing; files of the same names are replaced.
    forms : iterable of str
        Which reports.
    variants : sequence of CollectedVariants
        What sweeps and searches among the results found.
    generated_at_utc, version : str
        When they are made, and by which version.

    Returns
    -------
    list of Path
        What was written, in the order asked.

    Raises
    ------
    StorageError
        The folder cannot be written.
    ConfigError
        A result is damaged, or a package that a form needs is not installed.
    """
    make_folder(folder)
    written = []
    for form in forms:
        path = folder / f"{STEM}.{form}"
        write_bytes_atomic(
            path, _renderer(form)(collected, variants, generated_at_utc, version)
        )
        written.append(path)
    return written


def write_pictures(
    collected: Sequence[Collected],
    folder: Path,
    variants: Sequence[CollectedVariants] = (),
) -> list[Path]:
    """Write every figure as SVG and as PNG.

    Parameters
    ----------
    collected : sequence of Collected
        At least one.
    folder : Path
        Made if it is missing.
    variants : sequence of CollectedVariants
        What sweeps and searches among the results found.

    Returns
    -------
    list of Path
        What was written, named by run, task, point and figure.

    Raises
    ------
    StorageError
        The folder cannot be written.
    ConfigError
        A result is damaged, or vl-convert-python is not installed.
    """
    from bytemlperf.report.page.view import page_view
    from bytemlperf.report.pictures import to_png, to_svg

    make_folder(folder)
    view = page_view(collected, variants, generated_at_utc="", version="")
    named = [(each.key, each.figure) for each in view.figures]
    for section in view.variants:
        named += [(f"{section.title} {each.figure.name}", each.figure)
                  for each in section.figures]  # fmt: skip
    for task in view.tasks:
        place = " ".join(filter(None, [task.run, task.title]))
        named += [(f"{place} {each.figure.name}", each.figure) for each in task.figures]
        for point in task.points:
            named += [
                (f"{place} {point.name} {each.figure.name}", each.figure)
                for each in point.figures
            ]
    written = []
    for name, figure in named:
        if figure.spec is None:
            continue
        stem = folder / folder_name(name)
        for path, body in (
            (stem.with_name(f"{stem.name}.svg"), to_svg(figure).encode()),
            (stem.with_name(f"{stem.name}.png"), to_png(figure)),
        ):
            write_bytes_atomic(path, body)
            written.append(path)
    return written


def _renderer(form: Form) -> _Renderer:
    """Import what one form takes, and nothing else."""

    def render(
        collected: Sequence[Collected],
        variants: Sequence[CollectedVariants],
        moment: str,
        version: str,
    ) -> bytes:
        if form == "pdf":
            from bytemlperf.report.pdf import render_pdf

            return render_pdf(
                collected, variants, generated_at_utc=moment, version=version
            )
        if form == "md":
            from bytemlperf.report.markdown import render_markdown as to_text
        else:
            from bytemlperf.report.page import render_page as to_text
        text = to_text(collected, variants, generated_at_utc=moment, version=version)
        return text.encode("utf-8", "replace")

    return render
