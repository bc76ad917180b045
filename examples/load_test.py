"""Load-test a function of your own: how it does at a rate, and how load was brought.

Nothing but `bytemlperf.runtime`: a predict function, samples, and a scenario. Here the
model is a matrix product; the arrivals are Poisson's, then a trace, and then coroutines
of one's own are paced.

    python examples/load_test.py
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
    Recording,
    Scenario,
    Server,
    Trace,
    now_ns,
    pace,
    run,
)

WEIGHTS = np.random.default_rng(0).standard_normal((256, 256), dtype=np.float32)


def predict(feeds: Mapping[str, Any]) -> dict[str, Any]:
    """Answer a batch: called in predict threads, with read-only arrays."""
    return {"y": feeds["x"] @ WEIGHTS}


async def measure(scenario: Scenario) -> Recording:
    """Bring a load to the model; batches of up to 16 form while it is busy."""
    return await run(
        predict,
        ArraySamples({"x": np.ones((64, 256), np.float32)}),
        scenario=scenario,
        batching=Batching(max_batch=16),
        schedule_seed=7,
    )


def describe(recording: Recording) -> str:
    """Say in a line what was offered, what came of it, and how punctual we were."""
    load = recording.load
    assert load is not None
    return (
        f"{load.scenario}: {recording.query_count} of {load.scheduled_count} answered, "
        f"offered {load.offered_qps:.0f}/s, latency p50 "
        f"{recording.latency.percentile(50) / 1e3:.0f} us, not issued "
        f"{load.refused_count + load.starved_count}, dropped {load.dropped_count}, "
        f"lag p50 {load.lag.percentile(50)} ns, schedule {load.schedule_sha256[:12]}"
    )


async def paced_tasks(due_ns: list[int]) -> list[int]:
    """Start a task of one's own at each moment; how late each began, ns."""
    late: list[int] = []

    async def ask(scheduled_ns: int) -> None:
        late.append(now_ns() - scheduled_ns)

    async with asyncio.TaskGroup() as tasks:
        async for arrival in pace(due_ns):
            tasks.create_task(ask(arrival.scheduled_ns))
    return late


async def main() -> None:
    """Measure twice, then pace."""
    for scenario in (
        Server(rate_qps=500, seconds=0.2),
        Trace(due_ns=np.array([0, 1_000_000, 1_500_000, 9_000_000]), source="by hand"),
    ):
        sys.stdout.write(describe(await measure(scenario)) + "\n")
    late = await paced_tasks([0, 1_000_000, 2_000_000])
    sys.stdout.write(
        f"{len(late)} tasks of our own, {max(late) / 1e3:.0f} us late at most\n"
    )


if __name__ == "__main__":
    asyncio.run(main())
