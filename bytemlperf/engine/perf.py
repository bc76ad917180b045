"""Measure one batch size: load, pilot, warm up, run, and judge.

Input: a compiled backend and samples. Output: a `Point`, or a `SkippedPoint` with the
predicted time. The load generator is `bytemlperf.runtime`; this module only says how
long, how many and what it means.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy.typing as npt

from bytemlperf.backends import Backend
from bytemlperf.engine.compilation import peak_rss_bytes, vendor_call
from bytemlperf.engine.emitter import Emitter
from bytemlperf.engine.fitting import FittedPredict
from bytemlperf.engine.validity import invalid_reasons
from bytemlperf.errors import LoadError
from bytemlperf.report.schema import (
    Distribution,
    Point,
    SeriesSecond,
    SkippedPoint,
    WarmUpReport,
)
from bytemlperf.runtime import (
    ArraySamples,
    Batching,
    ClosedLoop,
    Histogram,
    Limits,
    Progress,
    Recording,
    WarmUp,
    run_sync,
)
from bytemlperf.runtime.clock import now_ns

__all__ = ["MIN_QUERIES", "Loaded", "PointPlan", "load_batch_size", "measure_point"]

# A point's smallest query count: below it not even a median has a confidence interval
# (docs/measurement.md), and the point's time limit yields to it.
MIN_QUERIES = 7
# A batch size is skipped if its smallest query count would outlast the point's time
# limit this many times over.
MAX_POINT_OVERRUN = 8.0
MAX_WARM_UP_SECONDS = 5.0
LOAD_DEADLINE_SECONDS = 1800.0
DEADLINE_SLACK_SECONDS = 120.0
# Silence of this many predicted batches means a hang, however slow the model is.
DEADLINE_BATCHES = 20


class PointPlan(msgspec.Struct, frozen=True):
    """How a point is loaded.

    Parameters
    ----------
    clients, iterations : int
        Of the workload.
    point_seconds : float or None
        Time limit of the measured window; None: iterations alone end it.
    seed : int
        Of the sample order.
    timeline_dir : str or None
        Folder for the rows, if they are kept.
    """

    clients: int
    iterations: int
    point_seconds: float | None
    seed: int
    timeline_dir: str | None


class Loaded(msgspec.Struct, frozen=True):
    """A backend ready for one batch size.

    Parameters
    ----------
    predict : FittedPredict
        Answers queries of `batch_size` samples.
    batch_size : int
        As asked.
    load_ns : int
        Duration of `Backend.load`.
    first_predict_ns, batch_ns : int
        Durations of the first predict and of the one after it.
    warnings : list of str
        What the framework had to do to fit the batch size.
    """

    predict: FittedPredict
    batch_size: int
    load_ns: int
    first_predict_ns: int
    batch_ns: int
    warnings: list[str]


def load_batch_size(
    backend: Backend,
    batch_size: int,
    *,
    samples: Mapping[str, npt.NDArray[Any]],
    rows_per_sample: Mapping[str, int],
    output_names: tuple[str, ...],
    predicted_batch_ns: int,
    emitter: Emitter,
    phase: str = "load",
) -> Loaded:
    """Load a batch size and predict twice, checking the answers.

    Parameters
    ----------
    backend : Backend
        Compiled.
    batch_size : int
        Samples per query.
    samples : mapping of str to ndarray
        At least one query's samples, rows on axis 0.
    rows_per_sample : mapping of str to int
        Rows of one sample, by input name.
    output_names : tuple of str
        Outputs that must come.
    predicted_batch_ns : int
        How long a predict may be expected to take, for the deadline; 0: unknown.
    emitter : Emitter
        Told of the phase.
    phase : str
        Its name.

    Returns
    -------
    Loaded
        Ready.

    Raises
    ------
    LoadError
        `load` raised, or the loaded batch size is not a count.
    PredictError
        `predict` raised or answered wrongly.
    """
    who = backend.hardware_type
    deadline = LOAD_DEADLINE_SECONDS + DEADLINE_BATCHES * predicted_batch_ns / 1e9
    emitter.phase(phase, deadline, batch_size=batch_size)
    start_ns = now_ns()
    vendor_call(who, "load", lambda: backend.load(batch_size), LoadError)
    load_ns = now_ns() - start_ns
    loaded: Any = vendor_call(
        who, "get_loaded_batch_size", backend.get_loaded_batch_size, LoadError
    )
    if not isinstance(loaded, int) or loaded < 1:
        raise LoadError(
            f"{who}.get_loaded_batch_size returned {loaded!r}, expected an int >= 1"
        )
    predict = FittedPredict(
        backend,
        rows_per_sample=rows_per_sample,
        output_names=output_names,
        loaded_batch_size=loaded,
    )
    feeds = {
        name: array[: batch_size * rows_per_sample[name]]
        for name, array in samples.items()
    }
    durations_ns: list[int] = []
    for _ in range(2):
        start_ns = now_ns()
        predict.checked(feeds)
        durations_ns.append(now_ns() - start_ns)
    return Loaded(
        predict=predict,
        batch_size=batch_size,
        load_ns=load_ns,
        first_predict_ns=durations_ns[0],
        batch_ns=durations_ns[1],
        warnings=_fit_warnings(who, predict, batch_size),
    )


def predicted_skip(
    batch_size: int, batch_ns: int, point_seconds: float | None
) -> SkippedPoint | None:
    """Say whether a batch size would outlast its time limit several times over.

    Parameters
    ----------
    batch_size : int
        Samples per query.
    batch_ns : int
        Predicted or piloted duration of one query.
    point_seconds : float or None
        Time limit of the measured window; without one nothing is skipped.

    Returns
    -------
    SkippedPoint or None
        None: measure it.
    """
    least_seconds = MIN_QUERIES * batch_ns / 1e9
    if point_seconds is None or least_seconds <= MAX_POINT_OVERRUN * point_seconds:
        return None
    return SkippedPoint(
        batch_size=batch_size,
        reason=(
            f"{MIN_QUERIES} batches would take about {least_seconds:.0f} s, over "
            f"{MAX_POINT_OVERRUN:g} x point_seconds = {point_seconds:g}"
        ),
        predicted_batch_ns=batch_ns,
    )


def measure_point(
    loaded: Loaded,
    samples: ArraySamples,
    plan: PointPlan,
    *,
    predict_threads: int,
    emitter: Emitter,
) -> Point:
    """Run the closed loop of one batch size.

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

    Returns
    -------
    Point
        With its verdict.
    """
    batch_size = loaded.batch_size
    min_queries = min(MIN_QUERIES, plan.clients * plan.iterations)
    limit_seconds = plan.point_seconds
    if limit_seconds is None:
        limit_seconds = plan.clients * plan.iterations * loaded.batch_ns / 1e9
    longest = max(limit_seconds, min_queries * loaded.batch_ns / 1e9)
    emitter.phase(
        "perf",
        DEADLINE_SLACK_SECONDS + 4 * longest + DEADLINE_BATCHES * loaded.batch_ns / 1e9,
        batch_size=batch_size,
    )
    total = plan.clients * plan.iterations
    timeline = (
        Path(plan.timeline_dir) / f"timeline-bs{batch_size}.npy"
        if plan.timeline_dir
        else None
    )
    recording = run_sync(
        loaded.predict,
        samples,
        scenario=ClosedLoop(
            clients=plan.clients,
            iterations=plan.iterations,
            samples_per_query=batch_size,
        ),
        batching=Batching(max_batch=batch_size, predict_threads=predict_threads),
        seed=plan.seed,
        limits=Limits(max_seconds=plan.point_seconds, min_queries=min_queries),
        warm_up=_warm_up(warm_up_seconds(plan), loaded.batch_ns),
        timeline_path=timeline,
        on_progress=lambda progress: _tell(emitter, progress, total, batch_size),
    )
    return point_from(recording, loaded, plan, predict_threads, min_queries, timeline)


def point_from(
    recording: Recording,
    loaded: Loaded,
    plan: PointPlan,
    predict_threads: int,
    min_queries: int,
    timeline: Path | None,
) -> Point:
    """Turn a recording into the report's words, with a verdict."""
    window_s = recording.window_ns / 1e9
    latency = distribution(recording.latency)
    schedule_lag = distribution(recording.schedule_lag)
    wakeup = distribution(recording.wakeup)
    batches = sum(recording.batch_size_counts.values())
    batched_samples = sum(
        size * count for size, count in recording.batch_size_counts.items()
    )
    warnings = list(loaded.warnings)
    if not recording.warm_up.settled:
        warnings.append("service time had not settled when the warm-up's time was over")
    return Point(
        batch_size=loaded.batch_size,
        clients=plan.clients,
        iterations=plan.iterations,
        point_seconds=plan.point_seconds,
        max_batch=loaded.batch_size,
        max_delay_us=0,
        predict_threads=predict_threads,
        query_count=recording.query_count,
        sample_count=recording.sample_count,
        failed_count=recording.failed_count,
        ended_by={"max_seconds": "point_seconds"}.get(
            recording.ended_by, recording.ended_by
        ),
        window_ns=recording.window_ns,
        throughput_samples_per_s=recording.sample_count / window_s if window_s else 0.0,
        throughput_queries_per_s=recording.query_count / window_s if window_s else 0.0,
        latency=latency,
        schedule_lag=schedule_lag,
        queue_wait=distribution(recording.queue_wait),
        gather=distribution(recording.gather),
        service=distribution(recording.service),
        wakeup=wakeup,
        mean_batch_samples=batched_samples / batches if batches else 0.0,
        batch_sample_counts={
            str(size): count for size, count in recording.batch_size_counts.items()
        },
        view_count=recording.view_count,
        gather_count=recording.gather_count,
        peak_queued=recording.peak_queued,
        cpu_percent=100 * recording.cpu_ns / recording.window_ns
        if recording.window_ns
        else 0.0,
        peak_rss_bytes=peak_rss_bytes(),
        voluntary_switches=recording.voluntary_switches,
        involuntary_switches=recording.involuntary_switches,
        load_ns=loaded.load_ns,
        loaded_batch_size=loaded.predict.loaded_batch_size,
        event_loop=recording.loop,
        warm_up=WarmUpReport(
            query_count=recording.warm_up.query_count,
            duration_ns=recording.warm_up.duration_ns,
            settled=recording.warm_up.settled,
            service=distribution(recording.warm_up.service),
        ),
        series=[
            SeriesSecond(
                second=entry.second,
                sample_count=entry.sample_count,
                p50_ns=entry.p50_ns,
                p99_ns=entry.p99_ns,
                max_ns=entry.max_ns,
            )
            for entry in recording.series
        ],
        invalid_reasons=invalid_reasons(
            latency=latency,
            schedule_lag=schedule_lag,
            wakeup=wakeup,
            query_count=recording.query_count,
            failed_count=recording.failed_count,
            min_query_count=min_queries,
            overflow_count=recording.overflow_count,
        ),
        warnings=warnings,
        errors=[
            f"{failure.error} (batch of {failure.batch_size} samples, "
            f"first sample {failure.sample_index})"
            for failure in recording.failures
        ],
        timeline_file=str(timeline) if timeline else None,
    )


def distribution(histogram: Histogram) -> Distribution:
    """Turn a histogram into the report's words; an empty one is all zeros."""
    if not histogram.count:
        return Distribution(0, 0, 0, 0.0, 0, 0, 0, 0, 0, histogram.encode())
    return Distribution(
        count=histogram.count,
        min_ns=histogram.min,
        max_ns=histogram.max,
        mean_ns=histogram.mean,
        p50_ns=histogram.percentile(50),
        p90_ns=histogram.percentile(90),
        p99_ns=histogram.percentile(99),
        p999_ns=histogram.percentile(99.9),
        overflow_count=histogram.overflow_count,
        hdr_v2_base64=histogram.encode(),
    )


def warm_up_seconds(plan: PointPlan) -> float:
    """Return the warm-up's time limit: half the window's, at most 5 s."""
    if plan.point_seconds is None:
        return MAX_WARM_UP_SECONDS
    return min(MAX_WARM_UP_SECONDS, plan.point_seconds / 2)


def _warm_up(max_seconds: float, batch_ns: int) -> WarmUp:
    """Return a warm-up whose windows are short enough for a slow model to settle."""
    standard = WarmUp()
    fitting = int(max_seconds * 1e9 / max(1, batch_ns) / (standard.settle_windows + 1))
    return WarmUp(
        max_seconds=max_seconds,
        settle_batches=max(1, min(standard.settle_batches, fitting)),
    )


def _tell(emitter: Emitter, progress: Progress, total: int, batch_size: int) -> None:
    """Pass a running point's figures on."""
    stage = "warm-up" if progress.is_warm_up else "measuring"
    text = f"{stage} {progress.recent_qps * batch_size:.4g} samples/s"
    if progress.recent_p50_ns is not None:
        text += f", p50 {progress.recent_p50_ns / 1e6:.3g} ms"
    emitter.progress(0 if progress.is_warm_up else progress.done_queries, total, text)


def _fit_warnings(who: str, predict: FittedPredict, batch_size: int) -> list[str]:
    """Say what the framework does because the backend loaded another batch size."""
    loaded = predict.loaded_batch_size
    if loaded == batch_size:
        return []
    calls = predict.predict_count(batch_size)
    padded = calls * loaded - batch_size
    text = f"{who} loaded batch size {loaded}: a query of {batch_size} takes {calls}"
    text += " predict" + ("s" if calls > 1 else "")
    if padded:
        text += f" with {padded} padded sample" + ("s" if padded > 1 else "")
    return [text]
