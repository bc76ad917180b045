"""Is a point a measurement? Pure rules over its figures, each with its bound.

Input: a recording's figures. Output: reasons why not (empty: VALID) and warnings. The
rules are in docs/measurement.md, word for word what is written here.
"""

from __future__ import annotations

from bytemlperf.report.schema import Distribution

__all__ = ["MAX_HARNESS_SHARE", "harness_share", "invalid_reasons"]

# Our own part of the mean round trip above which a number says more about us than
# about the system under test.
MAX_HARNESS_SHARE = 0.10


def harness_share(
    latency: Distribution, schedule_lag: Distribution, wakeup: Distribution
) -> float:
    """Return our own share of the mean round trip.

    Parameters
    ----------
    latency, schedule_lag, wakeup : Distribution
        Of the same queries.

    Returns
    -------
    float
        ``(schedule_lag + wakeup) / (latency + wakeup)`` of the means, 0 to 1.
    """
    round_trip_ns = latency.mean_ns + wakeup.mean_ns
    if round_trip_ns <= 0:
        return 0.0
    return (schedule_lag.mean_ns + wakeup.mean_ns) / round_trip_ns


def invalid_reasons(
    *,
    latency: Distribution,
    schedule_lag: Distribution,
    wakeup: Distribution,
    query_count: int,
    failed_count: int,
    min_query_count: int,
    overflow_count: int,
    warm_up_error: str | None = None,
) -> list[str]:
    """Say why a point is not a valid measurement.

    Parameters
    ----------
    latency, schedule_lag, wakeup : Distribution
        Of the completed queries.
    query_count, failed_count : int
        Completed and failed queries.
    min_query_count : int
        Fewer completed queries are too few.
    overflow_count : int
        Durations beyond the histogram's range.
    warm_up_error : str or None
        What a query failed with before the window, which then stays empty.

    Returns
    -------
    list of str
        Empty means VALID.
    """
    reasons: list[str] = []
    if warm_up_error is not None:
        reasons.append(f"a query failed in the warm-up: {warm_up_error}")
    if failed_count:
        reasons.append(f"{failed_count} of {query_count + failed_count} queries failed")
    if query_count < min_query_count:
        reasons.append(f"too few queries: {query_count} of at least {min_query_count}")
    share = harness_share(latency, schedule_lag, wakeup)
    if share > MAX_HARNESS_SHARE:
        reasons.append(
            f"harness-limited: our own part is {share:.0%} of the round trip, "
            f"at most {MAX_HARNESS_SHARE:.0%}"
        )
    if overflow_count:
        reasons.append(f"{overflow_count} durations beyond 1 h were clamped")
    return reasons
