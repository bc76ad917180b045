"""How the load that we can make grows with processes: null queries from 1 to N of them.

Measures
    Queries a second of the whole command with ``--processes`` 1, 2, ... up to the cores
    that this process may use, on the NULL backend; 64 clients a process, batches of one
    sample. Counts interleaved round by round; ratios to one process, within a round.

Does not measure
    Anything that computes. Processes beyond the cores.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.results import ScriptResult
from benchmarks.script import Settings, run_script
from bytemlperf.report.storage import read_result

CLIENTS_EACH = 64


def queries_per_s(folder: Path, processes: int, iterations: int) -> float:
    """Run the command once.

    Parameters
    ----------
    folder : Path
        For the workload, the cache and the results.
    processes : int
        That share the load.
    iterations : int
        Queries of each client.

    Returns
    -------
    float
        Queries per second over the common window.
    """
    task = folder / "null.json"
    task.write_text(
        json.dumps({"model": "widedeep-tf-fp32", "test_accuracy": False,
                    "test_numeric": False})
    )  # fmt: skip
    subprocess.run(
        [
            sys.executable, "-m", "bytemlperf", "--tasks", task,
            "--hardware_type", "NULL", "--batch_sizes", "1", "--ui", "none",
            "--clients", str(CLIENTS_EACH * processes),
            "--iterations", str(iterations), "--processes", str(processes),
            "--out", folder / "out", "--cache", folder / "cache",
        ],
        check=False,
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    point = read_result(folder / "out" / "NULL" / "null" / "result.json").points[0]
    return point.throughput_queries_per_s


def measure(settings: Settings, result: ScriptResult) -> None:
    """Run every count of processes in turn, round by round."""
    counts = range(1, len(os.sched_getaffinity(0)) + 1)
    iterations = settings.pick(50, 10_000, 50_000)
    rates: dict[int, list[float]] = {count: [] for count in counts}
    with tempfile.TemporaryDirectory(prefix="bytemlperf-scaling-") as folder:
        for _ in range(settings.windows):
            for count in counts:
                rates[count].append(queries_per_s(Path(folder), count, iterations))
    for count in counts:
        result.details[f"{count} processes, queries/s"] = statistics.median(
            rates[count]
        )
        ratios = [mine / one for mine, one in zip(rates[count], rates[1], strict=True)]
        result.details[f"{count} processes, x of one"] = statistics.median(ratios)
        result.details[f"{count} processes, x of one, least"] = min(ratios)
        result.details[f"{count} processes, x of one, most"] = max(ratios)


if __name__ == "__main__":
    run_script(__file__, __doc__, measure)
