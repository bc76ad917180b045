"""What every run leaves behind beside its results: a page, and a line in the history.

Input: a run's folder. Output: words about it. Whatever goes wrong here, the run and its
exit code stay as they are.
"""

from __future__ import annotations

import shlex
from pathlib import Path

import bytemlperf
from bytemlperf.report.collect import collect_results, collect_variants
from bytemlperf.report.history.store import add_results, history_path
from bytemlperf.report.writing import write_reports
from bytemlperf.runtime.clock import utc_now

__all__ = ["leave_report", "remember"]


def leave_report(folder: Path) -> str:
    """Write report.html, and return its path or the reason why it is not there."""
    try:
        collected = collect_results([folder])
        (path,) = write_reports(
            collected,
            folder,
            ["html"],
            collect_variants([folder], collected),
            generated_at_utc=f"{utc_now():%Y-%m-%d %H:%M:%S} UTC",
            version=bytemlperf.__version__,
        )
    except Exception as error:
        # Anything: what was measured is on disk, and a page can be made later.
        return _not_written(error, "report", folder)
    return str(path)


def remember(folder: Path) -> str | None:
    """Add a run to the history, and return why not if that fails."""
    try:
        path = history_path()
        if path is not None:
            add_results(path, collect_results([folder]))
    except Exception as error:
        # Anything, as above.
        return _not_written(error, "history", "--add", folder)
    return None


def _not_written(error: Exception, *words: object) -> str:
    """Say what went wrong, and the command that tries it again."""
    first_line = str(error).partition("\n")[0]
    again = shlex.join(["python", "-m", "bytemlperf", *map(str, words)])
    return (
        f"not written: {type(error).__name__}: {first_line}; the results are whole, "
        f"try again with: {again}"
    )
