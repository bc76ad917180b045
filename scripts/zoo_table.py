"""Print the zoo's table of docs/models.md from the results of a run.

    python scripts/zoo_table.py reports/ > table.md

One row a task: what was built, in what precision it ran, what it scored, how far it was
from its reference. Nothing is measured here.
"""

from __future__ import annotations

import sys
from pathlib import Path

from bytemlperf.report.collect import collect_results
from bytemlperf.report.schema import TaskResult
from bytemlperf.report.units import format_count, format_ratio

HEADINGS = (
    "task", "parameters", "weights stored, computed in", "weights", "samples",
    "score (n)", "max diff to reference", "SNR, dB", "verdict",
)  # fmt: skip


def row(result: TaskResult) -> list[str]:
    """Say what is known of a task.

    Parameters
    ----------
    result : TaskResult
        Of a run.

    Returns
    -------
    list of str
        By `HEADINGS`; ``"-"`` where there is nothing worth having.
    """
    model, dataset, numeric = result.model, result.dataset, result.numeric
    return [
        f"`{result.task}`",
        format_count(model.parameter_count) if model and model.parameter_count else "-",
        _precision(result),
        model.weights if model else "-",
        f"{dataset.origin}, {dataset.name}" if dataset else "-",
        _score(result),
        format_ratio(numeric.overall.max_diff) if numeric and numeric.overall else "-",
        _snr(result),
        result.status,
    ]


def _precision(result: TaskResult) -> str:
    if result.model is None or result.compile is None:
        return "-"
    return f"{result.model.precision.lower()}, {result.compile.precision}"


def _score(result: TaskResult) -> str:
    accuracy = result.accuracy
    if accuracy is None or accuracy.status != "scored":
        return "-"
    figures = []
    for name, value in accuracy.values.items():
        low, high = accuracy.interval_95.get(name, (None, None))
        interval = "" if low is None else f" [{low:.4f}, {high:.4f}]"
        figures.append(f"{name} {value:.4f}{interval}")
    return f"{', '.join(figures)} ({format_count(accuracy.n)})"


def _snr(result: TaskResult) -> str:
    """Return the worst output's ratio, and the bound that it is held against."""
    checks = [
        check
        for check in (result.numeric.targets if result.numeric else ())
        if check.figure == "snr_db"
    ]
    if not checks:
        return "-"
    worst = min(checks, key=lambda check: check.value)
    return f"{worst.value:.0f} (>= {worst.bound:g})"


def main(arguments: list[str]) -> int:
    """Print the table.

    Parameters
    ----------
    arguments : list of str
        Results, or folders of them.

    Returns
    -------
    int
        0; 2 without arguments.
    """
    if not arguments:
        sys.stderr.write(__doc__ or "")
        return 2
    rows = [row(each.result) for each in collect_results([Path(a) for a in arguments])]
    for cells in (list(HEADINGS), ["---"] * len(HEADINGS), *rows):
        sys.stdout.write(f"| {' | '.join(cells)} |\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
