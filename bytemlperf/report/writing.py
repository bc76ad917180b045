"""Reports as files: what was asked for, next to each other in a folder.

Input: collected results and the forms wanted. Output: the files' paths.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

from bytemlperf.report.collect import Collected
from bytemlperf.report.storage import make_folder, write_bytes_atomic

__all__ = ["FORMS", "Form", "write_reports"]

Form = Literal["html"]
FORMS: tuple[Form, ...] = ("html",)
STEM = "report"


def write_reports(
    collected: Sequence[Collected],
    folder: Path,
    forms: Iterable[Form],
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
        from bytemlperf.report.page import render_page

        page = render_page(
            collected, generated_at_utc=generated_at_utc, version=version
        )
        write_bytes_atomic(path, page.encode("utf-8", "replace"))
        written.append(path)
    return written
