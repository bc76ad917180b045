"""What a query costs through a predict thread, against what asyncio programs write.

Measures
    A query of a closed loop of N >= 1,000 coroutine clients through one predict thread
    with a null predict in Python, in batches of up to 64. The bars are about clients
    that are full asyncio tasks; bare coroutine clients stand beside them. Ours is a
    complete run: six stamps and six histograms for every query. Against it, on the same
    event loop: a Future for each query resolved batch by batch, an asyncio.Queue with a
    batcher, run_in_executor and anyio.to_thread for each query, and threads as clients.
    These keep no books at all; Futures that are stamped and recorded are beside them.

Does not measure
    Latency, few clients (``bench_single``), a real model (``bench_model``).
"""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial

from benchmarks.contenders import bare, executors, futures, ours
from benchmarks.contenders.loops import LoopName
from benchmarks.results import ScriptResult
from benchmarks.script import Settings, enter_ours, run_script
from benchmarks.windows import Contender, Figures, Spread, measure_in_turns

_BATCH = 64
_WAKES: tuple[futures.Wakes, ...] = ("coalesced", "every batch")


def _measure_loop(
    settings: Settings,
    loop: LoopName,
    clients: int,
    stack: ExitStack,
    *,
    is_first: bool,
) -> Figures:
    many = settings.pick(2, 150_000 // clients, 1_000_000 // clients) or 1
    # A contender that is a hundred times slower gets fewer queries, not more time.
    few = settings.pick(1, 8000 // clients, 40_000 // clients) or 1
    fewest = settings.pick(1, 2000 // clients, 20_000 // clients) or 1
    enter = stack.enter_context
    contenders: list[Contender] = [
        enter(
            ours.threaded_clients(loop, clients=clients, max_batch=_BATCH, queries=many)
        ),
        enter(
            futures.threaded_futures(
                loop, clients=clients, max_batch=_BATCH, queries=many
            )
        ),
        enter(
            executors.queue_and_batcher(
                loop, clients=clients, max_batch=_BATCH, queries=max(1, many // 2)
            )
        ),
        enter(executors.executor_per_request(loop, clients=clients, queries=few)),
        bare.predict_loop(many * clients)._replace(
            name=f"bare loop, beside {loop} {clients}"
        ),
    ]
    lean = enter_ours(
        stack,
        partial(
            ours.threaded_clients,
            loop,
            clients=clients,
            max_batch=_BATCH,
            queries=many,
            kind="bare",
        ),
        {},
    )
    if lean is not None:
        contenders.append(lean)
    if is_first:
        contenders += [
            enter(
                futures.threaded_futures(
                    loop,
                    clients=clients,
                    max_batch=_BATCH,
                    queries=many,
                    wakes=wakes,
                    records=True,
                )
            )
            for wakes in _WAKES
        ]
        # Slowest by far, and no bar is set against them: once on each loop is enough.
        contenders.append(
            enter(executors.anyio_to_thread(loop, clients=clients, queries=fewest))
        )
        if loop == "uvloop":
            contenders.append(enter(bare.client_threads(64, settings.pick(2, 50, 200))))
    return measure_in_turns(contenders, settings.windows)


def measure(settings: Settings, result: ScriptResult) -> None:
    """Measure both loops, and judge the worst size on uvloop.

    Parameters
    ----------
    settings : Settings
        How much.
    result : ScriptResult
        Where to report.
    """
    sizes = settings.pick([100], [1000, 10_000], [1000, 10_000, 100_000])
    worst: dict[str, tuple[Spread, int]] = {}
    loops: tuple[LoopName, ...] = ("uvloop", "asyncio")
    for loop in loops:
        for clients in sizes if loop == "uvloop" else sizes[:1]:
            with ExitStack() as stack:
                figures = _measure_loop(
                    settings, loop, clients, stack, is_first=clients == sizes[0]
                )
            result.add_costs(figures)
            mine = f"ours, task clients {loop} {clients}"
            for bar, other in {
                "threads/futures": "threaded futures",
                "threads/queue": "asyncio.Queue",
                "threads/executor": "run_in_executor",
            }.items():
                against = figures.ratio(f"{other} {loop} {clients}", mine)
                result.details[f"{mine} against {other}, x"] = against.median
                if loop == "uvloop" and (
                    bar not in worst or against.median < worst[bar][0].median
                ):
                    worst[bar] = (against, clients)
            for other in figures.windows:
                if other.startswith("threaded futures") and other.endswith("recorded"):
                    result.details[f"{mine} against {other}, x"] = figures.ratio(
                        other, mine
                    ).median
            result.details[f"{mine}, bare loops"] = figures.ratio(
                mine, f"bare loop, beside {loop} {clients}"
            ).median
    for bar, (spread, clients) in worst.items():
        result.judge(
            bar, spread, f"both on uvloop; the worst of N = {sizes} is {clients}"
        )


if __name__ == "__main__":
    run_script(__file__, __doc__, measure)
