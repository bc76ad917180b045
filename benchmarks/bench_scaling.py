"""How the load that we can make grows with processes: null queries from 1 to N of them.

Measures
    Queries a second of the whole command with ``--processes`` 1, 2, ... up to the cores
    that this process may use, and twice as many, on the NULL backend; 64 clients a
    process, batches of one sample. One process is tried free and held to one core, as
    each of several is. Ways interleaved round by round; ratios within a round, to one
    process on one core. Queries per second of processor time tell how much of that is
    work, and how much was waiting for others.

Does not measure
    Anything that computes.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from benchmarks.results import ScriptResult
from benchmarks.script import Settings, run_script
from bytemlperf.report.storage import read_result

CLIENTS_EACH = 64


class Way(NamedTuple):
    """How the command is run.

    Parameters
    ----------
    name : str
        In the table.
    processes : int
        That share the load.
    cores : frozenset of int
        That all of it may use.
    """

    name: str
    processes: int
    cores: frozenset[int]


def ways() -> list[Way]:
    """Name the ways; the first one is what the others are compared with."""
    cores = frozenset(os.sched_getaffinity(0))
    counts = [*range(2, len(cores) + 1), 2 * len(cores)]
    return [
        Way("1 process on one core", 1, frozenset({min(cores)})),
        Way("1 process", 1, cores),
        *(
            Way(
                f"{count} processes"
                + (" (oversubscribed)" if count > len(cores) else ""),
                count,
                cores,
            )
            for count in counts
        ),
    ]


def queries_per_s(folder: Path, way: Way, iterations: int) -> tuple[float, float]:
    """Run the command once.

    Parameters
    ----------
    folder : Path
        For the workload, the cache and the results.
    way : Way
        How.
    iterations : int
        Queries of each client.

    Returns
    -------
    tuple of float
        Queries per second over the common window, and per second of processor time.
    """
    task = folder / "null.json"
    task.write_text(
        json.dumps({"model": "widedeep-tf-fp32", "test_accuracy": False,
                    "test_numeric": False})
    )  # fmt: skip
    before = os.sched_getaffinity(0)
    # Inherited by what is started; nothing else runs here meanwhile.
    os.sched_setaffinity(0, way.cores)
    try:
        subprocess.run(
            [
                sys.executable, "-m", "bytemlperf", "--tasks", task,
                "--hardware_type", "NULL", "--batch_sizes", "1", "--ui", "none",
                "--clients", str(CLIENTS_EACH * way.processes),
                "--iterations", str(iterations), "--processes", str(way.processes),
                "--out", folder / "out", "--cache", folder / "cache",
            ],
            check=False,
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
    finally:
        os.sched_setaffinity(0, before)
    point = read_result(folder / "out" / "NULL" / "null" / "result.json").points[0]
    rate = point.throughput_queries_per_s
    return rate, rate / max(point.cpu_percent, 0.1) * 100


def measure(settings: Settings, result: ScriptResult) -> None:
    """Run every way in turn, round by round."""
    tried = ways()
    iterations = settings.pick(50, 10_000, 50_000)
    rates: dict[str, list[tuple[float, float]]] = {way.name: [] for way in tried}
    with tempfile.TemporaryDirectory(prefix="bytemlperf-scaling-") as folder:
        for _ in range(settings.windows):
            for way in tried:
                rates[way.name].append(queries_per_s(Path(folder), way, iterations))
    one = rates[tried[0].name]
    for name, mine in rates.items():
        result.details[f"{name}, queries/s"] = statistics.median(
            wall for wall, _ in mine
        )
        result.details[f"{name}, queries per CPU second"] = statistics.median(
            cpu for _, cpu in mine
        )
        ratios = [here[0] / base[0] for here, base in zip(mine, one, strict=True)]
        result.details[f"{name}, x of one on one core"] = statistics.median(ratios)
        result.details[f"{name}, x, least"] = min(ratios)
        result.details[f"{name}, x, most"] = max(ratios)


if __name__ == "__main__":
    run_script(__file__, __doc__, measure)
