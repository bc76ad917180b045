"""A command line in, one call into the launcher, an exit code out.

The only module that prints and that decides exit codes: 0 ok, 2 usage, 3 a backend or a
point failed, 4 ran but not a valid measurement, 130 interrupted, 70 our own bug.
Nothing heavy is imported before the arguments are known, so that ``--help`` is quick.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import App, CycloptsError, Parameter

import bytemlperf
from bytemlperf.cli.options import HOW, WHAT, Overrides, Places, Weights, flag
from bytemlperf.errors import BytemlperfError

__all__ = ["run"]

EXIT_USAGE = 2
EXIT_INTERNAL = 70
EXIT_INTERRUPTED = 130

app = App(
    name="bytemlperf",
    version=bytemlperf.__version__,
    help="Measure inference systems: how fast, how accurate, how faithful, how "
    "completely compiled a model is on a piece of hardware.",
    help_epilogue="Exit codes: 0 ok, 2 usage, 3 a backend or point failed, 4 ran but "
    "not a valid measurement, 130 interrupted.",
    usage="Usage: python -m bytemlperf [prepare] --tasks all --hardware_type CPU",
    # The original's spelling; the parser takes dashes for underscores as well.
    default_parameter=Parameter(name_transform=lambda name: name),
    exit_on_error=False,
    print_error=False,
)


@app.default
def measure(
    *,
    tasks: Annotated[str, Parameter(name=["--tasks", "--task"], group=WHAT)] = "all",
    hardware_type: Annotated[str | None, Parameter(group=WHAT)] = None,
    show_task_list: Annotated[bool, flag(WHAT)] = False,
    show_hardware_list: Annotated[bool, flag(WHAT)] = False,
    quick: Annotated[bool, flag(HOW)] = False,
    seed: Annotated[int, Parameter(group=HOW)] = 0,
    weights: Annotated[Weights, Parameter(group=HOW)] = "auto",
    keep_timeline: Annotated[bool, flag(HOW)] = False,
    answers: Annotated[Path | None, Parameter(group=HOW)] = None,
    overrides: Overrides = Overrides(),
    places: Places = Places(),
) -> int:
    """Run tasks on a hardware type and report.

    Parameters
    ----------
    tasks
        all, or a comma list of task names, glob patterns and .json paths.
    hardware_type
        Backend to measure, such as CPU; several as a comma list. Required.
    show_task_list
        List the tasks and exit.
    show_hardware_list
        List the hardware types and exit.
    quick
        A first look: each task's first two batch sizes, short points.
    seed
        Seed of the samples and of their order.
    weights
        auto: trained weights if they were downloaded before, else seeded ones;
        download: fetch them first.
    keep_timeline
        Also write every query's row (.npy) beside the result.
    answers
        JSON file that answers the backend's questions.
    overrides
        Workload fields.
    places
        Files and folders.
    """
    from bytemlperf.cli import display
    from bytemlperf.cli.request import make_request, select_hardware, select_tasks

    if show_task_list or show_hardware_list:
        return display.show_lists(
            show_task_list, show_hardware_list, places.backend_path
        )
    request = make_request(
        select_tasks(tasks, overrides, quick=quick),
        places,
        hardware_types=select_hardware(hardware_type, places.backend_path),
        weights=weights,
        seed=seed,
        point_seconds=overrides.default_point_seconds(quick=quick),
        keep_timeline=keep_timeline,
        answers=answers,
    )
    return display.show_measurement(request, places.ui)


@app.command
def prepare(
    *,
    tasks: Annotated[str, Parameter(name=["--tasks", "--task"], group=WHAT)] = "all",
    weights: Annotated[Weights, Parameter(group=HOW)] = "auto",
    seed: Annotated[int, Parameter(group=HOW)] = 0,
    places: Places = Places(),
) -> int:
    """Build or download models and samples into the cache, and measure nothing.

    Parameters
    ----------
    tasks
        all, or a comma list of task names, glob patterns and .json paths.
    weights
        download: fetch trained weights where they exist, checked by their hash.
    seed
        Seed of the samples.
    places
        Files and folders.
    """
    from bytemlperf.cli import display
    from bytemlperf.cli.request import make_request, select_tasks

    request = make_request(
        select_tasks(tasks, Overrides(), quick=False),
        places,
        hardware_types=("CPU",),
        weights=weights,
        seed=seed,
    )
    return display.show_preparation(request, places.ui)


def run(argv: Sequence[str]) -> int:
    """Run a command line.

    Parameters
    ----------
    argv : sequence of str
        Arguments without the program's name.

    Returns
    -------
    int
        The exit code.
    """
    try:
        code = app(list(argv))
    except CycloptsError as error:
        print(f"bytemlperf: {_parse_message(error)}", file=sys.stderr)
        print("hint: python -m bytemlperf --help", file=sys.stderr)
        return EXIT_USAGE
    except BytemlperfError as error:
        print(f"bytemlperf: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("bytemlperf: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has gone; what is measured is on disk.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception:
        traceback.print_exc()
        print("bytemlperf: this is our own bug; please report it", file=sys.stderr)
        return EXIT_INTERNAL
    return code if isinstance(code, int) else 0


def _parse_message(error: CycloptsError) -> str:
    """Return the parser's complaint as one line, without its box."""
    return " ".join(str(error).split())
