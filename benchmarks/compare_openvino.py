"""OpenVINO's own ``benchmark_app`` against us, on the same model in the same run.

Measures
    Samples per second of one ONNX model at one batch size, compiled by OpenVINO with
    the same threads, streams and precision: by ``benchmark_app`` (its own loop, inputs
    in place), and by our clients through the backend ``OPENVINO``. In turns, so that a
    machine that slows down slows both.

Does not measure
    Latency: ``benchmark_app`` issues as fast as it can, without clients.

Usage: ``python -m benchmarks.compare_openvino --onnx FILE``, where FILE is the model of
``--task`` as ``prepare`` has left it in the cache, and ``--shape`` its shape at a
batch.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

RATE = re.compile(r"Throughput:\s*([0-9.]+)\s*FPS")


def theirs(
    onnx: Path, shape: list[int], threads: int, streams: int, seconds: int
) -> float:
    """Return the samples per second that benchmark_app reports."""
    program = Path(sys.executable).with_name("benchmark_app")
    done = subprocess.run(
        [
            str(program), "-m", str(onnx), "-d", "CPU", "-api", "async",
            "-hint", "none", "-nstreams", str(streams), "-nthreads", str(threads),
            "-nireq", str(streams), "-infer_precision", "f32", "-t", str(seconds),
            "-shape", f"[{','.join(map(str, shape))}]",
        ],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    found = RATE.search(done.stdout)
    if found is None:
        sys.exit(f"benchmark_app said no throughput:\n{done.stdout}\n{done.stderr}")
    return float(found[1])


def ours(task: str, batch_size: int, threads: int, streams: int, seconds: int) -> float:
    """Return the samples per second of one of our own points."""
    with tempfile.TemporaryDirectory() as folder:
        answers = Path(folder) / "answers.json"
        answers.write_text(
            json.dumps(
                {
                    "instance_count": streams,
                    "intra_op_threads": max(1, threads // streams),
                    "precision": "f32",
                }
            )
        )
        done = subprocess.run(
            [
                sys.executable, "-m", "bytemlperf", "--tasks", task,
                "--hardware_type", "OPENVINO", "--batch_sizes", str(batch_size),
                "--clients", str(2 * streams), "--point_seconds", str(seconds),
                "--no_test_accuracy", "--no_test_numeric", "--answers", str(answers),
                "--out", folder, "--ui", "none",
            ],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        results = list(Path(folder).rglob("result.json"))
        points = json.loads(results[0].read_text())["points"] if results else []
        if not points:
            sys.exit(f"no point was measured:\n{done.stdout}\n{done.stderr}")
        return float(points[0]["throughput_samples_per_s"])


def main() -> int:
    """Measure both in turns and print the ratio.

    Returns
    -------
    int
        0 if the medians are within the tolerance of each other, else 1.
    """
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--task", default="yolov5-onnx-fp32")
    parser.add_argument("--onnx", type=Path, required=True)
    parser.add_argument("--shape", default="1,3,640,640")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--streams", type=int, default=1)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tolerance", type=float, default=0.05)
    arguments = parser.parse_args()
    shape = [int(size) for size in arguments.shape.split(",")]
    how = (arguments.threads, arguments.streams, arguments.seconds)
    rows = []
    print("| round | benchmark_app, samples/s | ours, samples/s | ratio |")
    print("| ---: | ---: | ---: | ---: |")
    for index in range(arguments.rounds):
        # benchmark_app counts frames: samples, since axis 0 of the shape is the batch.
        pair = (
            theirs(arguments.onnx, shape, *how),
            ours(arguments.task, shape[0], *how),
        )
        rows.append(pair)
        print(
            f"| {index + 1} | {pair[0]:.2f} | {pair[1]:.2f} | {pair[1] / pair[0]:.3f} |"
        )
    ratios = [own / other for other, own in rows]
    median = statistics.median(ratios)
    print(f"median ratio {median:.3f}, from {min(ratios):.3f} to {max(ratios):.3f}")
    return 0 if abs(median - 1) <= arguments.tolerance else 1


if __name__ == "__main__":
    sys.exit(main())
