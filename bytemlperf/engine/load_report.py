"""A recording's load in the report's words, and what in it spoils a measurement.

Input: a recording. Output: a `LoadReport`, and reasons. Pure.
"""

from __future__ import annotations

import msgspec

from bytemlperf.engine.validity import MAX_HARNESS_SHARE
from bytemlperf.report.schema import Distribution, LoadReport
from bytemlperf.runtime import (
    Histogram,
    LoadRecording,
    OpenScenario,
    Recording,
    Scenario,
    Trace,
    scenario_name,
)

__all__ = ["load_reasons", "load_report", "reasons_of"]

# With fewer queries the p99 is the largest one, and a single late one would decide.
MIN_LAG_COUNT = 459


def load_report(
    recording: Recording, scenario: Scenario, lag: Distribution | None
) -> LoadReport:
    """Say how load was brought.

    Parameters
    ----------
    recording : Recording
        What was measured.
    scenario : Scenario
        What was asked for.
    lag : Distribution or None
        The recording's lag in the report's words; None in a closed loop.

    Returns
    -------
    LoadReport
        Complete.
    """
    window_s = recording.window_ns / 1e9
    report = LoadReport(
        scenario=scenario_name(scenario),
        samples_per_query=scenario.samples_per_query,
        is_open=isinstance(scenario, OpenScenario),
        order_seed=recording.seed,
        generator=recording.rng,
        achieved_qps=recording.query_count / window_s if window_s else 0.0,
    )
    load = recording.load
    if load is None:
        return report
    return msgspec.structs.replace(
        report,
        schedule_seed=load.schedule_seed,
        schedule_sha256=load.schedule_sha256,
        schedule_ns=load.schedule_ns,
        source=scenario.source if isinstance(scenario, Trace) else None,
        requested_qps=load.requested_qps,
        offered_qps=load.offered_qps,
        issued_qps=load.issued_qps,
        scheduled_count=load.scheduled_count,
        issued_count=load.issued_count,
        refused_count=load.refused_count,
        starved_count=load.starved_count,
        unissued_count=load.unissued_count,
        dropped_count=load.dropped_count,
        max_queued=load.max_queued,
        peak_in_flight=load.peak_in_flight,
        mean_backlogs=list(load.mean_backlogs),
        end_backlog=load.end_backlog,
        is_unstable=load.is_unstable,
        lag=lag,
        pacer_cpu_ns=load.pacer_cpu_ns,
        pacer_spun_ns=load.pacer_spun_ns,
        is_real_time=load.is_real_time,
    )


def load_reasons(recording: Recording, *, is_idle: bool = False) -> list[str]:
    """Say what in the load makes a point no measurement.

    Parameters
    ----------
    recording : Recording
        What was measured.
    is_idle : bool, default False
        Whether predict did nothing: then no lag is small against the latency.

    Returns
    -------
    list of str
        Empty if there is nothing; always so in a closed loop.
    """
    load = recording.load
    if load is None:
        return []
    return reasons_of(
        load,
        lag_p99_ns=_p99(load.lag),
        latency_p99_ns=_p99(recording.latency),
        is_idle=is_idle,
    )


def reasons_of(
    load: LoadRecording | LoadReport,
    *,
    lag_p99_ns: tuple[int, int],
    latency_p99_ns: tuple[int, int],
    is_idle: bool = False,
) -> list[str]:
    """Say what in an open loop makes a point no measurement.

    Parameters
    ----------
    load : LoadRecording or LoadReport
        How it was brought.
    lag_p99_ns, latency_p99_ns : (int, int)
        How many there are, and their p99.
    is_idle : bool, default False
        See `load_reasons`.

    Returns
    -------
    list of str
        Empty if there is nothing.
    """
    reasons: list[str] = []
    scheduled = f"{load.scheduled_count:,}"
    if load.refused_count:
        reasons.append(
            f"queue overflow: {load.refused_count:,} of {scheduled} queries found the "
            f"queue of {load.max_queued:,} full and were not issued"
        )
    if load.dropped_count:
        reasons.append(
            f"dropped: {load.dropped_count:,} of {scheduled} queries were still queued "
            "when draining ended"
        )
    if load.is_unstable:
        quarters = ", ".join(f"{mean:,.4g}" for mean in load.mean_backlogs or ())
        reasons.append(
            "unstable: more came than was served; queries waiting, mean of each "
            f"quarter of the schedule: {quarters}; {load.end_backlog:,} at its end"
        )
    if load.starved_count:
        reasons.append(
            f"harness-limited: {load.starved_count:,} of {scheduled} queries were not "
            "issued because answers were not taken in soon enough"
        )
    lag, latency = (
        p99 if count >= MIN_LAG_COUNT else 0
        for count, p99 in (lag_p99_ns, latency_p99_ns)
    )
    if load.schedule_ns and not is_idle and lag > MAX_HARNESS_SHARE * latency:
        reasons.append(
            f"harness-limited: the p99 of the schedule lag is {lag / 1e3:,.4g} us, "
            f"over {MAX_HARNESS_SHARE:.0%} of the latency's, {latency / 1e3:,.4g} us"
        )
    return reasons


def _p99(histogram: Histogram) -> tuple[int, int]:
    count = histogram.count
    return count, histogram.percentile(99) if count else 0
