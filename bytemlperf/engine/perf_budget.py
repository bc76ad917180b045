"""What a task's points may take together, and which of them would not fit any more.

Input: a limit, what was spent, and predicted durations. Output: skipped points that say
what they would have taken. Never a point that is cut short.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from bytemlperf.engine.loading import pilot_count
from bytemlperf.engine.point_load import batching_for, expected_seconds, scenario_for
from bytemlperf.engine.point_plan import PointPlan, warm_up_seconds
from bytemlperf.report.schema import SkippedPoint
from bytemlperf.runtime import ClosedLoop
from bytemlperf.runtime.clock import now_ns

__all__ = ["PerfBudget", "predicted_point_seconds"]


class PerfBudget:
    """Wall time for loading, warming up and measuring a task's points.

    Parameters
    ----------
    limit_seconds : float or None
        > 0; None: no limit.
    spent_seconds : float
        What earlier workers of the task have spent of it.

    Notes
    -----
    Thread-safety: one thread.
    """

    def __init__(self, limit_seconds: float | None, spent_seconds: float = 0.0) -> None:
        self._limit_seconds = limit_seconds
        self._spent_seconds = spent_seconds

    @contextmanager
    def spending(self) -> Iterator[None]:
        """Count the time of a block.

        Yields
        ------
        None
            While it is counted, however the block ends.
        """
        start_ns = now_ns()
        try:
            yield
        finally:
            self._spent_seconds += (now_ns() - start_ns) / 1e9

    def skipped(
        self, batch_size: int, batch_ns: int, needed_seconds: float
    ) -> SkippedPoint | None:
        """Say whether a point does not fit into what is left.

        Parameters
        ----------
        batch_size : int
            Of the point.
        batch_ns : int
            Predicted duration of a batch.
        needed_seconds : float
            Predicted duration of the point, loading and warming up included.

        Returns
        -------
        SkippedPoint or None
            None: measure it.
        """
        if self._limit_seconds is None:
            return None
        left = max(0.0, self._limit_seconds - self._spent_seconds)
        if needed_seconds <= left:
            return None
        return SkippedPoint(
            batch_size=batch_size,
            reason=(
                f"it would take about {needed_seconds:.0f} s, and {left:.0f} s are "
                f"left of perf_seconds = {self._limit_seconds:g}"
            ),
            predicted_batch_ns=batch_ns,
        )


def predicted_point_seconds(
    plan: PointPlan, batch_size: int, batch_ns: int, *, predict_threads: int
) -> float:
    """Predict how long a point takes from loading it to its last answer.

    Parameters
    ----------
    plan : PointPlan
        How it is loaded.
    batch_size : int
        Of the point.
    batch_ns : int
        Predicted duration of a batch.
    predict_threads : int
        Threads that call predict at once, unless the plan says otherwise.

    Returns
    -------
    float
        s. `Backend.load` itself is taken for nothing: it is not known before.
    """
    batch_seconds = batch_ns / 1e9
    batching = batching_for(plan.load, batch_size, predict_threads=predict_threads)
    scenario = scenario_for(
        plan.load,
        batch_size,
        clients=plan.clients,
        iterations=plan.iterations,
        seconds=plan.point_seconds,
        batch_ns=batch_ns,
        predict_threads=batching.predict_threads,
    )
    query_seconds = batch_seconds * scenario.samples_per_query / batch_size
    window = expected_seconds(
        scenario, seconds=plan.point_seconds, query_ns=query_seconds * 1e9
    )
    # When time is up, the other clients' queries are still answered.
    others = scenario.clients - 1 if isinstance(scenario, ClosedLoop) else 0
    return (
        pilot_count(batch_ns) * batch_seconds
        + max(batch_seconds, warm_up_seconds(plan))
        + window
        + min(others, plan.iterations) * query_seconds / batching.predict_threads
    )
