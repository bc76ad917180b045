"""How often the intervals hold the truth: M/M/1 queues, simulated, in one table.

    python -m benchmarks.coverage --runs 1000

An M/M/1 queue's latency is exponential with mean s / (1 - utilisation), so that every
percentile, the mean and the throughput are known. `naive` is the same interval without
the design effect: what a tool says that takes latencies for independent. The nominal
level is 95 %; of 1000 runs at exactly that, 93.3 to 96.7 % hit in 99 of 100 cases.
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

PERCENTILES = (50, 90, 99)
SERVICE_S = 0.001


def coverage(utilisation: float, count: int, runs: int) -> dict[str, float]:
    """Return the share of runs whose interval holds the truth, by figure."""
    rng = np.random.default_rng([round(utilisation * 100), count])
    mean_s = SERVICE_S / (1 - utilisation)
    hits: dict[str, int] = {}
    for _ in range(runs):
        arrivals, latencies = mm1_latencies(rng, count, utilisation, SERVICE_S)
        table = table_of(arrivals, latencies)
        ordered = np.sort(latencies) * 1e9
        checks = {}
        for percentile in PERCENTILES:
            truth_ns = -math.log(1 - percentile / 100) * mean_s * 1e9
            found = quantile_estimate(table, percentile)
            checks[f"p{percentile}"] = (
                # Half a cell on either side.
                (found.low_ns or 0) <= truth_ns * 1.0005
                and truth_ns * 0.9995 <= (found.high_ns or math.inf)
            )
            low, high = interval_ranks(count, percentile)
            assert low is not None
            assert high is not None
            checks[f"naive p{percentile}"] = (
                ordered[low - 1] <= truth_ns <= ordered[high - 1]
            )
        mean, rate = mean_estimate(table), rate_estimate(table)
        for name, estimate, truth in (
            ("mean", mean, mean_s * 1e9),
            ("rate", rate, utilisation / SERVICE_S),
        ):
            assert estimate.low is not None
            assert estimate.high is not None
            checks[name] = estimate.low <= truth <= estimate.high
        for name, is_hit in checks.items():
            hits[name] = hits.get(name, 0) + bool(is_hit)
    return {name: hit / runs for name, hit in hits.items()}


def main() -> None:
    """Print a row for each utilisation and number of queries."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=300)
    runs = parser.parse_args().runs
    is_first = True
    for utilisation in (0.3, 0.5, 0.7, 0.8):
        for count in (3_000, 20_000):
            found = coverage(utilisation, count, runs)
            if is_first:
                print("load      n  " + "  ".join(f"{name:>9}" for name in found))
                is_first = False
            print(
                f"{utilisation:4.0%} {count:6}  "
                + "  ".join(f"{share:9.1%}" for share in found.values())
            )


if __name__ == "__main__":
    main()
