"""Several hardware types on the same tasks, in one command: a table of ratios.

Measures
    Samples per second and service time of each task at one batch size on each hardware
    type, by the real command; compile time, and the coverage as the framework counts
    it. Ratios are to the first hardware type, of the same run.

Does not measure
    Accuracy (``--no_test_accuracy``). Points that are INVALID have no ratio, and what
    was skipped or failed says so.

Usage: ``python -m benchmarks.compare_backends --tasks 'resnet50-torch-fp32,...'
--hardware_type CPU,OPENVINO,INDUCTOR``; with ``--results DIR`` only the table of a run
that there is.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from bytemlperf.report.schema import TaskResult
from bytemlperf.report.storage import read_result
from bytemlperf.report.units import format_duration_ns, format_rate

TASKS = (
    "resnet50-torch-fp32,bert-torch-fp32,vit-torch-fp32,yolov5n-torch-fp32,"
    "widedeep-trained-torch-fp32,conformer-encoder-onnx-fp32"
)
HEAD = (
    "| task | hardware type | compile | coverage counted | samples/s | ratio | "
    "service, mean |"
)


def measure(tasks: str, hardware: str, batch_size: int, seconds: float) -> Path:
    """Run the command; its results' folder."""
    out = Path(tempfile.mkdtemp(prefix="compare-backends-"))
    command = [
        *(sys.executable, "-m", "bytemlperf", "--tasks", tasks),
        *("--hardware_type", hardware, "--batch_sizes", str(batch_size)),
        *("--point_seconds", f"{seconds:g}", "--no_test_accuracy", "--ui", "plain"),
        *("--out", str(out)),
    ]
    print("$", " ".join(command[1:]), file=sys.stderr)
    # A backend that does not take a model's format is a row of the table.
    subprocess.run(command, check=False, stdout=sys.stderr)
    return out


def row(task: str, hardware: str, result: TaskResult | None, base: float | None) -> str:
    """Put one result into a line of the table."""
    if result is None or result.compile is None:
        why = "not measured"
        if result is not None and result.failures:
            why = result.failures[0].message.splitlines()[0][:60]
        return f"| `{task}` | `{hardware}` | - | - | {why} | - | - |"
    compiled = result.compile
    counted = compiled.coverage
    coverage = (
        "nobody can count it"
        if counted is None
        else f"{counted.percent:.4g} % of {counted.op_count:,}"
    )
    start = (
        f"| `{task}` | `{hardware}` | {format_duration_ns(compiled.duration_ns)} | "
        f"{coverage} |"
    )
    if not result.points:
        why = result.skipped[0].reason if result.skipped else result.status
        return f"{start} {why} | - | - |"
    point = result.points[0]
    rate = point.throughput_samples_per_s
    if point.invalid_reasons:
        return f"{start} {format_rate(rate)}, INVALID | - | - |"
    ratio = "-" if base is None else f"{rate / base:.2f}"
    return (
        f"{start} {format_rate(rate)} | {ratio} | "
        f"{format_duration_ns(point.service.mean_ns)} |"
    )


def read(folder: Path, hardware: str, task: str) -> TaskResult | None:
    """Return a result, if there is one."""
    path = folder / hardware / task / "result.json"
    return read_result(path) if path.is_file() else None


def main() -> int:
    """Measure, unless there are results, and print the table.

    Returns
    -------
    int
        0.
    """
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tasks", default=TASKS)
    parser.add_argument("--hardware_type", default="CPU,OPENVINO,INDUCTOR")
    parser.add_argument("--batch_size", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--results", type=Path)
    given = parser.parse_args()
    folder = given.results or measure(
        given.tasks, given.hardware_type, given.batch_size, given.seconds
    )
    kinds = given.hardware_type.split(",")
    print(HEAD)
    print("|---|---|---:|---|---:|---:|---:|")
    for task in given.tasks.split(","):
        base = None
        for hardware in kinds:
            result = read(folder, hardware, task)
            points = [] if result is None else result.points
            if hardware == kinds[0] and points and not points[0].invalid_reasons:
                base = points[0].throughput_samples_per_s
            print(row(task, hardware, result, base))
    print(f"\nload average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    return 0


if __name__ == "__main__":
    sys.exit(main())
