"""The overhead certificate: a point's own load on a predict that does nothing.

Input: the load and the samples of a point. Output: what we cost. It is measured beside
the point, on the same machine in the same state, and never inside its window.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np

from bytemlperf.engine.load_report import load_reasons
from bytemlperf.engine.validity import MAX_HARNESS_SHARE
from bytemlperf.errors import InvalidRunError
from bytemlperf.report.percentiles import min_count
from bytemlperf.report.schema import OverheadReport, Point
from bytemlperf.runtime import (
    Affinity,
    Batching,
    Histogram,
    Limits,
    Offline,
    OpenScenario,
    Recording,
    SampleLibrary,
    Scenario,
    Trace,
    WarmUp,
    run_sync,
)

__all__ = ["certify", "overhead_reasons", "replay", "with_certificate"]

REPLAY_SECONDS = 0.3
# Of a load so slow that hardly anything is due in that time.
LONG_REPLAY_SECONDS = 1.0
MIN_REPLAYED_QUERIES = 50
# What a replay takes of the samples; their number is not what it is about.
MAX_SAMPLE_BYTES = 16 * 2**20
MAX_OFFLINE_QUERIES = 20_000


def replay(
    scenario: Scenario,
    batching: Batching,
    samples: SampleLibrary,
    *,
    seed: int = 0,
    schedule_seed: int = 0,
    seconds: float = REPLAY_SECONDS,
    affinity: Affinity = Affinity(),
) -> OverheadReport | None:
    """Bring a load to a predict that does nothing, for a short while.

    Parameters
    ----------
    scenario : Scenario
        The load; of a schedule the beginning is replayed, moment for moment.
    batching : Batching
        As in the point.
    samples : SampleLibrary
        The point's.
    seed, schedule_seed : int
        As in the point.
    seconds : float
        How long.
    affinity : Affinity
        As in the point.

    Returns
    -------
    OverheadReport or None
        Without a share. None: nothing was due in that time.

    Raises
    ------
    InvalidRunError
        The load is more than the harness can bring even to a predict like this.
    """
    if isinstance(scenario, Offline):
        scenario = msgspec.structs.replace(
            scenario, queries=min(scenario.queries, MAX_OFFLINE_QUERIES)
        )
    sample_bytes = sum(
        np.dtype(spec.dtype).itemsize
        * int(np.prod([size for size in spec.shape if isinstance(size, int)]))
        for spec in samples.spec
    )
    count = max(scenario.samples_per_query, MAX_SAMPLE_BYTES // max(1, sample_bytes))
    recording = run_sync(
        _do_nothing,
        samples,
        scenario=_beginning(scenario, seconds),
        batching=batching,
        seed=seed,
        schedule_seed=schedule_seed,
        limits=Limits(max_seconds=seconds, drain_seconds=1.0),
        warm_up=WarmUp(max_seconds=0.02),
        indices=range(min(count, samples.count)),
        affinity=affinity,
    )
    reasons = load_reasons(recording, is_idle=True)
    if reasons:
        raise InvalidRunError("; ".join(reasons))
    if not recording.query_count:
        return None
    return _report(recording)


def certify(report: OverheadReport, point: Point) -> OverheadReport:
    """Put what we cost in proportion to what was measured.

    Parameters
    ----------
    report : OverheadReport
        Of a replay.
    point : Point
        Of the same load.

    Returns
    -------
    OverheadReport
        With its share and verdict.
    """
    if not point.query_count or not point.window_ns:
        return report
    if point.load is not None and point.load.is_open:
        if report.latency_p50_ns is None or not point.latency.p50_ns:
            return report
        share = report.latency_p50_ns / point.latency.p50_ns
    else:
        share = report.per_query_ns / (point.window_ns / point.query_count)
    return msgspec.structs.replace(
        report,
        share=share,
        verdict="harness-limited" if share > MAX_HARNESS_SHARE else "VALID",
    )


def overhead_reasons(report: OverheadReport | None) -> list[str]:
    """Say whether a certificate makes a point no measurement.

    Parameters
    ----------
    report : OverheadReport or None
        Of the point.

    Returns
    -------
    list of str
        At most one reason.
    """
    if report is None or report.share is None or report.verdict == "VALID":
        return []
    reason = (
        f"harness-limited: the same load on a predict that does nothing takes "
        f"{report.share:.0%} of the point's time a query, at most "
        f"{MAX_HARNESS_SHARE:.0%}"
    )
    return [reason]


def with_certificate(
    point: Point,
    scenario: Scenario,
    batching: Batching,
    samples: SampleLibrary,
    *,
    schedule_seed: int,
    affinity: Affinity = Affinity(),
) -> Point:
    """Replay a point's load, and judge the point by it.

    Parameters
    ----------
    point : Point
        As measured.
    scenario : Scenario
        Its load.
    batching : Batching
        Its batching.
    samples : SampleLibrary
        Its samples.
    schedule_seed : int
        Of its moments.
    affinity : Affinity
        Where its threads were held.

    Returns
    -------
    Point
        With its certificate, and a reason more if that condemns it.
    """
    due = point.query_count / max(point.window_ns, 1) * 1e9 * REPLAY_SECONDS
    is_slow = isinstance(scenario, OpenScenario) and due < MIN_REPLAYED_QUERIES
    try:
        report = replay(
            scenario,
            batching,
            samples,
            seed=point.load.order_seed if point.load else 0,
            schedule_seed=schedule_seed,
            seconds=LONG_REPLAY_SECONDS if is_slow else REPLAY_SECONDS,
            affinity=affinity,
        )
    except InvalidRunError as error:
        return _replaced(
            point,
            None,
            "harness-limited: the same load cannot even be brought to a predict that "
            f"does nothing: {error.message}",
        )
    if report is None:
        return point
    report = certify(report, point)
    return _replaced(point, report, *overhead_reasons(report))


def _replaced(point: Point, report: OverheadReport | None, *reasons: str) -> Point:
    return msgspec.structs.replace(
        point,
        overhead=report,
        invalid_reasons=[*point.invalid_reasons, *reasons],
    )


_NO_OUTPUTS: dict[str, Any] = {}


def _do_nothing(feeds: Mapping[str, Any]) -> Mapping[str, Any]:
    return _NO_OUTPUTS


def _beginning(scenario: Scenario, seconds: float) -> Scenario:
    """Cut a trace, which may hold millions of arrivals; `Limits` cut all others."""
    if not isinstance(scenario, Trace):
        return scenario
    kept = int(np.searchsorted(scenario.due_ns, seconds * 1e9, side="right"))
    return Trace(
        due_ns=scenario.due_ns[:kept],
        sizes=None if scenario.sizes is None else scenario.sizes[:kept],
        source=scenario.source,
    )


def _report(recording: Recording) -> OverheadReport:
    spun_ns = recording.load.pacer_spun_ns if recording.load else 0
    lag = recording.load.lag if recording.load else recording.schedule_lag
    return OverheadReport(
        query_count=recording.query_count,
        window_ns=recording.window_ns,
        per_query_ns=recording.window_ns / recording.query_count,
        cpu_per_query_ns=max(0, recording.cpu_ns - spun_ns) / recording.query_count,
        latency_p50_ns=_percentile(recording.latency, 50),
        latency_p99_ns=_percentile(recording.latency, 99),
        lag_p50_ns=_percentile(lag, 50),
        lag_p99_ns=_percentile(lag, 99),
        lag_p999_ns=_percentile(lag, 99.9),
        wakeup_p50_ns=_percentile(recording.wakeup, 50),
        wakeup_p99_ns=_percentile(recording.wakeup, 99),
        wakeup_p999_ns=_percentile(recording.wakeup, 99.9),
        share=None,
        verdict="VALID",
    )


def _percentile(histogram: Histogram, percentile: float) -> int | None:
    if histogram.count < min_count(percentile):
        return None
    return histogram.percentile(percentile)
