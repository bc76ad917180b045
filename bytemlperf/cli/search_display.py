"""The verb `search` at work: probes of a rate, until the highest one is known.

Input: a request with objectives. Output: text, files and an exit code.
"""

from __future__ import annotations

import math

import msgspec

from bytemlperf.cli.display import progress_observer
from bytemlperf.cli.options import Ui
from bytemlperf.cli.variant_runs import VariantRuns, interruptible
from bytemlperf.errors import BackendError, ConfigError
from bytemlperf.launch.index_file import EXIT_CODES, EXIT_UNMET
from bytemlperf.launch.request import SessionRequest
from bytemlperf.launch.variants import (
    run_variant,
)
from bytemlperf.report.schema import Point
from bytemlperf.report.variants_table import unmeasured_probes
from bytemlperf.statistics.order import loadgen_min_count
from bytemlperf.statistics.search import Capacity, search_capacity
from bytemlperf.statistics.slo import Verdict

__all__ = ["show_search"]

# A probe that is not shown to meet its objectives, but may, is repeated so much longer.
LONGER = 3.0
# A probe may take so many times the time of a point to see enough queries.
MAX_STRETCH = 6.0
START_SHARE = 0.5
# Queries over a bound that a probe's length leaves room for.
SPARE_QUERIES = 3


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

    def work(runs: VariantRuns) -> None:
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
        runs = VariantRuns(request, "search", observer, goal=goal, resume=resume)
        is_interrupted = interruptible(work, runs)
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
    return EXIT_CODES["invalid"] if unmeasured_probes(runs.result) else EXIT_UNMET


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
        # What is no measurement shows nothing; repeated, it may be one.
        return ("not shown" if point.invalid_reasons else "met"), True
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


def _saturation(request: SessionRequest, runs: VariantRuns) -> float:
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


def _best(runs: VariantRuns, capacity: Capacity) -> str | None:
    """Return the name of the probe that the capacity was confirmed by."""
    if capacity.rate is None:
        return None
    text = f"{capacity.rate:.6g}"
    return [
        each.name for each in runs.result.variants if each.settings["rate"] == text
    ][-1]
