"""The verb `merge`: results that several machines measured by hand, put together."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from bytemlperf.cli.options import WHERE

__all__ = ["merge"]


def merge(
    results: Annotated[list[Path], Parameter(negative=())],
    /,
    *,
    out: Annotated[Path, Parameter(group=WHERE)] = Path("merged.json"),
) -> int:
    """Put results of one task together that several machines measured by hand.

    Parameters
    ----------
    results
        Two or more result.json files, of runs that were started together.
    out
        File for the merged result.
    """
    from bytemlperf.cli import display

    return display.show_merged(results, out)
