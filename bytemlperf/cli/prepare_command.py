"""The verb `prepare`: models and samples into the cache, and nothing measured."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from bytemlperf.cli.options import HOW, WHAT, Overrides, Places, Weights
from bytemlperf.errors import ConfigError

__all__ = ["prepare"]


def prepare(
    *,
    tasks: Annotated[str, Parameter(name=["--tasks", "--task"], group=WHAT)] = "all",
    weights: Annotated[Weights, Parameter(group=HOW)] = "auto",
    seed: Annotated[int, Parameter(group=HOW)] = 0,
    jobs: Annotated[int | None, Parameter(group=HOW)] = None,
    places: Places = Places(),
) -> int:
    """Build or download models and samples into the cache, and measure nothing.

    Parameters
    ----------
    tasks
        all: every model; ops: the parts that models are made of; or a comma list of
        task names, glob patterns and .json paths.
    weights
        download: fetch trained weights where they exist, checked by their hash.
    seed
        Seed of the samples.
    jobs
        At most so many tasks at once; fewer where memory does not allow it. Left out:
        as many as there are processors, at most 4.
    places
        Files and folders.
    """
    from bytemlperf.cli import display
    from bytemlperf.cli.request import make_request, select_tasks

    if jobs is not None and jobs < 1:
        raise ConfigError(f"--jobs is 1 or more, not {jobs}")
    request = make_request(
        select_tasks(tasks, Overrides(), quick=False),
        places,
        hardware_types=("CPU",),
        weights=weights,
        seed=seed,
    )
    return display.show_preparation(request, places.ui, jobs=jobs)
