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
from bytemlperf.statistics.probing import (
    ProbeOutcome,
    ProbeRequest,
    judge_probe,
    probe_steps,
)
from bytemlperf.statistics.search import Capacity, driven

__all__ = ["show_search"]

START_SHARE = 0.5


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

        def run_probe(asked: ProbeRequest) -> ProbeOutcome:
            settings = {
                "rate": f"{asked.rate_qps:.6g}",
                "schedule_seed": str(asked.number),
                "point_seconds": f"{asked.seconds:.4g}",
            }
            _, results = runs.run(settings, f"probe-{asked.number:02d}")
            points = [point for result in results for point in result.points]
            if not points:
                failures = [each for result in results for each in result.failures]
                raise BackendError(
                    f"the probe at {asked.rate_qps:.4g} queries/s measured nothing: "
                    + (failures[0].message if failures else "see its result")
                )
            last[:] = points
            return _outcome(points[0])

        task = request.tasks[0].workload
        capacity = driven(
            probe_steps(
                request.slos,
                seconds=task.point_seconds or request.point_seconds or 10.0,
                start=start,
                limit=max_rate or math.inf,
                precision=precision,
                max_probes=max_probes,
            ),
            run_probe,
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


def _outcome(point: Point) -> ProbeOutcome:
    """Say what a probe shows."""
    load = point.load
    return judge_probe(
        point.statistics,
        failed_count=point.failed_count,
        lost_count=(load.refused_count or 0) + (load.dropped_count or 0) if load else 0,
        is_unstable=load is not None and bool(load.is_unstable),
        is_invalid=bool(point.invalid_reasons),
    )


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
