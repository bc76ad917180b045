"""Latencies of queues whose true figures are known, as a run would keep them."""

from __future__ import annotations

import numpy as np

from bytemlperf.statistics.blocks import BlockTable, make_table


def mm1_latencies(
    rng: np.random.Generator, count: int, utilisation: float, service_s: float = 0.001
) -> tuple[np.ndarray, np.ndarray]:
    """Draw arrivals and latencies, s, of a stationary M/M/1 queue (Lindley 1952).

    Latency is exponential with mean ``service_s / (1 - utilisation)``; throughput is
    ``utilisation / service_s``. The first arrival finds the queue as any does: empty
    with probability 1 - utilisation, else with an exponential amount of work. At
    utilisation 0 nobody ever waits.
    """
    if not utilisation:
        gaps = rng.exponential(100 * service_s, count)
        return np.cumsum(gaps), rng.exponential(service_s, count)
    arrivals = np.cumsum(rng.exponential(service_s / utilisation, count))
    services = rng.exponential(service_s, count)
    steps = np.concatenate([[0.0], np.cumsum(services[:-1] - np.diff(arrivals))])
    found = 0.0
    if rng.random() < utilisation:
        found = rng.exponential(service_s / (1 - utilisation))
    waits = np.maximum(steps + found, steps - np.minimum.accumulate(steps))
    return arrivals - arrivals[0], waits + services


def table_of(
    arrivals_s: np.ndarray, latencies_s: np.ndarray, block_count: int = 50
) -> BlockTable:
    """Lay latencies into blocks of equal length by when they were answered."""
    answered = arrivals_s + latencies_s
    edges = np.linspace(0, answered.max() * (1 + 1e-9), block_count + 1)
    block = np.searchsorted(edges, answered, side="right") - 1
    whole = np.round(latencies_s * 1e9).astype(np.int64)
    # To a thousandth, as cells are.
    step = 10 ** np.maximum(0, np.floor(np.log10(np.maximum(whole, 1))).astype(int) - 3)
    rounded = whole // step * step
    cells = [
        np.stack(np.unique(rounded[block == each], return_counts=True), axis=1)
        for each in range(block_count)
    ]
    sums = [int(whole[block == each].sum()) for each in range(block_count)]
    return make_table(list(np.diff(edges) * 1e9), sums, cells)


def steady_table(
    rng: np.random.Generator,
    *,
    rate: float = 2000.0,
    seconds: float = 5.0,
    latency_ns: float = 1e6,
    noise: float = 0.1,
    block_count: int = 50,
) -> BlockTable:
    """Draw a quiet run: independent lognormal latencies at an even rate."""
    count = int(rate * seconds)
    arrivals = np.arange(count) / rate
    return table_of(
        arrivals, latency_ns / 1e9 * rng.lognormal(0, noise, count), block_count
    )
