"""A recording in the report's words, with its verdict.

Input: what the runtime recorded and how the point was loaded. Output: a `Point`. Pure.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bytemlperf.engine.compilation import peak_rss_bytes
from bytemlperf.engine.load_report import load_reasons, load_report
from bytemlperf.engine.loading import Loaded
from bytemlperf.engine.point_plan import PointPlan
from bytemlperf.engine.recordable import printable
from bytemlperf.engine.validity import invalid_reasons, unsteady_warning
from bytemlperf.report.blocks import blocks_table
from bytemlperf.report.schema import (
    Distribution,
    LatencyBlock,
    Point,
    SeriesSecond,
    WarmUpReport,
)
from bytemlperf.report.schema.hand_over import HandOverReport, WaitReport
from bytemlperf.runtime import (
    Batching,
    Block,
    Histogram,
    Offline,
    Ramp,
    Recording,
    Scenario,
    Trace,
)
from bytemlperf.runtime.hand_over import HandOver
from bytemlperf.statistics.hdr import CELL_COUNT, encode_counts
from bytemlperf.statistics.summary import summarise

__all__ = ["distribution", "latency_block", "point_from"]


def point_from(
    recording: Recording,
    loaded: Loaded,
    plan: PointPlan,
    scenario: Scenario,
    batching: Batching,
    min_queries: int,
    timeline: Path | None,
) -> Point:
    """Turn a recording into the report's words, with a verdict."""
    window_s = recording.window_ns / 1e9
    latency = distribution(recording.latency)
    schedule_lag = distribution(recording.schedule_lag)
    wakeup = distribution(recording.wakeup)
    blocks = [latency_block(block) for block in recording.blocks]
    statistics = (
        summarise(
            blocks_table(blocks, recording.latency.max),
            samples_per_query=scenario.samples_per_query,
            percentiles=plan.percentiles,
            slos=plan.slos,
        )
        if blocks
        else None
    )
    batches = sum(recording.batch_size_counts.values())
    batched_samples = sum(
        size * count for size, count in recording.batch_size_counts.items()
    )
    warnings = list(loaded.warnings)
    if not recording.warm_up.settled:
        warnings.append("service time had not settled when the warm-up's time was over")
    # A load that changes by itself says nothing about what changes under it.
    steady = None if isinstance(scenario, Offline | Ramp | Trace) else statistics
    unsteady = unsteady_warning(steady)
    if unsteady is not None:
        warnings.append(unsteady)
    return Point(
        batch_size=loaded.batch_size,
        clients=plan.clients,
        iterations=plan.iterations,
        point_seconds=plan.point_seconds,
        max_batch=batching.max_batch,
        max_delay_us=batching.max_delay_us,
        predict_threads=batching.predict_threads,
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
        client_kind=recording.client_kind,
        predict_path=recording.predict_path,
        path_reason=recording.path_reason,
        hand_over=_hand_over(recording.hand_over),
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
        invalid_reasons=load_reasons(recording)
        + invalid_reasons(
            latency=latency,
            schedule_lag=schedule_lag,
            wakeup=wakeup,
            query_count=recording.query_count,
            failed_count=recording.failed_count,
            min_query_count=min_queries,
            overflow_count=recording.overflow_count,
            warm_up_error=next(
                (
                    printable(each.error)
                    for each in recording.failures
                    if each.is_warm_up
                ),
                None,
            ),
            statistics=steady,
        ),
        warnings=warnings,
        errors=[
            f"{printable(failure.error)} (batch of {failure.batch_size} samples, "
            f"first sample {failure.sample_index})"
            for failure in recording.failures
        ],
        timeline_file=str(timeline) if timeline else None,
        window_start_ns=recording.window_start_ns,
        load=load_report(
            recording,
            scenario,
            distribution(recording.load.lag) if recording.load else None,
            distribution(recording.load.query_latency)
            if recording.load and recording.load.query_latency
            else None,
        ),
        blocks=blocks,
        statistics=statistics,
    )


def _hand_over(waited: HandOver | None) -> HandOverReport | None:
    if waited is None:
        return None
    clients, predict = (
        WaitReport(
            spun_count=counts.hit_count,
            slept_count=counts.miss_count + counts.parked_count,
            slept_after_spin_count=counts.miss_count,
            preempted_count=counts.preempted_count,
            spun_ns=counts.spun_ns,
            moved_count=counts.moved_count,
        )
        for counts in (waited.clients, waited.predict)
    )
    return HandOverReport(clients, predict)


def latency_block(block: Block) -> LatencyBlock:
    """Turn a block into the report's words."""
    text = ""
    if block.query_count:
        counts = np.zeros(CELL_COUNT, np.int64)
        counts[block.cells[:, 0]] = block.cells[:, 1]
        text = encode_counts(counts)
    return LatencyBlock(
        start_ns=block.start_ns,
        duration_ns=block.duration_ns,
        query_count=block.query_count,
        sum_ns=block.sum_ns,
        hdr_v2_base64=text,
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
