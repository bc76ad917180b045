"""A command line in, one call into the launcher, an exit code out.

The only module that prints and that decides exit codes: 0 ok, 1 an objective, gate or
target missed, 2 usage, 3 a backend or a point failed, 4 ran but not a valid
measurement, 130 interrupted, 70 our own bug.
Each verb is a module of its own, ``<verb>_command.py``, which imports nothing heavy
before its function runs, so that ``--help`` is quick.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence

from cyclopts import App, CycloptsError, Parameter

import bytemlperf
from bytemlperf.cli.ab_command import ab
from bytemlperf.cli.backend_command import backend
from bytemlperf.cli.cache_command import cache_contents
from bytemlperf.cli.compare_command import compare
from bytemlperf.cli.env_command import environments
from bytemlperf.cli.export_command import export
from bytemlperf.cli.history_command import history
from bytemlperf.cli.import_command import import_results
from bytemlperf.cli.measure_command import measure
from bytemlperf.cli.merge_command import merge
from bytemlperf.cli.overhead_command import overhead
from bytemlperf.cli.prepare_command import prepare
from bytemlperf.cli.report_command import report
from bytemlperf.cli.rerun_command import rerun
from bytemlperf.cli.schema_command import schema
from bytemlperf.cli.search_command import search
from bytemlperf.cli.site_command import site
from bytemlperf.cli.sweep_command import sweep, tune
from bytemlperf.cli.system_command import system
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
    help_epilogue="Exit codes: 0 ok, 1 an objective, gate or target missed, 2 usage, 3 "
    "a backend or point failed, 4 ran but not a valid measurement, 130 interrupted.",
    usage="Usage: python -m bytemlperf [VERB] --tasks all --hardware_type CPU",
    # The original's spelling; the parser takes dashes for underscores as well.
    default_parameter=Parameter(name_transform=lambda name: name),
    # Else whatever answers, a verb of a verb too, ends this process itself.
    result_action="return_value",
    exit_on_error=False,
    print_error=False,
)
app.default(measure)
app.command(overhead)
app.command(prepare)
app.command(merge)
app.command(compare)
app.command(ab)
app.command(sweep)
app.command(tune)
app.command(search)
app.command(system)
app.command(backend)
app.command(environments)
app.command(cache_contents)
app.command(report)
app.command(export)
app.command(import_results, name="import")
app.command(rerun)
app.command(schema)
app.command(site)
app.command(history)


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
        # Whatever the tree of our errors does not know is a bug, and is said to be.
        traceback.print_exc()
        print("bytemlperf: this is our own bug; please report it", file=sys.stderr)
        return EXIT_INTERNAL
    return code if isinstance(code, int) else 0


def _parse_message(error: CycloptsError) -> str:
    """Return the parser's complaint as one line, without its box."""
    return " ".join(str(error).split())
