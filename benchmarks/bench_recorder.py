"""What it costs to record a latency, and whether the bytes are the package's own.

Measures
    Recording values between 1 us and 1 s natively and by ``record_value`` of the
    hdrhistogram package, on one thread, by CPU time; and, for several layouts of
    values, whether the V2 compressed bytes of both are identical.

Does not measure
    Reading percentiles, merging, encoding speed. The native figure is for values that
    are already in native code, as they are in a run; beside it stands what the same
    costs as a method called from Python.
"""

from __future__ import annotations

import numpy as np
from hdrh.histogram import HdrHistogram

from benchmarks.results import ScriptResult
from benchmarks.script import Settings, run_script
from benchmarks.windows import (
    Contender,
    Spread,
    Stopwatch,
    Window,
    measure_in_turns,
    spread_of,
)
from bytemlperf._native.recorder import (
    HIGHEST_TRACKABLE_NS,
    LOWEST_NS,
    SIGNIFICANT_DIGITS,
    Recorder,
)
from bytemlperf.runtime import Histogram

_SEED = 20_240


def _values(count: int) -> np.ndarray:
    generator = np.random.Generator(np.random.PCG64(_SEED))
    return np.exp(generator.uniform(np.log(1e3), np.log(1e9), count)).astype(np.int64)


def _theirs() -> HdrHistogram:
    return HdrHistogram(LOWEST_NS, HIGHEST_TRACKABLE_NS, SIGNIFICANT_DIGITS)


def _are_bytes_identical(values: np.ndarray) -> bool:
    theirs = _theirs()
    for value in values.tolist():
        theirs.record_value(value)
    expected: str = theirs.encode().decode("ascii")
    return Histogram.from_values(values).encode() == expected


def measure(settings: Settings, result: ScriptResult) -> None:
    """Measure both recorders in turns, and compare their bytes.

    Parameters
    ----------
    settings : Settings
        How much.
    result : ScriptResult
        Where to report.
    """
    values = _values(settings.pick(2000, 2_000_000, 10_000_000))
    few = values[: settings.pick(200, 50_000, 200_000)].tolist()

    def native() -> Window:
        recorder = Recorder()
        recorder.record_many(values[:1000])
        stopwatch = Stopwatch()
        recorder.record_many(values)
        return stopwatch.window(len(values))

    def from_python() -> Window:
        record = Recorder().record
        stopwatch = Stopwatch()
        for value in few:
            record(value)
        return stopwatch.window(len(few))

    def package() -> Window:
        record = _theirs().record_value
        stopwatch = Stopwatch()
        for value in few:
            record(value)
        return stopwatch.window(len(few))

    contenders = [
        Contender("native recorder", native),
        Contender("native recorder, called from Python", from_python),
        Contender("hdrhistogram record_value", package),
    ]
    figures = measure_in_turns(contenders, settings.windows)
    result.add_costs(figures)
    package_name = "hdrhistogram record_value"
    speed = figures.ratio(package_name, "native recorder", "cpu")
    result.judge("recorder/speed", speed, "by CPU time, on one thread")
    result.details["called from Python, x"] = figures.ratio(
        package_name, "native recorder, called from Python", "cpu"
    ).median

    count = settings.pick(200, 20_000, 100_000)
    layouts = [
        _values(count),
        np.arange(1, count, dtype=np.int64),
        np.full(count, 150_000, np.int64),
        np.geomspace(1, HIGHEST_TRACKABLE_NS, count).astype(np.int64),
        np.array([1], np.int64),
    ]
    identical = [float(_are_bytes_identical(layout)) for layout in layouts]
    result.judge(
        "recorder/bytes",
        Spread(min(identical), *_range(identical)),
        f"{len(layouts)} layouts of values, compressed and base64",
    )


def _range(values: list[float]) -> tuple[float, float]:
    spread = spread_of(values)
    return spread.low, spread.high


if __name__ == "__main__":
    run_script(__file__, __doc__, measure)
