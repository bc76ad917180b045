"""What a query costs with a million coroutine clients, against a thousand.

Measures
    A query of our full-task clients through a predict thread, null predict, in batches
    of up to 64, with 1,000 and with 1,000,000 clients in turns. With more clients than
    the processor's caches hold, every resume is a cache miss; this says how much it is.

Does not measure
    Making a million tasks, which is outside the window, and their memory
    (``bench_memory``). With few queries each, the opening of the gate, one callback of
    the loop for each client, weighs on the million: that is in their figure.
"""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial

from benchmarks.contenders import ours
from benchmarks.results import ScriptResult
from benchmarks.script import Settings, enter_ours, run_script
from benchmarks.windows import measure_in_turns

_BATCH = 64


def measure(settings: Settings, result: ScriptResult) -> None:
    """Measure both populations in turns.

    Parameters
    ----------
    settings : Settings
        How much.
    result : ScriptResult
        Where to report.
    """
    few, many = settings.pick((10, 1000), (1000, 1_000_000), (1000, 1_000_000))
    each = settings.pick(2, 3, 10)
    total = settings.pick(1000, 1_000_000, 5_000_000)
    kinds: tuple[ours.ClientKind, ...] = ("task", "bare")
    for kind in kinds:
        with ExitStack() as stack:
            pair = [
                enter_ours(
                    stack,
                    partial(
                        ours.threaded_clients,
                        "uvloop",
                        clients=clients,
                        max_batch=_BATCH,
                        queries=queries,
                        kind=kind,
                    ),
                    {},
                )
                for clients, queries in ((few, total // few), (many, each))
            ]
            built = [contender for contender in pair if contender is not None]
            if len(built) < len(pair):
                continue
            # No warm-up: each window makes its clients anew, and that is most of it.
            figures = measure_in_turns(built, settings.windows, warm_up=False)
        result.add_costs(figures)
        small, large = built
        # A million clients take more processor time to make than to serve.
        ratio = figures.ratio(large.name, small.name, is_cpu_comparable=False)
        result.details[f"{large.name} against {few:,}, x"] = ratio.median
        if kind == "task":
            note = f"task clients through a predict thread, {many:,} against {few:,}"
            result.judge("population/million", ratio, note)


if __name__ == "__main__":
    run_script(__file__, __doc__, measure)
