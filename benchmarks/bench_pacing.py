"""How punctually queries are issued at given moments.

Measures
    The distance, early or late, between the moment an arrival was scheduled for and the
    moment it was issued, for Poisson arrivals drawn beforehand: our native pacer (as
    `run` uses it, under SCHED_FIFO where the kernel grants that, and without) and our
    coroutine pacing, against ``call_at`` and a chain of sleeps on asyncio and uvloop, a
    sleeping thread, and LoadGen's Server scenario (its median latency with a system
    that answers at once, which is its error and a few microseconds). Bars compare
    medians.

Does not measure
    Tails as ours: on a virtual machine the p99 belongs to its host; it is printed.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from benchmarks.contenders import loadgen, ours, pacers
from benchmarks.contenders.loops import LoopName
from benchmarks.contenders.pacers import Moments
from benchmarks.results import ScriptResult
from benchmarks.script import Settings, run_script
from benchmarks.windows import spread_of

_Issue = Callable[[Moments], Moments]
_AGAINST = "call_at asyncio"
_SEED = 5
# What the clock can tell apart: an error of 0 would make any ratio infinite.
_RESOLUTION_NS = 1.0


def _issuers() -> dict[str, _Issue]:
    def on(
        pace: Callable[[LoopName, Moments], Moments], loop: LoopName
    ) -> Callable[[Moments], Moments]:
        return lambda moments: pace(loop, moments)

    return {
        _AGAINST: on(pacers.call_at_each, "asyncio"),
        "call_at uvloop": on(pacers.call_at_each, "uvloop"),
        "sleep chain asyncio": on(pacers.sleep_chain, "asyncio"),
        "sleep chain uvloop": on(pacers.sleep_chain, "uvloop"),
        "sleeping thread": pacers.thread_sleeps,
        "ours, native": lambda moments: ours.native_pacing(moments, real_time=True),
        "ours, native, no SCHED_FIFO": lambda moments: ours.native_pacing(
            moments, real_time=False
        ),
        "ours, coroutine": on(ours.paced_coroutines, "uvloop"),
    }


def measure(settings: Settings, result: ScriptResult) -> None:
    """Measure all issuers at both rates, in turns.

    Parameters
    ----------
    settings : Settings
        How much.
    result : ScriptResult
        Where to report.
    """
    seconds = settings.pick(0.02, 0.4, 2.0)
    for rate in settings.pick([1000], [1000, 10_000], [1000, 10_000, 100_000]):
        _measure_rate(settings, result, rate, max(10, round(rate * seconds)))


def _measure_rate(
    settings: Settings, result: ScriptResult, rate: int, arrivals: int
) -> None:
    issuers = _issuers()
    medians: dict[str, list[float]] = {name: [] for name in issuers}
    tails: dict[str, list[float]] = {name: [] for name in issuers}
    not_built: dict[str, str] = {}
    theirs: list[float] = []
    for turn in range(settings.windows):
        moments = pacers.poisson(rate, arrivals, _SEED + turn)
        for name, issue in issuers.items():
            if name in not_built:
                continue
            try:
                errors = np.abs(issue(moments))
            except ours.NotBuiltError as error:
                not_built[name] = str(error)
                continue
            medians[name].append(max(float(np.median(errors)), _RESOLUTION_NS))
            tails[name].append(float(np.percentile(errors, 99)))
        if loadgen.is_installed():
            theirs.append(loadgen.server_latency_ns(rate, arrivals))
    for name in issuers:
        if name in not_built:
            continue
        result.details[f"{name}, {rate:,}/s, p50, us"] = (
            spread_of(medians[name]).median / 1e3
        )
        result.details[f"{name}, {rate:,}/s, p99, us"] = (
            spread_of(tails[name]).median / 1e3
        )
    if theirs:
        result.details[f"LoadGen Server, {rate:,}/s, p50 latency, us"] = (
            spread_of(theirs).median / 1e3
        )
    for kind in ("native", "coroutine"):
        name, bar = f"ours, {kind}", f"pacing/{kind}-{rate}"
        if rate > 10_000:
            continue
        if name in not_built:
            result.excuse(bar, "not built", not_built[name])
            continue
        pairs = zip(medians[_AGAINST], medians[name], strict=True)
        ratio = spread_of([theirs / mine for theirs, mine in pairs])
        result.judge(
            bar, ratio, "p50 of the absolute error, against call_at on asyncio"
        )


if __name__ == "__main__":
    run_script(__file__, __doc__, measure)
