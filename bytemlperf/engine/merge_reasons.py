"""Reasons of several processes' points -> reasons of the whole. Pure.

Input: the shares of a point, and the whole's figures. Output: why it is no measurement.
What a rule says of figures is judged again, on the sums; what a process saw for itself
(a failed warm-up, an input that was written to, a certificate that condemns) no sum can
take back, and is kept under the name of the part.
"""

from __future__ import annotations

from collections.abc import Sequence

from bytemlperf.engine.merge_load import merged_load_reasons
from bytemlperf.engine.validity import TOO_FEW, invalid_reasons
from bytemlperf.report.schema import Point, RunStatistics

__all__ = ["merged_reasons"]


def merged_reasons(
    whole: Point,
    points: Sequence[Point],
    names: Sequence[str],
    *,
    min_queries: int,
    statistics: RunStatistics | None,
) -> list[str]:
    """Say why a point put together is no measurement.

    Parameters
    ----------
    whole : Point
        With the sums of all parts.
    points : sequence of Point
        The parts.
    names : sequence of str
        What each part is called, as many.
    min_queries : int
        Fewer completed queries of the whole are too few.
    statistics : RunStatistics or None
        Of the whole; None: its steadiness is not to be judged.

    Returns
    -------
    list of str
        First of the whole, then of the parts; empty means VALID.
    """
    return [
        *_of_figures(whole, min_queries, statistics),
        *(
            f"{name}: {reason}"
            for point, name in zip(points, names, strict=True)
            for reason in _own(point)
        ),
    ]


def _own(point: Point) -> list[str]:
    """Return the reasons that do not follow from the figures.

    One that is not word for word what the rules say of them is kept: a result of
    another version may stay INVALID for what the sums would have cleared, never become
    VALID for what they cannot clear.
    """
    judged_again = set(_of_figures(point, 0, point.statistics))
    # How many were asked of it is not in the point.
    too_few = f"{TOO_FEW}: {point.query_count} of "
    return [
        reason
        for reason in point.invalid_reasons
        if reason not in judged_again and not reason.startswith(too_few)
    ]


def _of_figures(
    point: Point, min_queries: int, statistics: RunStatistics | None
) -> list[str]:
    """Apply the rules that need nothing but a point's figures."""
    return merged_load_reasons(point.load, point.latency) + invalid_reasons(
        latency=point.latency,
        schedule_lag=point.schedule_lag,
        wakeup=point.wakeup,
        query_count=point.query_count,
        failed_count=point.failed_count,
        min_query_count=min_queries,
        overflow_count=sum(
            each.overflow_count
            for each in (
                point.latency,
                point.schedule_lag,
                point.queue_wait,
                point.gather,
                point.service,
                point.wakeup,
            )
        ),
        statistics=statistics,
    )
