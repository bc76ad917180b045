"""OpenVINO's own ``benchmark_app`` against us, on the same ONNX file in the same run.

Measures
    Samples per second, and processor time a sample, of one ONNX file at one batch size,
    compiled by OpenVINO with the same threads, streams, precision and input types: by
    ``benchmark_app`` (its asynchronous loop, as many requests as streams, no hint), and
    by our command through the backend ``OPENVINO`` (twice as many clients as streams,
    so that none waits for a query). In turns, A B B A, so that a machine that slows
    down slows both. The ratio is the median of the ratios within rounds.

    With ``--layers`` also, in one process and in turns, what lies between the two: the
    loop of ``benchmark_app``, calls of our backend's `predict` in a plain loop, and our
    run. Nothing of start-up is in these, so they tell where a difference comes from.

Does not measure
    Latency: ``benchmark_app`` issues as fast as it can, without clients. The processor
    time of its start is taken off by a run of its own of a few inferences.

Usage: ``python -m benchmarks.compare_openvino --task yolov5-onnx-fp32``, after ``python
-m bytemlperf prepare --tasks yolov5-onnx-fp32``. The exit code is 1 if the median ratio
of throughputs is further from 1 than the tolerance.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import openvino
import platformdirs

from benchmarks.windows import Contender, Stopwatch, Window, measure_in_turns
from bytemlperf.backends.OPENVINO.backend_openvino import BackendOPENVINO
from bytemlperf.runtime import ArraySamples, Batching, ClosedLoop, run_sync

COUNT = re.compile(r"Count:\s*(\d+)\s*iterations")
DURATION = re.compile(r"Duration:\s*([0-9.]+)\s*ms")
# Inferences of the run that only shows what its start takes.
SHORT_COUNT = 4
LAYERS = ("benchmark_app's loop", "our predict", "our run")


class Setting(NamedTuple):
    """What both sides are given.

    Parameters
    ----------
    task : str
        Of ours.
    onnx : Path
        Its model.
    shapes : dict of str to list of int
        Of each input, the batch on axis 0.
    types : dict of str to str
        OpenVINO's names.
    batch_size, threads, streams, seconds : int
        Of both.
    """

    task: str
    onnx: Path
    shapes: dict[str, list[int]]
    types: dict[str, str]
    batch_size: int
    threads: int
    streams: int
    seconds: int

    @property
    def properties(self) -> dict[str, Any]:
        """What the model is compiled with."""
        return {
            "NUM_STREAMS": self.streams,
            "INFERENCE_NUM_THREADS": self.threads,
            "INFERENCE_PRECISION_HINT": "f32",
        }


class Taken(NamedTuple):
    """What samples took: how many, in which wall time and processor time, s."""

    samples: float
    wall_s: float
    cpu_s: float


def app(setting: Setting, *limit: str) -> Taken:
    """Run benchmark_app; its processor time is that of the whole program."""
    program = Path(sys.executable).with_name("benchmark_app")
    shapes = ",".join(
        f"{name}[{','.join(map(str, shape))}]" for name, shape in setting.shapes.items()
    )
    # Without a type it would feed an image as bytes and convert that in the model.
    types = ",".join(f"{name}:{kind}" for name, kind in setting.types.items())
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [
            str(program), "-m", str(setting.onnx), "-d", "CPU", "-api", "async",
            "-hint", "none", "-nstreams", str(setting.streams),
            "-nthreads", str(setting.threads), "-nireq", str(setting.streams),
            "-infer_precision", "f32", "-shape", shapes, "-iop", types, *limit,
        ],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    count, duration = COUNT.search(done.stdout), DURATION.search(done.stdout)
    if count is None or duration is None:
        sys.exit(f"benchmark_app said no count:\n{done.stdout}\n{done.stderr}")
    return Taken(
        int(count[1]) * setting.batch_size,
        float(duration[1]) / 1e3,
        after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
    )


def theirs(setting: Setting, start: Taken) -> Taken:
    """Measure one window of benchmark_app, without the processor time of its start."""
    whole = app(setting, "-t", str(setting.seconds))
    loop_s = max(0.0, whole.cpu_s - start.cpu_s)
    # The few inferences of the start are in its time: taken off on both sides.
    share = max(0.0, whole.samples - start.samples) / whole.samples
    return whole._replace(cpu_s=loop_s / share if share else 0.0)


def ours(setting: Setting) -> Taken:
    """Measure one point of our own, as a user asks for it."""
    with tempfile.TemporaryDirectory() as folder:
        answers = Path(folder) / "answers.json"
        answers.write_text(json.dumps(_answers(setting)))
        done = subprocess.run(
            [
                sys.executable, "-m", "bytemlperf", "--tasks", setting.task,
                "--hardware_type", "OPENVINO",
                "--batch_sizes", str(setting.batch_size),
                "--clients", str(2 * setting.streams),
                "--point_seconds", str(setting.seconds),
                "--no_test_accuracy", "--no_test_numeric", "--answers", str(answers),
                "--out", folder, "--ui", "none",
            ],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        results = list(Path(folder).rglob("result.json"))
        points = json.loads(results[0].read_text())["points"] if results else []
        if not points:
            sys.exit(f"no point was measured:\n{done.stdout}\n{done.stderr}")
        point = points[0]
        wall_s = point["window_ns"] / 1e9
        return Taken(point["sample_count"], wall_s, wall_s * point["cpu_percent"] / 100)


def layers(setting: Setting, windows: int) -> None:
    """Print what lies between their loop and our run, in one process."""
    core = openvino.Core()
    model = core.read_model(setting.onnx)
    model.reshape(
        {name: openvino.PartialShape(s) for name, s in setting.shapes.items()}
    )
    compiled = core.compile_model(model, "CPU", setting.properties)
    requests = openvino.AsyncInferQueue(compiled, setting.streams)
    outputs = [port.get_any_name() for port in model.outputs]
    dtypes = {
        port.get_any_name(): np.dtype(port.get_element_type().to_dtype())
        for port in model.inputs
    }
    rng = np.random.default_rng(0)

    def draw(shape: list[int], dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
        floats = np.issubdtype(dtype, np.floating)
        return (rng.random(shape) if floats else np.ones(shape)).astype(dtype)

    feeds = {name: draw(s, dtypes[name]) for name, s in setting.shapes.items()}
    for request in requests:
        for name, array in feeds.items():
            request.set_tensor(name, openvino.Tensor(array, shared_memory=True))
    backend = BackendOPENVINO()
    backend.compile(
        {
            "workload": {"batch_sizes": [setting.batch_size]},
            "model_info": {
                "model": setting.task,
                "framework": "Onnx",
                "model_path": str(setting.onnx),
                "inputs": ",".join(setting.shapes),
                "outputs": ",".join(outputs),
                "input_shape": {n: [1, *s[1:]] for n, s in setting.shapes.items()},
                "input_type": ",".join(dtypes[n].name.upper() for n in setting.shapes),
            },
            "interact_info": _answers(setting),
        }
    )
    backend.load(setting.batch_size)
    samples = ArraySamples(
        {name: np.concatenate([array] * 8) for name, array in feeds.items()}
    )
    backend.predict(feeds)
    watch = Stopwatch()
    backend.predict(feeds)
    each_s = max(1, watch.window(1).wall_ns) / 1e9
    clients = 2 * setting.streams
    count = max(2, round(setting.seconds / each_s / clients)) * clients

    def their_loop() -> Window:
        watch = Stopwatch()
        for _ in range(count):
            requests.get_idle_request_id()
            requests.start_async()
        requests.wait_all()
        return watch.window(count)

    def our_predict() -> Window:
        def call() -> None:
            for _ in range(count // setting.streams):
                backend.predict(feeds)

        threads = [threading.Thread(target=call) for _ in range(setting.streams)]
        watch = Stopwatch()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return watch.window(count)

    def our_run() -> Window:
        recording = run_sync(
            backend.predict,
            samples,
            scenario=ClosedLoop(clients, count // clients, setting.batch_size),
            batching=Batching(
                max_batch=setting.batch_size, predict_threads=setting.streams
            ),
        )
        return Window(recording.query_count, recording.window_ns, recording.cpu_ns)

    calls = (their_loop, our_predict, our_run)
    figures = measure_in_turns(
        [Contender(*each) for each in zip(LAYERS, calls, strict=True)], windows
    )
    print("\n| in one process | ms a batch | ratio | range | quietest | by CPU |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for name in LAYERS:
        ratio = figures.ratio(name, LAYERS[0])
        each_ms = statistics.median(figures.ns_per_query(name)) / 1e6
        print(
            f"| {name} | {each_ms:.3f} | {ratio.median:.3f} | {ratio.low:.3f} to "
            f"{ratio.high:.3f} | {ratio.quietest:.3f} | {ratio.by_cpu:.3f} |"
        )


def _answers(setting: Setting) -> dict[str, Any]:
    return {
        "instance_count": setting.streams,
        "intra_op_threads": max(1, setting.threads // setting.streams),
        "precision": "f32",
    }


def read_setting(arguments: argparse.Namespace) -> Setting:
    """Find the model, and say what its inputs are."""
    onnx = arguments.onnx
    if onnx is None:
        cache = os.environ.get("BYTEMLPERF_CACHE") or platformdirs.user_cache_dir(
            "bytemlperf"
        )
        found = Path(cache).glob(f"models/{arguments.task}-*/model.onnx")
        onnx = max(found, key=lambda path: path.stat().st_mtime, default=None)
        if onnx is None:
            sys.exit(
                f"{arguments.task} is not in the cache: python -m bytemlperf prepare "
                f"--tasks {arguments.task}, or give --onnx"
            )
    inputs = openvino.Core().read_model(onnx).inputs
    return Setting(
        task=arguments.task,
        onnx=onnx,
        shapes={
            port.get_any_name(): [
                arguments.batch_size,
                *(size.get_length() for size in list(port.get_partial_shape())[1:]),
            ]
            for port in inputs
        },
        types={
            port.get_any_name(): port.get_element_type().get_type_name()
            for port in inputs
        },
        batch_size=arguments.batch_size,
        threads=arguments.threads,
        streams=arguments.streams,
        seconds=arguments.seconds,
    )


def compare(setting: Setting, rounds: int) -> tuple[list[float], list[float]]:
    """Measure both in turns; ratios ours / theirs of throughput and processor time."""
    start = app(setting, "-niter", str(SHORT_COUNT * setting.streams))
    rates, costs = [], []
    print("| round | benchmark_app, samples/s | ours | ratio | CPU, ours / its |")
    print("| ---: | ---: | ---: | ---: | ---: |")
    for index in range(rounds):
        # A B B A: neither is always the one that comes first.
        own = ours(setting) if index % 2 else None
        other = theirs(setting, start)
        own = own or ours(setting)
        rates.append((own.samples / own.wall_s) / (other.samples / other.wall_s))
        costs.append((own.cpu_s / own.samples) / (other.cpu_s / other.samples))
        print(
            f"| {index + 1} | {other.samples / other.wall_s:.2f} "
            f"| {own.samples / own.wall_s:.2f} | {rates[-1]:.3f} | {costs[-1]:.3f} |",
            flush=True,
        )
    return rates, costs


def main() -> int:
    """Measure both in turns and print the ratios.

    Returns
    -------
    int
        0 if the median ratio of throughputs is within the tolerance of 1, else 1.
    """
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--task", default="yolov5-onnx-fp32")
    parser.add_argument("--onnx", type=Path, help="its model (default: the cache's)")
    parser.add_argument("--batch_size", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--streams", type=int, default=1)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--tolerance", type=float, default=0.05)
    parser.add_argument("--layers", action="store_true", help="where it comes from")
    arguments = parser.parse_args()
    setting = read_setting(arguments)
    rates, costs = compare(setting, arguments.rounds)
    median = statistics.median(rates)
    print(
        f"\nthroughput, ours / benchmark_app: median {median:.3f}, from "
        f"{min(rates):.3f} to {max(rates):.3f}\n"
        f"processor time a sample: median {statistics.median(costs):.3f}, from "
        f"{min(costs):.3f} to {max(costs):.3f}; load average "
        f"{os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    )
    if arguments.layers:
        layers(setting, arguments.rounds)
    return 0 if abs(median - 1) <= arguments.tolerance else 1


if __name__ == "__main__":
    sys.exit(main())
