"""The verb `report`: results as something to read, share and print."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from bytemlperf.cli.options import WHAT, WHERE, flag

__all__ = ["report"]


def report(
    results: Annotated[list[Path], Parameter(negative=())],
    /,
    *,
    html: Annotated[bool, flag(WHAT)] = False,
    out: Annotated[Path | None, Parameter(group=WHERE)] = None,
) -> int:
    """Write reports of one result, of a whole run, or of several runs side by side.

    Parameters
    ----------
    results
        Each a result.json, an index.json, or the folder that a run was written to.
        Several are put side by side.
    html
        report.html: one file with everything, which needs no network. The default.
    out
        Folder for the reports. Default: where the first of the results is.
    """
    import bytemlperf
    from bytemlperf.report.collect import collect_results
    from bytemlperf.report.writing import Form, write_reports
    from bytemlperf.runtime.clock import utc_now

    asked: list[tuple[bool, Form]] = [(html, "html")]
    forms: list[Form] = [form for wanted, form in asked if wanted]
    first = results[0]
    for path in write_reports(
        collect_results(results),
        out or (first if first.is_dir() else first.parent),
        forms or ["html"],
        generated_at_utc=f"{utc_now():%Y-%m-%d %H:%M:%S} UTC",
        version=bytemlperf.__version__,
    ):
        print(path)
    return 0
