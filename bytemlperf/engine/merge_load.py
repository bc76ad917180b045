"""How several processes brought one load -> how it was brought. Pure.

Input: the load reports of shares of one schedule. Output: one `LoadReport` of all.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from bytemlperf.engine.load_report import reasons_of
from bytemlperf.engine.merge_distributions import merge_distributions
from bytemlperf.report.schema import Distribution, LoadReport, Point

__all__ = ["merge_load", "merged_load_reasons"]

_COUNTS = (
    "scheduled_count", "issued_count", "refused_count", "starved_count",
    "unissued_count", "dropped_count", "max_queued", "peak_in_flight", "end_backlog",
    "pacer_cpu_ns", "pacer_spun_ns",
)  # fmt: skip
_RATES = ("requested_qps", "offered_qps", "issued_qps")


def merge_load(points: Sequence[Point], achieved_qps: float) -> LoadReport | None:
    """Add the shares of a load.

    Parameters
    ----------
    points : sequence of Point
        One for each process, at least one.
    achieved_qps : float
        Queries of all over the whole window.

    Returns
    -------
    LoadReport or None
        Counts, rates and backlogs are sums (`peak_in_flight` is then a bound: the
        processes need not have had theirs at one moment), `lag` is of all rows, and
        `schedule_sha256` that of the whole schedule. None if there are none.
    """
    loads = [point.load for point in points if point.load is not None]
    if not loads:
        return None
    first = loads[0]
    changes: dict[str, object] = {"achieved_qps": achieved_qps}
    if first.is_open:
        for name in (*_COUNTS, *_RATES):
            found = [getattr(load, name) for load in loads]
            changes[name] = None if None in found else sum(found)
        backlogs = [load.mean_backlogs or [] for load in loads]
        if len({len(each) for each in backlogs}) == 1:
            changes["mean_backlogs"] = [
                sum(quarter) for quarter in zip(*backlogs, strict=True)
            ]
        changes["is_unstable"] = any(load.is_unstable for load in loads)
        changes["is_real_time"] = all(load.is_real_time for load in loads)
        lags = [load.lag for load in loads if load.lag is not None]
        changes["lag"] = merge_distributions(lags) if lags else None
    return msgspec.structs.replace(first, **changes)


def merged_load_reasons(load: LoadReport | None, latency: Distribution) -> list[str]:
    """Say what in a merged load makes the point no measurement.

    Parameters
    ----------
    load : LoadReport or None
        Of all processes.
    latency : Distribution
        Of all queries.

    Returns
    -------
    list of str
        The same rules as for one process.
    """
    if load is None or not load.is_open:
        return []
    lag = load.lag
    return reasons_of(
        load,
        lag_p99_ns=(lag.count, lag.p99_ns) if lag else (0, 0),
        latency_p99_ns=(latency.count, latency.p99_ns),
    )
