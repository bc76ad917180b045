"""What the harness takes from a real model: throughput and duty of the predict thread.

Measures
    A perceptron of about 150 us a call on one thread of ONNX Runtime, at batch 1, 8 and
    32, with many clients; and a convolution over samples of 600 KB at batch 32. Clients
    are what a run has by itself, native ones in a lane; coroutine clients through the
    hand-over stand beside them in thorough windows. Throughput stands against a bare
    loop that feeds fresh samples in random order and measures nothing; duty is the
    share of the predict thread's time that is spent inside the model, as a share of the
    bare loop's own.

Does not measure
    Latency under load, several predict threads, other frameworks. The second processor
    runs the event loop: where others use it too, the model pays for that here and not
    in the bare loop.
"""

from __future__ import annotations

import asyncio
import importlib.util
import statistics
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from benchmarks.contenders import ours
from benchmarks.contenders.loops import make_runner
from benchmarks.contenders.models import (
    BareLoop,
    TimedModel,
    image_model,
    perceptron,
)
from benchmarks.results import ScriptResult
from benchmarks.script import Settings, run_script
from benchmarks.windows import (
    Contender,
    Spread,
    Window,
    measure_in_turns,
    spread_of,
)
from bytemlperf.runtime import ArraySamples, Recording

_SEED = 11
_WANTED = ("onnx", "onnxruntime")


class _Case(NamedTuple):
    name: str
    bar: str
    batch: int
    calls: int
    clients: int


class _Pair:
    """The bare loop and ours over one model and one batch size."""

    def __init__(
        self,
        model: TimedModel,
        data: npt.NDArray[np.float32],
        samples: ArraySamples,
        case: _Case,
        runner: asyncio.Runner,
    ) -> None:
        self._model = model
        self._bare = BareLoop(model, data, case.batch)
        self._samples = samples
        self._case = case
        self._runner = runner
        self.duties: dict[str, list[float]] = {"bare": [], "ours": []}
        self.recordings: list[Recording] = []

    def measure_bare(self) -> Window:
        window = self._bare.measure(self._case.calls)
        self.duties["bare"].append(self._model.duty)
        return window

    def measure_ours(self, kind: ours.ClientKind = "native") -> Window:
        self._model.reset()
        case = self._case
        recording = self._runner.run(
            ours.record_run(
                self._model,
                self._samples,
                clients=case.clients,
                queries=max(1, case.calls * case.batch // case.clients),
                max_batch=case.batch,
                kind=kind,
            )
        )
        if kind == "native":
            self.duties["ours"].append(self._model.duty)
            self.recordings.append(recording)
        return Window(recording.query_count, recording.window_ns, recording.cpu_ns)

    def duty_share(self, windows: int) -> Spread:
        """Ours as a share of the bare loop's, round by round; warm-ups left out."""
        pairs = zip(self.duties["ours"], self.duties["bare"], strict=True)
        return spread_of([mine / theirs for mine, theirs in pairs][-windows:])


def measure(settings: Settings, result: ScriptResult) -> None:
    """Measure both models at all batch sizes.

    Parameters
    ----------
    settings : Settings
        How much.
    result : ScriptResult
        Where to report.
    """
    bars = ["model/duty", "model/batch1", "model/batch8", "model/batch32",
            "model/images"]  # fmt: skip
    absent = [name for name in _WANTED if importlib.util.find_spec(name) is None]
    if absent:
        for bar in bars:
            result.excuse(bar, "not measured", f"not installed: {', '.join(absent)}")
        return
    calls = settings.pick((8, 4, 2, 1), (3000, 1000, 250, 32), (9000, 4000, 1000, 160))
    many = settings.pick(8, 1000, 1000)
    generator = np.random.Generator(np.random.PCG64(_SEED))
    vectors = generator.standard_normal((4096, 256)).astype(np.float32)
    shape = (settings.pick(40, 256, 256), 3, 224, 224)
    images = generator.random(shape, dtype=np.float32)
    with make_runner("uvloop") as runner:
        for model, data, cases in (
            (
                TimedModel(perceptron()),
                vectors,
                [
                    _Case("perceptron", "model/batch1", 1, calls[0], many),
                    _Case("perceptron", "model/batch8", 8, calls[1], many),
                    _Case("perceptron", "model/batch32", 32, calls[2], many),
                ],
            ),
            (
                TimedModel(image_model()),
                images,
                [_Case("images", "model/images", 32, calls[3], 128)],
            ),
        ):
            samples = ArraySamples({"x": data})
            # Loaded once and kept: loading again costs nothing while it is loaded.
            samples.load(range(samples.count))
            for case in cases:
                _measure_case(
                    settings, result, case, _Pair(model, data, samples, case, runner)
                )
            samples.unload(range(samples.count))


def _measure_case(
    settings: Settings, result: ScriptResult, case: _Case, pair: _Pair
) -> None:
    bare = f"{case.name}, batch {case.batch}, bare loop"
    mine = f"{case.name}, batch {case.batch}, ours"
    contenders = [
        Contender(bare, pair.measure_bare),
        Contender(mine, pair.measure_ours),
    ]
    tasks = f"{mine}, task clients"
    if settings.scale == "thorough":
        contenders.append(Contender(tasks, lambda: pair.measure_ours("task")))
    figures = measure_in_turns(contenders, settings.windows)
    result.add_costs(figures)
    if figures.has(tasks):
        result.details[f"{tasks}, throughput, x"] = figures.ratio(bare, tasks).median
    result.judge(
        case.bar,
        figures.ratio(bare, mine),
        f"{case.clients} native clients in a lane",
    )
    result.details[f"{mine}, throughput by CPU time, x"] = figures.ratio(
        bare, mine, "cpu"
    ).median
    duty = pair.duty_share(settings.windows)
    if case.batch == 1:
        result.judge("model/duty", duty)
    result.details[f"{mine}, duty as a share of the bare loop's"] = duty.median
    result.details[f"{bare}, duty"] = statistics.median(pair.duties["bare"])
    gathers = [each.gather.percentile(50) / 1e3 for each in pair.recordings]
    result.details[f"{mine}, gather p50, us"] = statistics.median(gathers)


if __name__ == "__main__":
    run_script(__file__, __doc__, measure)
