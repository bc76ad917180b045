"""What a query costs, against MLCommons LoadGen through its Python bindings.

Measures
    Samples of LoadGen's Offline scenario in four patterns (a completion for each
    sample, one completion for all, the FastSUT interface, worker threads behind a
    queue.Queue in batches of 64) beside our coroutine clients through a predict thread,
    in batches of 64, and our native clients. All call a null predict once a batch;
    LoadGen's figures are those it reports itself, its preparations left out.

Does not measure
    LoadGen's C++ interface, one client at a time (``bench_single``), pacing
    (``bench_pacing``).
"""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial

from benchmarks.contenders import bare, loadgen, ours
from benchmarks.results import ScriptResult
from benchmarks.script import Settings, enter_ours, run_script
from benchmarks.windows import Contender, measure_in_turns

_BATCH = 64
_CLIENTS = 1000
_PATTERNS = ("LoadGen Offline, each", "LoadGen Offline, once", "LoadGen Offline, fast")


def measure(settings: Settings, result: ScriptResult) -> None:
    """Measure all patterns in turns, and judge against the best of them.

    Parameters
    ----------
    settings : Settings
        How much.
    result : ScriptResult
        Where to report.
    """
    samples = settings.pick(2000, 200_000, 1_000_000)
    queries = max(1, samples // _CLIENTS)
    missing: dict[str, str] = {}
    with ExitStack() as stack:
        mine = stack.enter_context(
            ours.threaded_clients(
                "uvloop", clients=_CLIENTS, max_batch=_BATCH, queries=queries
            )
        )
        contenders: list[Contender] = [bare.predict_loop(samples), mine]
        lean = enter_ours(
            stack,
            partial(
                ours.threaded_clients,
                "uvloop",
                clients=_CLIENTS,
                max_batch=_BATCH,
                queries=queries,
                kind="bare",
            ),
            missing,
        )
        if lean is not None:
            contenders.append(lean)
        native = enter_ours(
            stack,
            partial(
                ours.threaded_clients,
                "uvloop",
                clients=_CLIENTS,
                max_batch=_BATCH,
                queries=queries,
                kind="native",
            ),
            missing,
            "native/loadgen",
            "native/bare",
        )
        if native is not None:
            contenders.append(native)
        if loadgen.is_installed():
            enter = stack.enter_context
            contenders += [
                enter(loadgen.offline_each(samples)),
                enter(loadgen.offline_once(samples, _BATCH)),
                enter(loadgen.offline_fast(samples, _BATCH)),
                enter(loadgen.offline_queue(samples, _BATCH, copies_answers=True)),
                enter(loadgen.offline_queue(samples, _BATCH, copies_answers=False)),
            ]
        figures = measure_in_turns(contenders, settings.windows)
    result.add_costs(figures)
    result.details["ours, task clients, bare loops"] = figures.ratio(
        mine.name, "bare predict loop"
    ).median

    if not loadgen.is_installed():
        for bar in ("loadgen/best", "loadgen/queue", "native/loadgen"):
            missing.pop(bar, None)
            result.excuse(bar, "not measured", loadgen.LOADGEN_ABSENT)
    else:
        best = min(_PATTERNS, key=lambda name: result.costs[name].wall_ns.median)
        for pattern in (*_PATTERNS, "LoadGen Offline, queue, no answers"):
            result.details[f"ours, task clients, against {pattern}, x"] = figures.ratio(
                pattern, mine.name
            ).median
        if lean is not None:
            result.details[f"ours, bare clients, against {best}, x"] = figures.ratio(
                best, lean.name
            ).median
        result.judge(
            "loadgen/best",
            figures.ratio(best, mine.name, is_cpu_comparable=False),
            f"the best pattern here is {best!r}; ours has {_CLIENTS} task clients",
        )
        result.judge(
            "loadgen/queue",
            figures.ratio("LoadGen Offline, queue", mine.name, is_cpu_comparable=False),
            f"ours has {_CLIENTS} task clients",
        )
        if native is not None:
            result.judge(
                "native/loadgen",
                figures.ratio(best, native.name, is_cpu_comparable=False),
                f"the best pattern here is {best!r}",
            )
    if native is not None:
        result.judge("native/bare", figures.ratio(native.name, "bare predict loop"))
    for bar, why in missing.items():
        result.excuse(bar, "not built", why)


if __name__ == "__main__":
    run_script(__file__, __doc__, measure)
