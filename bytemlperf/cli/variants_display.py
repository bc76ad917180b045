"""Run a request several times, keep what is known on disk, and show it as one table.

Input: a request, and settings or a search. Output: text, files and an exit code.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from bytemlperf.cli.display import progress_observer
from bytemlperf.cli.options import Ui
from bytemlperf.cli.variant_runs import VariantRuns, interruptible
from bytemlperf.launch.index_file import EXIT_CODES, EXIT_UNMET
from bytemlperf.launch.request import SessionRequest
from bytemlperf.launch.resume import save_request
from bytemlperf.launch.session_setup import hash_models
from bytemlperf.launch.variants import (
    run_variant,
)
from bytemlperf.report.collect import Collected
from bytemlperf.report.console import open_console
from bytemlperf.report.schema import TaskResult
from bytemlperf.report.storage import (
    VARIANTS_NAME,
    OutFolder,
    read_variants,
)
from bytemlperf.statistics.search import driven, goal_score, grid, tuning_steps

__all__ = [
    "ab_runs",
    "resume_repeats",
    "show_repeats",
    "show_sweep",
    "show_tuning",
]

REPEAT_AXIS = "repeat"


def show_sweep(
    request: SessionRequest,
    axes: Mapping[str, Sequence[str]],
    *,
    ui: Ui | None,
    resume: bool,
) -> int:
    """Run every combination, print the table, and return the exit code."""
    cells = grid(axes)

    def work(runs: VariantRuns) -> None:
        runs.check(cells)
        for settings in cells:
            runs.run(settings)
        runs.update(is_complete=True)

    with progress_observer(ui) as observer:
        runs = VariantRuns(request, "sweep", observer, axes=axes, resume=resume)
        is_interrupted = interruptible(work, runs)
    runs.show(ui)
    if is_interrupted:
        return EXIT_CODES["interrupted"]
    return _exit_code(runs)


def show_repeats(
    request: SessionRequest, count: int, *, ui: Ui | None, resume: bool = False
) -> int:
    """Run a request several times, print the spread, and return the exit code."""
    from bytemlperf.report.spread_table import spread_view

    axes = {REPEAT_AXIS: [str(number) for number in range(1, count + 1)]}

    def work(runs: VariantRuns) -> None:
        for number in range(1, count + 1):
            runs.run({}, f"repeat-{number}")
        runs.update(is_complete=True)

    with progress_observer(ui) as observer:
        if not resume:
            out = OutFolder.prepare(request.out_dir)
            save_request(request, out, hash_models(request))
        fresh = msgspec.structs.replace(request, resume=False)
        runs = VariantRuns(fresh, "repeat", observer, axes=axes, resume=resume)
        # Already now: whoever is killed during the first one can be gone on with.
        runs.update()
        is_interrupted = interruptible(work, runs)
    if ui != "none" and runs.result.variants:
        open_console(sys.stdout).print(spread_view(runs.result))
    print(runs.path)
    if is_interrupted:
        return EXIT_CODES["interrupted"]
    return _exit_code(runs)


def resume_repeats(folder: Path, request: SessionRequest, *, ui: Ui | None) -> int:
    """Go on with repeats that were cut off."""
    before = read_variants(folder / VARIANTS_NAME)
    count = len(before.axes[REPEAT_AXIS])
    return show_repeats(request, count, ui=ui, resume=True)


def show_tuning(
    request: SessionRequest,
    axes: Mapping[str, Sequence[str]],
    goal: str,
    max_runs: int,
    *,
    ui: Ui | None,
    resume: bool,
) -> int:
    """Look for the best settings, print what was tried, and return the exit code."""
    scores: dict[str, float] = {}

    def work(runs: VariantRuns) -> None:
        runs.check(
            [
                {name: values[0] for name, values in axes.items()} | {name: value}
                for name, values in axes.items()
                for value in values
            ]
        )

        def evaluate(settings: dict[str, str]) -> float | None:
            variant, results = runs.run(settings)
            score = _score(results, goal)
            if score is not None:
                scores[variant.name] = score
            best = max(scores, key=lambda name: scores[name], default=None)
            runs.update(best=best)
            return score

        driven(tuning_steps(axes, max_trials=max_runs), evaluate)
        runs.update(is_complete=True)

    bounds = ", ".join(slo.text for slo in request.slos)
    wanted = "the most samples per second" if goal == "qps" else f"the least {goal}"
    text = f"{wanted}{f' with {bounds}' if bounds else ''}, in {max_runs} runs at most"
    with progress_observer(ui) as observer:
        runs = VariantRuns(
            request, "tune", observer, goal=text, axes=axes, resume=resume
        )
        is_interrupted = interruptible(work, runs)
    runs.show(ui)
    if is_interrupted:
        return EXIT_CODES["interrupted"]
    return EXIT_UNMET if runs.result.best is None else EXIT_CODES["ok"]


def ab_runs(
    request: SessionRequest,
    sides: Mapping[str, Mapping[str, str]],
    *,
    rounds: int,
    ui: Ui | None,
    resume: bool,
) -> tuple[list[Collected], list[int]]:
    """Run both sides in turn, A B B A, and return what was measured, and exit codes."""
    names = list(sides)
    collected: list[Collected] = []
    codes = []
    with progress_observer(ui) as observer:
        folder = OutFolder.prepare(request.out_dir).path
        for number in range(1, rounds + 1):
            for side in names if number % 2 else reversed(names):
                name = f"{side.lower()}{number}"
                variant, results = run_variant(
                    request, sides[side], folder, observer, name=name, resume=resume
                )
                codes.append(EXIT_CODES[variant.status])
                collected += [
                    Collected(f"{side} {number}", folder / name, result)
                    for result in results
                ]
    # The base first, whatever order they ran in, and each side by its rounds.
    collected.sort(key=lambda each: (each.run[0], int(each.run.split()[1])))
    return collected, codes


def _exit_code(runs: VariantRuns) -> int:
    """Return the worst of all variants' codes, or that objectives were not met."""
    code = runs.exit_code()
    unmet = any(
        point.unmet_slos for each in runs.result.variants for point in each.points
    )
    return EXIT_UNMET if code == EXIT_CODES["ok"] and unmet else code


def _score(results: Sequence[TaskResult], goal: str) -> float | None:
    """Return how good a run is, over its points; None if it is not usable."""
    from bytemlperf.report.blocks import point_table

    scores = []
    for point in (point for result in results for point in result.points):
        said = point.statistics
        if point.invalid_reasons or said is None:
            continue
        if any(judgement.verdict != "met" for judgement in said.slos):
            continue
        scores.append(
            goal_score(
                goal,
                point_table(point),
                samples_per_s=point.throughput_samples_per_s,
                mean_ns=point.latency.mean_ns,
            )
        )
    return max(scores, default=None)
