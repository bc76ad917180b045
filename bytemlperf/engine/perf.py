"""Measure one batch size: warm up, run, and judge.

Input: a loaded backend and samples. Output: a `Point`. The load generator is
`bytemlperf.runtime`; this module only says how long and how many.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

import msgspec

from bytemlperf.engine.emitter import Emitter
from bytemlperf.engine.host import usable_cores
from bytemlperf.engine.left_behind import LeftBehind
from bytemlperf.engine.loading import DEADLINE_BATCHES, Loaded
from bytemlperf.engine.overhead import with_certificate
from bytemlperf.engine.point import point_from
from bytemlperf.engine.point_load import (
    batching_for,
    expected_queries,
    expected_seconds,
    scenario_for,
)
from bytemlperf.engine.point_plan import (
    MIN_QUERIES,
    PointPlan,
    warm_up_for,
    warm_up_seconds,
)
from bytemlperf.engine.resource_meter import (
    read_counters,
    resource_report,
    resource_warnings,
)
from bytemlperf.engine.thread_report import thread_groups, thread_warnings
from bytemlperf.report.schema import Point
from bytemlperf.report.schema.hand_over import InputReport
from bytemlperf.runtime import (
    ArraySamples,
    Limits,
    Progress,
    run_sync,
)
from bytemlperf.runtime.affinity import hold_this_thread

__all__ = ["measure_point"]

DEADLINE_SLACK_SECONDS = 120.0


def measure_point(
    loaded: Loaded,
    samples: ArraySamples,
    plan: PointPlan,
    *,
    predict_threads: int,
    emitter: Emitter,
    start_gate: Callable[[], object] | None = None,
) -> Point:
    """Bring load to one batch size.

    Parameters
    ----------
    loaded : Loaded
        The backend, ready.
    samples : ArraySamples
        Loaded samples.
    plan : PointPlan
        The load.
    predict_threads : int
        Threads that call `predict` at once, >= 1.
    emitter : Emitter
        Told of the phase and its progress.

    start_gate : callable, optional
        See `bytemlperf.runtime.run`.

    Returns
    -------
    Point
        With its verdict.
    """
    batch_size = loaded.batch_size
    batching = batching_for(plan.load, batch_size, predict_threads=predict_threads)
    scenario = scenario_for(
        plan.load,
        batch_size,
        clients=plan.clients,
        iterations=plan.iterations,
        seconds=plan.point_seconds,
        batch_ns=loaded.batch_ns,
        predict_threads=batching.predict_threads,
    )
    total = expected_queries(scenario)
    if plan.load.is_open:
        total = len(range(plan.share[0], total, plan.share[1]))
    min_queries = min(MIN_QUERIES, total)
    query_samples = scenario.samples_per_query
    longest = expected_seconds(
        scenario,
        seconds=plan.point_seconds,
        query_ns=loaded.batch_ns * query_samples / batch_size,
    )
    emitter.phase(
        "perf",
        DEADLINE_SLACK_SECONDS + 4 * longest + DEADLINE_BATCHES * loaded.batch_ns / 1e9,
        batch_size=batch_size,
    )
    timeline = (
        Path(plan.timeline_dir) / f"timeline-bs{batch_size}.npy"
        if plan.timeline_dir
        else None
    )

    def on_progress(progress: Progress) -> None:
        if not progress.is_warm_up:
            left.look(progress.elapsed_ns)
        _tell(emitter, progress, total, query_samples)

    with (
        contextlib.closing(LeftBehind(samples, loaded.predict.hardware_type)) as left,
        # What loaded the backend is held to where its threads were to be made.
        hold_this_thread(plan.cpus),
    ):
        copied_before = loaded.predict.copied_inputs()
        before = read_counters()
        recording = run_sync(
            loaded.predict,
            samples,
            scenario=scenario,
            batching=batching,
            seed=plan.seed,
            schedule_seed=plan.load.schedule_seed,
            limits=Limits(
                # The schedule of an open loop is as long as it is.
                max_seconds=None if plan.load.is_open else plan.point_seconds,
                min_queries=min_queries,
            ),
            warm_up=warm_up_for(warm_up_seconds(plan), loaded.batch_ns),
            timeline_path=timeline,
            on_progress=on_progress,
            start_gate=start_gate,
            affinity=plan.affinity,
            share=plan.share,
        )
        used = resource_report(before, read_counters())
        reasons = left.reasons()
        warnings = left.warnings(sum(recording.batch_size_counts.values()))
        warnings += thread_warnings(recording, usable_cores())
    point = point_from(
        recording, loaded, plan, scenario, batching, min_queries, timeline
    )
    point = msgspec.structs.replace(
        point,
        resources=used,
        inputs=_inputs(copied_before, loaded.predict.copied_inputs()),
        invalid_reasons=[*point.invalid_reasons, *reasons],
        warnings=[*point.warnings, *resource_warnings(used), *warnings],
        affinity=str(plan.affinity) or None,
        threads=thread_groups(
            recording.threads, plan.affinity, window_ns=recording.window_ns
        ),
    )
    if recording.error is not None or start_gate is not None:
        # Others that began together with this one may still be measuring.
        return point
    with hold_this_thread(plan.cpus):
        return with_certificate(
            point,
            scenario,
            batching,
            samples,
            schedule_seed=plan.load.schedule_seed,
            affinity=plan.affinity,
        )


def _inputs(
    before: tuple[int, int] | None, after: tuple[int, int] | None
) -> InputReport | None:
    if before is None or after is None:
        return None
    return InputReport(after[0] - before[0], after[1] - before[1])


def _tell(emitter: Emitter, progress: Progress, total: int, query_samples: int) -> None:
    """Pass a running point's figures on.

    Nothing is said while nothing is answered: the launcher takes silence for a hang,
    and a clock that ticks beside a predict that hangs would hide it.
    """
    if progress.recent_p50_ns is None:
        return
    stage = "warm-up" if progress.is_warm_up else "measuring"
    text = f"{stage} {progress.recent_qps * query_samples:.4g} samples/s"
    if progress.recent_p50_ns is not None:
        text += f", p50 {progress.recent_p50_ns / 1e6:.3g} ms"
    emitter.progress(0 if progress.is_warm_up else progress.done_queries, total, text)
