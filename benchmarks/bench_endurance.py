"""Whether memory grows over a long run.

Measures
    Resident memory during one run of null queries, four times a second: its peak less
    what it was after the first second. By default the run takes about eight seconds,
    and the figure is scaled up to 100 million queries by a line through the readings;
    ``--queries 100000000`` runs them all (minutes, at a microsecond or so each).

Does not measure
    Memory of clients (``bench_memory``), leaks in frameworks.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np

from benchmarks.bench_memory import resident_bytes
from benchmarks.contenders import ours
from benchmarks.contenders.bare import null_predict
from benchmarks.contenders.loops import make_runner
from benchmarks.results import ScriptResult
from benchmarks.script import Settings, run_script
from benchmarks.windows import Spread
from bytemlperf.runtime import ArraySamples, Progress, Recording

_ALL = 100_000_000
_CLIENTS = 1000
_MIB = 1 << 20
_FEWEST_READINGS = 8


def _run(
    queries: int, on_progress: Callable[[Progress], object] | None = None
) -> Recording:
    with make_runner("uvloop") as runner:
        clients = min(_CLIENTS, queries)
        return runner.run(
            ours.record_run(
                null_predict,
                ArraySamples({"x": np.zeros((64, 1), np.float32)}),
                clients=clients,
                queries=queries // clients,
                max_batch=64,
                on_progress=on_progress,
            )
        )


def measure(settings: Settings, result: ScriptResult) -> None:
    """Run once, and look at its memory.

    Parameters
    ----------
    settings : Settings
        How much.
    result : ScriptResult
        Where to report.
    """
    result.windows = 1
    first = _run(settings.pick(20_000, 300_000, 300_000))
    ns_per_query = first.window_ns / first.query_count
    lasting = settings.pick(0.1, 8.0, 0.0)
    queries = settings.options.queries or round(lasting * 1e9 / ns_per_query) or _ALL
    seen: list[tuple[float, float]] = []
    begun = time.perf_counter()

    def look(_: object = None) -> None:
        seen.append((time.perf_counter() - begun, resident_bytes() / _MIB))

    recording = _run(queries, look)
    look()
    result.details["queries"] = recording.query_count
    result.details["seconds"] = recording.window_ns / 1e9
    result.details["ns a query"] = recording.window_ns / recording.query_count
    later = [each for each in seen if each[0] >= 1.0]
    if len(later) < _FEWEST_READINGS:
        result.excuse(
            "endurance/growth",
            "not measured",
            f"only {len(later)} readings after the first second",
        )
        return
    growth = max(size for _, size in later) - later[0][1]
    note = f"peak of {recording.query_count:,} queries less that after a second"
    if recording.query_count < _ALL:
        result.details["growth as measured, MiB"] = growth
        # The last reading holds the finished recording too, which is made only once.
        seconds, sizes = zip(*later[:-1], strict=True)
        slope = float(np.polyfit(seconds, sizes, 1)[0])
        whole = _ALL * recording.window_ns / recording.query_count / 1e9
        growth = max(growth, slope * whole)
        note = (
            f"scaled to {_ALL:,} from {recording.query_count:,} queries by a line "
            f"through {len(later) - 1} readings; --queries {_ALL} measures it"
        )
    result.judge("endurance/growth", Spread(growth, growth, growth), note)


def _add_own(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--queries", type=int, help="queries of the run")


if __name__ == "__main__":
    run_script(__file__, __doc__, measure, _add_own)
