"""Is a point a measurement? Pure rules over its figures, each with its bound.

Input: a recording's figures. Output: reasons why not (empty: VALID) and warnings. The
rules are in docs/measurement.md, word for word what is written here.
"""

from __future__ import annotations

from bytemlperf.report.schema import Distribution, RunStatistics
from bytemlperf.statistics.steadiness import DRIFT_SHARE, UNSTABLE_SHARE, Drift

__all__ = [
    "MAX_HARNESS_SHARE",
    "TOO_FEW",
    "harness_share",
    "invalid_reasons",
    "unsteady_warning",
]

# Our own part of the mean round trip above which a number says more about us than
# about the system under test.
MAX_HARNESS_SHARE = 0.10
# How the reason begins by which the sums of several processes may find enough.
TOO_FEW = "too few queries"


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
    statistics: RunStatistics | None = None,
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
    statistics : RunStatistics or None
        Of the completed queries.

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
        reasons.append(f"{TOO_FEW}: {query_count} of at least {min_query_count}")
    share = harness_share(latency, schedule_lag, wakeup)
    if share > MAX_HARNESS_SHARE:
        reasons.append(
            f"harness-limited: our own part is {share:.0%} of the round trip, "
            f"at most {MAX_HARNESS_SHARE:.0%}"
        )
    if statistics is not None and statistics.steadiness.verdict == "unstable":
        reasons.append(
            f"unstable: over the window {_drifts(statistics, UNSTABLE_SHARE)}; there "
            "is no long-run mean"
        )
    if overflow_count:
        reasons.append(f"{overflow_count} durations beyond 1 h were clamped")
    return reasons


def unsteady_warning(statistics: RunStatistics | None) -> str | None:
    """Say that a point drifted, or began unlike the rest of it.

    Parameters
    ----------
    statistics : RunStatistics or None
        Of its completed queries.

    Returns
    -------
    str or None
        None if it was steady, as far as can be known, or is invalid for it.
    """
    if statistics is None:
        return None
    steadiness = statistics.steadiness
    if steadiness.verdict == "drifting":
        return (
            f"not steady: over the window {_drifts(statistics, DRIFT_SHARE)} "
            "(99 % interval); run longer, or on a quieter machine"
        )
    if steadiness.verdict == "steady" and steadiness.transient_ns:
        return (
            f"the first {steadiness.transient_ns / 1e9:.2g} s of the window are unlike "
            "the rest and move the mean latency by over 5 %"
        )
    return None


def _drifts(statistics: RunStatistics, share: float) -> str:
    """Name the figures that surely changed by more than a share."""
    named: list[tuple[str, Drift | None]] = [
        ("throughput", statistics.steadiness.throughput),
        ("mean latency", statistics.steadiness.latency),
    ]
    return " and ".join(
        f"{name} changed by {drift.value:+.0%} [{drift.low:+.0%}, {drift.high:+.0%}]"
        for name, drift in named
        if drift is not None and drift.is_beyond(share)
    )
