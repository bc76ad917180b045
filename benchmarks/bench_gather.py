"""How fast samples are gathered into a batch, against a plain copy.

Measures
    The time that a run of ours recorded between forming a batch and calling predict
    (p50), for 32 samples of 600 KB in random order, as bytes a second; beside it
    numpy copying as much from one place, and numpy's own ways to gather. And the same
    for batches of one sample, which are views and copy nothing.

Does not measure
    Reading samples from disk, several predict threads.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from benchmarks.contenders import ours
from benchmarks.contenders.bare import null_predict
from benchmarks.contenders.loops import make_runner
from benchmarks.results import ScriptResult
from benchmarks.script import Settings, run_script
from benchmarks.windows import Contender, Window, measure_in_turns
from bytemlperf.runtime import ArraySamples

_SEED = 3


def measure(settings: Settings, result: ScriptResult) -> None:
    """Measure all ways in turns.

    Parameters
    ----------
    settings : Settings
        How much.
    result : ScriptResult
        Where to report.
    """
    batch = settings.pick(4, 32, 32)
    batches = settings.pick(3, 20, 100)
    generator = np.random.Generator(np.random.PCG64(_SEED))
    data = generator.random((settings.pick(16, 256, 256), 3, 224, 224), np.float32)
    buffer = np.empty((batch, *data.shape[1:]), data.dtype)
    gigabytes = buffer.nbytes / 1e9
    samples = ArraySamples({"x": data})
    samples.load(range(samples.count))
    gathers: list[int] = []
    views: list[int] = []

    def median_of(copy: Callable[[npt.NDArray[np.int64]], object]) -> Window:
        # The median of single copies, as ours is: a mean would be that of a busy
        # machine's interruptions.
        taken_ns = []
        for _ in range(batches):
            rows = generator.integers(0, len(data), batch)
            begun_ns = time.perf_counter_ns()
            copy(rows)
            taken_ns.append(time.perf_counter_ns() - begun_ns)
        p50_ns = round(statistics.median(taken_ns))
        return Window(1, p50_ns, p50_ns)

    def copy_place(rows: npt.NDArray[np.int64]) -> None:
        first = int(rows[0]) % (len(data) - batch + 1)
        np.copyto(buffer, data[first : first + batch])

    def take(rows: npt.NDArray[np.int64]) -> None:
        np.take(data, rows, axis=0, out=buffer, mode="clip")

    def stack(rows: npt.NDArray[np.int64]) -> None:
        np.stack([data[row] for row in rows])

    with make_runner("uvloop") as runner:

        def run_of(size: int, kept: list[int]) -> Window:
            recording = runner.run(
                ours.record_run(
                    null_predict,
                    samples,
                    clients=4 * size,
                    queries=max(1, batches // 4),
                    max_batch=size,
                )
            )
            p50_ns = recording.gather.percentile(50)
            kept.append(p50_ns)
            return Window(1, p50_ns, p50_ns)

        figures = measure_in_turns(
            [
                Contender("ours, gathered batch", lambda: run_of(batch, gathers)),
                Contender("ours, one sample (view)", lambda: run_of(1, views)),
                Contender("np.copyto, one place", lambda: median_of(copy_place)),
                Contender("np.take into a buffer", lambda: median_of(take)),
                Contender("np.stack", lambda: median_of(stack)),
            ],
            settings.windows,
        )
    samples.unload(range(samples.count))
    result.add_costs(figures)
    for name, cost in result.costs.items():
        if "view" not in name:
            result.details[f"{name}, GB/s"] = gigabytes / (cost.wall_ns.median / 1e9)
    result.details["view against gathered batch, x"] = figures.ratio(
        "ours, gathered batch", "ours, one sample (view)"
    ).median


if __name__ == "__main__":
    run_script(__file__, __doc__, measure)
