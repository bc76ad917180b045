"""Run a request several times, keep what is known on disk, and show it as one table.

Input: a request, and settings or a search. Output: text, files and an exit code.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from bytemlperf.cli.display import progress_observer
from bytemlperf.cli.options import Ui
from bytemlperf.cli.variants_options import VARIANTS_NAME, command_line
from bytemlperf.errors import BackendError, ConfigError
from bytemlperf.launch.index_file import EXIT_CODES, EXIT_UNMET
from bytemlperf.launch.observer import Observer
from bytemlperf.launch.request import SessionRequest
from bytemlperf.launch.resume import save_request
from bytemlperf.launch.session_setup import hash_models
from bytemlperf.launch.variants import (
    InterruptedVariantError,
    run_variant,
    with_settings,
)
from bytemlperf.report.collect import Collected
from bytemlperf.report.console import open_console
from bytemlperf.report.schema import Point, TaskResult
from bytemlperf.report.schema.variants import (
    VARIANTS_VERSION,
    Variant,
    VariantsResult,
)
from bytemlperf.report.storage import OutFolder, write_json_atomic
from bytemlperf.report.variants_table import variants_view
from bytemlperf.statistics.order import loadgen_min_count
from bytemlperf.statistics.search import Capacity, best_settings, grid, search_capacity
from bytemlperf.statistics.slo import Verdict

__all__ = [
    "ab_runs",
    "resume_repeats",
    "show_repeats",
    "show_search",
    "show_sweep",
    "show_tuning",
]

REPEAT_AXIS = "repeat"
# A probe that is not shown to meet its objectives, but may, is repeated so much longer.
LONGER = 3.0
# A probe may take so many times the time of a point to see enough queries.
MAX_STRETCH = 6.0
START_SHARE = 0.5
# Queries over a bound that a probe's length leaves room for.
SPARE_QUERIES = 3


class _Runs:
    """The variants of one command, on disk after every run."""

    def __init__(
        self,
        request: SessionRequest,
        kind: Literal["sweep", "tune", "search", "repeat"],
        observer: Observer,
        *,
        goal: str = "",
        axes: Mapping[str, Sequence[str]] | None = None,
        resume: bool,
    ) -> None:
        self._request = request
        self.observer = observer
        self.resume = resume
        self._folder = OutFolder.prepare(request.out_dir).path
        self.result = VariantsResult(
            variants_version=VARIANTS_VERSION,
            kind=kind,
            command_line=command_line(),
            goal=goal,
            axes={name: list(values) for name, values in (axes or {}).items()},
            variants=[],
        )

    @property
    def path(self) -> Path:
        """Where the result is."""
        return self._folder / VARIANTS_NAME

    def check(self, cells: Sequence[Mapping[str, str]]) -> None:
        """Refuse malformed settings before the first run."""
        for settings in cells:
            with_settings(self._request, settings, self._folder / "check")

    def run(
        self, settings: Mapping[str, str], name: str | None = None
    ) -> tuple[Variant, list[TaskResult]]:
        """Run one, and put all of them on disk."""
        variant, results = run_variant(
            self._request,
            settings,
            self._folder,
            self.observer,
            name=name,
            resume=self.resume,
        )
        self.update(variants=[*self.result.variants, variant])
        return variant, results

    def update(self, **changes: object) -> None:
        """Change the result, here and on disk."""
        self.result = msgspec.structs.replace(self.result, **changes)
        write_json_atomic(self.path, self.result)

    def show(self, ui: Ui | None) -> None:
        """Print the table."""
        if ui == "none":
            print(self.path)
            return
        console = open_console(sys.stdout)
        if self.result.variants:
            console.print(variants_view(self.result))
        console.print(f"  result  {self.path}")

    def exit_code(self) -> int:
        """Return the code for the worst of all variants."""
        codes = [EXIT_CODES[each.status] for each in self.result.variants]
        for code in (EXIT_CODES["failed"], EXIT_CODES["invalid"]):
            if code in codes:
                return code
        return EXIT_CODES["ok"]


def show_sweep(
    request: SessionRequest,
    axes: Mapping[str, Sequence[str]],
    *,
    ui: Ui | None,
    resume: bool,
) -> int:
    """Run every combination, print the table, and return the exit code."""
    cells = grid(axes)

    def work(runs: _Runs) -> None:
        runs.check(cells)
        for settings in cells:
            runs.run(settings)
        runs.update(is_complete=True)

    with progress_observer(ui) as observer:
        runs = _Runs(request, "sweep", observer, axes=axes, resume=resume)
        is_interrupted = _interruptible(work, runs)
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

    def work(runs: _Runs) -> None:
        for number in range(1, count + 1):
            runs.run({}, f"repeat-{number}")
        runs.update(is_complete=True)

    with progress_observer(ui) as observer:
        if not resume:
            out = OutFolder.prepare(request.out_dir)
            save_request(request, out, hash_models(request))
        fresh = msgspec.structs.replace(request, resume=False)
        runs = _Runs(fresh, "repeat", observer, axes=axes, resume=resume)
        # Already now: whoever is killed during the first one can be gone on with.
        runs.update()
        is_interrupted = _interruptible(work, runs)
    if ui != "none" and runs.result.variants:
        open_console(sys.stdout).print(spread_view(runs.result))
    print(runs.path)
    if is_interrupted:
        return EXIT_CODES["interrupted"]
    return _exit_code(runs)


def resume_repeats(folder: Path, request: SessionRequest, *, ui: Ui | None) -> int:
    """Go on with repeats that were cut off."""
    before = msgspec.json.decode(
        (folder / VARIANTS_NAME).read_bytes(), type=VariantsResult
    )
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

    def work(runs: _Runs) -> None:
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

        best_settings(evaluate, axes, max_trials=max_runs)
        runs.update(is_complete=True)

    bounds = ", ".join(slo.text for slo in request.slos)
    wanted = "the most samples per second" if goal == "qps" else f"the least {goal}"
    text = f"{wanted}{f' with {bounds}' if bounds else ''}, in {max_runs} runs at most"
    with progress_observer(ui) as observer:
        runs = _Runs(request, "tune", observer, goal=text, axes=axes, resume=resume)
        is_interrupted = _interruptible(work, runs)
    runs.show(ui)
    if is_interrupted:
        return EXIT_CODES["interrupted"]
    return EXIT_UNMET if runs.result.best is None else EXIT_CODES["ok"]


def show_search(
    request: SessionRequest,
    *,
    start_rate: float | None,
    max_rate: float | None,
    precision: float,
    max_probes: int,
    ui: Ui | None,
    resume: bool,
) -> int:
    """Search the highest rate, print all probes, and return the exit code."""
    last: list[Point] = []

    def work(runs: _Runs) -> None:
        start = start_rate or _saturation(request, runs) * START_SHARE

        def run_probe(rate: float, stretch: float) -> tuple[Verdict, bool]:
            number = len(runs.result.variants) + 1
            seconds = _probe_seconds(request, rate) * stretch
            settings = {
                "rate": f"{rate:.6g}",
                "schedule_seed": str(number),
                "point_seconds": f"{seconds:.4g}",
            }
            _, results = runs.run(settings, f"probe-{number:02d}")
            points = [point for result in results for point in result.points]
            if not points:
                failures = [each for result in results for each in result.failures]
                raise BackendError(
                    f"the probe at {rate:.4g} queries/s measured nothing: "
                    + (failures[0].message if failures else "see its result")
                )
            last[:] = points
            return _verdict(points[0])

        def probe(rate: float) -> Verdict:
            verdict, may_be_met = run_probe(rate, 1.0)
            if verdict == "not shown" and may_be_met:
                verdict, _ = run_probe(rate, LONGER)
            return verdict

        capacity = search_capacity(
            probe,
            start=start,
            limit=max_rate or math.inf,
            precision=precision,
            max_probes=max_probes,
        )
        runs.update(capacity=capacity, best=_best(runs, capacity), is_complete=True)

    bounds = ", ".join(slo.text for slo in request.slos)
    scenario = request.tasks[0].workload.scenario
    goal = f"the highest rate of {scenario} with {bounds}"
    with progress_observer(ui) as observer:
        runs = _Runs(request, "search", observer, goal=goal, resume=resume)
        is_interrupted = _interruptible(work, runs)
    runs.show(ui)
    if is_interrupted:
        return EXIT_CODES["interrupted"]
    found = runs.result.capacity
    if found is not None and found.rate is not None:
        (best,) = (
            each for each in runs.result.variants if each.name == runs.result.best
        )
        return EXIT_CODES[best.status]
    for slo in request.slos:
        fastest = min((point.latency.min_ns for point in last), default=0)
        if slo.metric == "percentile" and fastest > slo.bound:
            raise ConfigError(
                f"nothing can meet {slo.text} here: the fastest query of the lowest "
                f"rate took {fastest / 1e6:.3g} ms",
                hint="a larger bound, or a faster configuration",
            )
    return EXIT_UNMET


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


def _exit_code(runs: _Runs) -> int:
    """Return the worst of all variants' codes, or that objectives were not met."""
    code = runs.exit_code()
    unmet = any(
        point.unmet_slos for each in runs.result.variants for point in each.points
    )
    return EXIT_UNMET if code == EXIT_CODES["ok"] and unmet else code


def _interruptible(work: Callable[[_Runs], None], runs: _Runs) -> bool:
    """Do the work; return whether somebody asked to stop."""
    try:
        work(runs)
    except InterruptedVariantError:
        return True
    return False


def _score(results: Sequence[TaskResult], goal: str) -> float | None:
    """Return how good a run is, over its points; None if it is not usable."""
    from bytemlperf.report.blocks import point_table
    from bytemlperf.statistics.blocks import quantile_estimate
    from bytemlperf.statistics.comparison import metric_percentile

    scores = []
    for point in (point for result in results for point in result.points):
        said = point.statistics
        if point.invalid_reasons or said is None:
            continue
        if any(judgement.verdict != "met" for judgement in said.slos):
            continue
        percentile = metric_percentile(goal)
        if percentile is not None:
            found = quantile_estimate(point_table(point), percentile)
            scores.append(-float(found.value_ns))
        elif goal == "mean":
            scores.append(-point.latency.mean_ns)
        else:
            scores.append(point.throughput_samples_per_s)
    return max(scores, default=None)


def _verdict(point: Point) -> tuple[Verdict, bool]:
    """Judge a probe: its verdict, and whether a longer one might still meet it."""
    load = point.load
    if load is not None and (load.is_unstable or load.refused_count):
        return "missed", False
    if point.failed_count or point.statistics is None:
        return "missed", False
    if point.statistics.steadiness.verdict == "unstable":
        return "missed", False
    judgements = point.statistics.slos
    verdicts = {judgement.verdict for judgement in judgements}
    if "missed" in verdicts:
        return "missed", False
    if "not shown" not in verdicts:
        return "met", True
    may_be_met = all(
        judgement.verdict == "met"
        or (
            judgement.value >= judgement.slo.bound
            if judgement.slo.metric == "qps"
            else judgement.value <= judgement.slo.bound
        )
        for judgement in judgements
    )
    return "not shown", may_be_met


def _probe_seconds(request: SessionRequest, rate: float) -> float:
    """Return how long a probe must be to be able to show its objectives."""
    base = request.tasks[0].workload.point_seconds or request.point_seconds or 10.0
    needed = [
        loadgen_min_count(SPARE_QUERIES, slo.percentile) / rate
        for slo in request.slos
        if slo.percentile is not None
    ]
    return min(base * MAX_STRETCH, max([base, *needed]))


def _saturation(request: SessionRequest, runs: _Runs) -> float:
    """Measure what a closed loop reaches, in queries of the open loop per second."""
    task = request.tasks[0]
    samples = task.workload.samples_per_query or 1
    closed = msgspec.structs.replace(
        task,
        workload=msgspec.structs.replace(
            task.workload,
            scenario="closed_loop",
            rate=None,
            end_rate=None,
            burstiness=None,
            burst_size=None,
            samples_per_query=None,
            iterations=max(task.workload.iterations, 1_000_000),
            point_seconds=task.workload.point_seconds or request.point_seconds,
        ),
    )
    variant, _ = run_variant(
        msgspec.structs.replace(request, tasks=(closed,), slos=()),
        {},
        runs.path.parent,
        runs.observer,
        name="closed-loop",
        resume=runs.resume,
    )
    reached = [point.throughput_samples_per_s for point in variant.points]
    if not reached or reached[0] <= 0:
        raise BackendError(
            "a closed loop measured nothing, so that there is no rate to begin with",
            hint=f"see {runs.path.parent / 'closed-loop'}, or give --start_rate",
        )
    return reached[0] / samples


def _best(runs: _Runs, capacity: Capacity) -> str | None:
    """Return the name of the probe that the capacity was confirmed by."""
    if capacity.rate is None:
        return None
    text = f"{capacity.rate:.6g}"
    return [
        each.name for each in runs.result.variants if each.settings["rate"] == text
    ][-1]
