"""What our own part costs: a point's load, brought to a predict that does nothing."""

from __future__ import annotations

import msgspec

__all__ = ["OverheadReport"]


class OverheadReport(msgspec.Struct, frozen=True, kw_only=True):
    """The overhead certificate of a point; see docs/measurement.md.

    Percentiles that have too few queries are None.

    Parameters
    ----------
    query_count : int
        Queries of the replay.
    window_ns : int
        First scheduled to last done.
    per_query_ns : float
        Window over queries: what a query costs where they come one after the other. In
        an open loop it is the schedule's gap, and says nothing.
    cpu_per_query_ns : float
        Processor time over queries, without what the pacer spun.
    latency_p50_ns, latency_p99_ns : int or None
        Scheduled to done, of a predict that does nothing.
    lag_p50_ns, lag_p99_ns, lag_p999_ns : int or None
        Issued less scheduled.
    wakeup_p50_ns, wakeup_p99_ns, wakeup_p999_ns : int or None
        Observed less done; 0 where nobody waits.
    share : float or None
        Of the point's time a query: of its window over queries in a closed loop, of its
        median latency in an open one. None: there is no point.
    verdict : str
        ``"VALID"``, or ``"harness-limited"`` if `share` is above 0.1.
    """

    query_count: int
    window_ns: int
    per_query_ns: float
    cpu_per_query_ns: float
    latency_p50_ns: int | None
    latency_p99_ns: int | None
    lag_p50_ns: int | None
    lag_p99_ns: int | None
    lag_p999_ns: int | None
    wakeup_p50_ns: int | None
    wakeup_p99_ns: int | None
    wakeup_p999_ns: int | None
    share: float | None
    verdict: str
