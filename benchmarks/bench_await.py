"""What it costs to await an answer, predict and all else on one thread.

Measures
    A query of a closed loop of N coroutine clients with all the semantics of asyncio
    tasks: issue, batch of 64, a null predict, resume. Ours also stamps and records
    every query; against it stand an asyncio.Future and a stock task for each query,
    resolved in batches, on asyncio and on uvloop, without any recording.

Does not measure
    Hand-overs between threads (``bench_threads``), a model, memory. The window leaves
    the making of the tasks out on both sides.
"""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial

from benchmarks.contenders import bare, futures, ours
from benchmarks.contenders.loops import LoopName
from benchmarks.results import ScriptResult
from benchmarks.script import Settings, enter_ours, run_script
from benchmarks.windows import Contender, Spread, measure_in_turns

_LOOPS: tuple[LoopName, ...] = ("uvloop", "asyncio")
_BATCH = 64


def measure(settings: Settings, result: ScriptResult) -> None:
    """Measure all sizes, and judge the worst of them.

    Parameters
    ----------
    settings : Settings
        How much.
    result : ScriptResult
        Where to report.
    """
    sizes = settings.pick([64], [64, 1000, 100_000], [64, 1000, 10_000, 100_000])
    floor = settings.pick(2000, 200_000, 1_000_000)
    worst: dict[str, tuple[Spread, int]] = {}
    missing: dict[str, str] = {}
    for clients in sizes:
        queries = max(4, floor // clients)
        with ExitStack() as stack:
            contenders: list[Contender] = [bare.predict_loop(floor)]
            contenders[0] = contenders[0]._replace(name=f"bare loop, beside {clients}")
            built: dict[str, str] = {}
            for loop in _LOOPS:
                contenders += [
                    stack.enter_context(
                        futures.inline_futures(
                            loop,
                            clients=clients,
                            max_batch=_BATCH,
                            queries=queries,
                            records=records,
                        )
                    )
                    for records in (False, True)
                ]
                mine = enter_ours(
                    stack,
                    partial(
                        ours.inline_task_clients,
                        loop,
                        clients=clients,
                        max_batch=_BATCH,
                        queries=queries,
                    ),
                    missing,
                    f"await/{loop}",
                )
                if mine is not None:
                    contenders.append(mine)
                    built[loop] = mine.name
            figures = measure_in_turns(contenders, settings.windows)
        result.add_costs(figures)
        bare_name = contenders[0].name
        for loop in _LOOPS:
            stock = f"futures {loop} {clients}"
            result.details[f"{stock}, bare loops"] = figures.ratio(
                stock, bare_name
            ).median
            if loop not in built:
                continue
            for other in (stock, f"{stock}, recorded"):
                result.details[f"{built[loop]} against {other}, x"] = figures.ratio(
                    other, built[loop]
                ).median
            against = figures.ratio(stock, built[loop])
            if loop not in worst or against.median < worst[loop][0].median:
                worst[loop] = (against, clients)
    for loop in _LOOPS:
        bar = f"await/{loop}"
        if loop in worst:
            spread, clients = worst[loop]
            result.judge(bar, spread, f"the worst of N = {sizes} is N = {clients}")
        else:
            result.excuse(bar, "not built", missing[bar])


if __name__ == "__main__":
    run_script(__file__, __doc__, measure)
