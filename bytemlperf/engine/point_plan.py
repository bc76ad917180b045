"""How a point is loaded, how long it may take, and when it is not worth starting.

Input: the workload's figures and a predicted duration. Output: bounds. Pure.
"""

from __future__ import annotations

import msgspec

from bytemlperf.report.schema import SkippedPoint
from bytemlperf.runtime import Affinity, WarmUp
from bytemlperf.statistics.slo import Slo
from bytemlperf.statistics.summary import DEFAULT_PERCENTILES
from bytemlperf.workloads import Load

__all__ = [
    "MAX_POINT_OVERRUN",
    "MIN_QUERIES",
    "PointPlan",
    "predicted_skip",
    "warm_up_for",
    "warm_up_seconds",
]

# A point's smallest query count: below it not even a median has a confidence interval
# (docs/measurement.md), and the point's time limit yields to it.
MIN_QUERIES = 7
# A batch size is skipped if its smallest query count would outlast the point's time
# limit this many times over.
MAX_POINT_OVERRUN = 8.0
MAX_WARM_UP_SECONDS = 5.0
# A model is slow if so few batches fit into its warm-up.
SLOW_BATCHES = 8


class PointPlan(msgspec.Struct, frozen=True):
    """How a point is loaded.

    Parameters
    ----------
    clients, iterations : int
        Of the workload.
    point_seconds : float or None
        Time limit of the measured window; None: iterations alone end it.
    seed : int
        Of the sample order.
    timeline_dir : str or None
        Folder for the rows, if they are kept.
    load : Load
        How load arrives.
    percentiles : tuple of float
        Of the latency, in percent, whose intervals are computed.
    slos : tuple of Slo
        Objectives to judge.
    affinity : Affinity
        Where threads are held.
    cpus : tuple of int
        Processors that the process may use; empty: as the thread that measures.
    share : (int, int)
        Which of how many processes share an open loop's schedule.
    """

    clients: int
    iterations: int
    point_seconds: float | None
    seed: int
    timeline_dir: str | None
    load: Load = Load()
    percentiles: tuple[float, ...] = DEFAULT_PERCENTILES
    slos: tuple[Slo, ...] = ()
    affinity: Affinity = Affinity()
    cpus: tuple[int, ...] = ()
    share: tuple[int, int] = (0, 1)


def predicted_skip(
    batch_size: int, batch_ns: int, point_seconds: float | None
) -> SkippedPoint | None:
    """Say whether a batch size would outlast its time limit several times over.

    Parameters
    ----------
    batch_size : int
        Samples per query.
    batch_ns : int
        Predicted or piloted duration of one query.
    point_seconds : float or None
        Time limit of the measured window; without one nothing is skipped.

    Returns
    -------
    SkippedPoint or None
        None: measure it.
    """
    least_seconds = MIN_QUERIES * batch_ns / 1e9
    if point_seconds is None or least_seconds <= MAX_POINT_OVERRUN * point_seconds:
        return None
    return SkippedPoint(
        batch_size=batch_size,
        reason=(
            f"{MIN_QUERIES} batches would take about {least_seconds:.0f} s, over "
            f"{MAX_POINT_OVERRUN:g} x point_seconds = {point_seconds:g}"
        ),
        predicted_batch_ns=batch_ns,
    )


def warm_up_seconds(plan: PointPlan) -> float:
    """Return the warm-up's time limit: half the window's, at most 5 s."""
    if plan.point_seconds is None:
        return MAX_WARM_UP_SECONDS
    return min(MAX_WARM_UP_SECONDS, plan.point_seconds / 2)


def warm_up_for(max_seconds: float, batch_ns: int) -> WarmUp:
    """Return a warm-up that ends in time, and can settle in it, at this speed."""
    standard = WarmUp()
    batches = int(max_seconds * 1e9 / max(1, batch_ns))
    return WarmUp(
        max_seconds=max_seconds,
        # Clients of a slow model would each issue once before time is looked at again.
        max_queries=max(1, batches) if batches < SLOW_BATCHES else None,
        settle_batches=max(
            1, min(standard.settle_batches, batches // (standard.settle_windows + 1))
        ),
    )
