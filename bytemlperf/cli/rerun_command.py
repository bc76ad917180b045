"""The verb `rerun`: the same measurement again, from what a result says of itself."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from bytemlperf.cli.options import HOW, WHAT, Places, Weights

__all__ = ["rerun"]


def rerun(
    result: Annotated[Path, Parameter(group=WHAT)],
    /,
    *,
    weights: Annotated[Weights | None, Parameter(group=HOW)] = None,
    answers: Annotated[Path | None, Parameter(group=HOW)] = None,
    places: Places = Places(out=Path("rerun")),
) -> int:
    """Measure again what a result measured, and put both side by side.

    The workload, the hardware type, the seed, the answers to the backend's questions,
    weights, percentiles, objectives and paths are the result's. What is given here goes
    before it; a path that no longer exists has to be.

    Parameters
    ----------
    result
        A result.json.
    weights
        Where trained weights come from, as without a verb. Default: as recorded.
    answers
        JSON file that answers the backend's questions. Default: as recorded.
    places
        Files and folders.
    """
    from bytemlperf.cli.rerunning import run_again

    return run_again(result, weights=weights, answers=answers, places=places)
