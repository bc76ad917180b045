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
    pdf: Annotated[bool, flag(WHAT)] = False,
    md: Annotated[bool, flag(WHAT)] = False,
    plots: Annotated[Path | None, Parameter(group=WHERE)] = None,
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
    pdf
        report.pdf: the same figures on A4 paper.
    md
        report.md: verdicts and tables for a pull request.
    plots
        Folder for every figure as SVG and PNG.
    out
        Folder for the reports. Default: where the first of the results is.
    """
    import bytemlperf
    from bytemlperf.report.collect import collect_results, collect_variants
    from bytemlperf.report.writing import Form, write_pictures, write_reports
    from bytemlperf.runtime.clock import utc_now

    asked: list[tuple[bool, Form]] = [(html, "html"), (pdf, "pdf"), (md, "md")]
    forms: list[Form] = [form for wanted, form in asked if wanted]
    if not forms and plots is None:
        forms = ["html"]
    first = results[0]
    collected = collect_results(results)
    variants = collect_variants(results, collected)
    written = write_reports(
        collected,
        out or (first if first.is_dir() else first.parent),
        forms,
        variants,
        generated_at_utc=f"{utc_now():%Y-%m-%d %H:%M:%S} UTC",
        version=bytemlperf.__version__,
    )
    if plots is not None:
        written += write_pictures(collected, plots, variants)
    for path in written:
        print(path)
    return 0
