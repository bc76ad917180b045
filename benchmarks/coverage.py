"""How often the intervals hold the truth: M/M/1 queues, simulated, in one table.

    python -m benchmarks.coverage --runs 1000

An M/M/1 queue's latency is exponential with mean s / (1 - load), so that every
percentile, the mean and the throughput are known; each run begins in the steady state.
At load 0 nobody waits, and queries are independent. The nominal level is 95 %: of 1000
runs at exactly that, 93.3 to 96.7 % hit in 99 of 100 cases. An interval that is open at
one side holds what lies on that side; the second figure is the share of runs whose
interval has both ends, the rest of them saying "too few independent queries". `naive`
takes latencies for independent, as most tools do.
"""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

from queues import mm1_latencies, table_of

from bytemlperf.statistics.blocks import (
    mean_estimate,
    quantile_estimate,
    rate_estimate,
)
from bytemlperf.statistics.order import interval_ranks

__all__ = ["coverage"]

PERCENTILES = (50, 90, 99)
LOADS = (0.0, 0.5, 0.8, 0.9)
COUNTS = (1_000, 3_000, 10_000, 30_000)
SERVICE_S = 0.001
# Half a cell on either side.
CELL = 0.0005


def coverage(load: float, count: int, runs: int) -> dict[str, tuple[float, float]]:
    """Simulate runs of a queue, and count whose intervals hold the truth.

    Parameters
    ----------
    load : float
        Utilisation, [0, 1).
    count : int
        Queries of a run.
    runs : int
        How many.

    Returns
    -------
    dict of str to tuple of float
        By figure: share of runs whose interval holds the truth, and of those whose
        interval has both ends.
    """
    rng = np.random.default_rng([round(load * 100), count])
    mean_ns = SERVICE_S / (1 - load) * 1e9
    seen: dict[str, list[tuple[bool, bool]]] = {}

    def look(name: str, low: float | None, high: float | None, truth: float) -> None:
        holds = (low or 0.0) <= truth * (1 + CELL) and truth * (1 - CELL) <= (
            math.inf if high is None else high
        )
        has_both = low is not None and high is not None
        seen.setdefault(name, []).append((holds, has_both))

    for _ in range(runs):
        arrivals, latencies = mm1_latencies(rng, count, load, SERVICE_S)
        table = table_of(arrivals, latencies)
        mean = mean_estimate(table)
        look("mean", mean.low, mean.high, mean_ns)
        if load:
            rate = rate_estimate(table)
            look("rate", rate.low, rate.high, load / SERVICE_S)
        ordered = np.sort(latencies) * 1e9
        for percentile in PERCENTILES:
            truth_ns = _truth_ns(percentile, mean_ns)
            found = quantile_estimate(table, percentile)
            look(f"p{percentile}", found.low_ns, found.high_ns, truth_ns)
        low, high = interval_ranks(count, 90)
        assert low is not None
        assert high is not None
        look("naive p90", ordered[low - 1], ordered[high - 1], _truth_ns(90, mean_ns))
    return {
        name: (
            sum(holds for holds, _ in each) / runs,
            sum(both for _, both in each) / runs,
        )
        for name, each in seen.items()
    }


def _truth_ns(percentile: float, mean_ns: float) -> float:
    """Return a percentile of an exponential law."""
    return -math.log(1 - percentile / 100) * mean_ns


def main() -> None:
    """Print a row for each load and number of queries."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=300)
    runs = parser.parse_args().runs
    names = ["mean", "rate", *(f"p{each}" for each in PERCENTILES), "naive p90"]
    print("load       n" + "".join(f"{name:>14}" for name in names))
    for load in LOADS:
        for count in COUNTS:
            found = coverage(load, count, runs)
            cells = (
                f"{found[name][0]:7.1%} ({found[name][1]:4.0%})"
                if name in found
                else "-"
                for name in names
            )
            print(f"{load:4.0%} {count:7}" + "".join(f"{c:>14}" for c in cells))


if __name__ == "__main__":
    main()
