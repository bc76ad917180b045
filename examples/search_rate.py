"""How much a function of your own can serve, and with which settings.

Nothing but `bytemlperf.runtime`: every run is one `run(...)` of yours, and the library
decides which to make and what they show. Here the model is a matrix product.

    python examples/search_rate.py
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np

from bytemlperf.runtime import (
    ArraySamples,
    Batching,
    ClosedLoop,
    Measured,
    Recording,
    Scenario,
    Server,
    WarmUp,
    ab,
    run,
    search,
    sweep,
)

WEIGHTS = np.random.default_rng(0).standard_normal((1024, 1024), dtype=np.float32)
SAMPLES = ArraySamples({"x": np.ones((64, 1024), np.float32)})


def predict(feeds: Mapping[str, Any]) -> dict[str, Any]:
    """Answer a batch: called in predict threads, with read-only arrays."""
    return {"y": feeds["x"] @ WEIGHTS}


async def load(scenario: Scenario, max_batch: int, schedule_seed: int = 0) -> Recording:
    """Make one load test."""
    return await run(
        predict,
        SAMPLES,
        scenario=scenario,
        batching=Batching(max_batch=max_batch),
        schedule_seed=schedule_seed,
        warm_up=WarmUp(max_queries=200),
    )


def row(measured: Measured) -> str:
    """Say in a line what a run was, and what it measured, with its 95 % interval."""
    words = ", ".join(f"{name} {value:g}" for name, value in measured.settings.items())
    if measured.statistics is None:
        return f"{words}: {'; '.join(measured.faults)}\n"
    rate = measured.statistics.throughput_samples_per_s
    interval = "" if rate.high is None else f" [{rate.low:.0f}, {rate.high:.0f}]"
    tails = [
        f", p{each.percentile:g} {each.value_ns / 1e6:.3g} ms"
        for each in measured.statistics.percentiles
        if each.value_ns is not None
    ]
    return f"{words}: {rate.value:.0f} samples/s{interval}{''.join(tails)}\n"


async def main(
    objective: str = "p99<=20ms",
    queries: int = 20_000,
    seconds: float = 2.0,
    max_probes: int = 8,
) -> None:
    """Sweep a setting, compare two values of it, and search the rate of the better."""
    clients = ClosedLoop(clients=16, iterations=max(1, queries // 16))
    rows = await sweep(
        lambda settings: load(clients, **settings), {"max_batch": [1, 4, 16]}
    )
    for each in rows:
        sys.stdout.write(row(each))

    sides = await ab(lambda: load(clients, 1), lambda: load(clients, 16))
    for metric in sides.metrics:
        if metric.ratio is not None:
            sys.stdout.write(
                f"max_batch 16 against 1: {metric.metric} x{metric.ratio:.2f}, "
                f"{metric.verdict}\n"
            )

    async def run_at(rate_qps: float, seconds: float, seed: int) -> Recording:
        return await load(Server(rate_qps, seconds), 16, seed)

    best = rows[-1].recording
    found = await search(
        run_at,
        objective,
        start_rate=best.query_count / best.window_ns * 1e9 / 2,
        seconds=seconds,
        max_probes=max_probes,
        on_run=lambda each: sys.stdout.write(row(each)),
    )
    low, high = found.capacity.rate, found.capacity.missed_rate
    sys.stdout.write(
        f"{objective}: met twice at {f'{low:.0f}/s' if low else 'no rate tried'}, "
        f"missed at {f'{high:.0f}/s' if high else 'none'}\n"
    )


if __name__ == "__main__":
    asyncio.run(main())
