"""Recordings of queues that were simulated, as `run` would have handed them back."""

from __future__ import annotations

import numpy as np

from bytemlperf.runtime import (
    Block,
    Histogram,
    LoadRecording,
    Recording,
    WarmUpRecording,
)

NONE = Histogram.from_values([])


def recording_of(
    arrivals_s: np.ndarray,
    latencies_s: np.ndarray,
    *,
    rate_qps: float | None = None,
    schedule_seed: int = 0,
    block_count: int = 16,
    failed_count: int = 0,
    is_unstable: bool = False,
    dropped_count: int = 0,
    error: Exception | None = None,
) -> Recording:
    """Lay queries into a recording; with a rate it is one of an open loop."""
    values = np.round(latencies_s * 1e9).astype(np.int64)
    answered = np.round((arrivals_s + latencies_s) * 1e9).astype(np.int64)
    count = len(values)
    end = int(answered.max(initial=0)) + 1
    width = end // block_count + 1
    blocks = []
    for number in range(block_count if count else 0):
        within = values[answered // width == number]
        counts = Histogram.from_values(within).counts
        cells = np.flatnonzero(counts)
        blocks.append(
            Block(
                start_ns=number * width,
                duration_ns=min(width, end - number * width),
                query_count=len(within),
                sum_ns=int(within.sum()),
                cells=np.stack([cells, counts[cells]], axis=1),
            )
        )
    load = None
    if rate_qps is not None:
        load = LoadRecording(
            scenario="server",
            schedule_seed=schedule_seed,
            schedule_sha256="",
            schedule_ns=end,
            requested_qps=rate_qps,
            offered_qps=rate_qps,
            issued_qps=rate_qps,
            scheduled_count=count + dropped_count,
            issued_count=count + dropped_count,
            refused_count=0,
            starved_count=0,
            unissued_count=0,
            dropped_count=dropped_count,
            max_queued=65_536,
            peak_in_flight=1,
            mean_backlogs=(0.0, 0.0, 0.0, 0.0),
            end_backlog=0,
            is_unstable=is_unstable,
            lag=NONE,
            pacer_cpu_ns=0,
            pacer_spun_ns=0,
            pacer_spin_ns=0,
            is_real_time=False,
        )
    return Recording(
        query_count=count,
        sample_count=count,
        failed_count=failed_count,
        cancelled_count=dropped_count,
        overflow_count=0,
        ended_by="schedule",
        window_start_ns=0,
        window_ns=end,
        latency=Histogram.from_values(values),
        schedule_lag=NONE,
        queue_wait=NONE,
        gather=NONE,
        service=NONE,
        wakeup=NONE,
        batch_size_counts={1: count},
        view_count=count,
        gather_count=0,
        series=(),
        warm_up=WarmUpRecording(0, 0, True, NONE),
        peak_queued=1,
        cpu_ns=0,
        voluntary_switches=0,
        involuntary_switches=0,
        loop="none",
        rng="PCG64",
        seed=0,
        failures=(),
        error=error,
        blocks=tuple(blocks),
        load=load,
    )
