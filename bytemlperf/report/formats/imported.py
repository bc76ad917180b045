"""Results of which only a part is known: what another tool published.

Input: the part that is known. Output: structs whose other figures are empty, so that
nothing is shown for them.
"""

from __future__ import annotations

from typing import Any

from bytemlperf.report.schema import (
    SCHEMA_VERSION,
    AccuracyReport,
    Distribution,
    ImportedFrom,
    NumericReport,
    Point,
    TaskResult,
    WarmUpReport,
)

__all__ = ["NOTHING", "bare_point", "bare_result"]

NOTHING = Distribution(0, 0, 0, 0.0, 0, 0, 0, 0, 0, "")


def bare_point(
    *,
    batch_size: int,
    clients: int,
    samples_per_s: float,
    latency: Distribution = NOTHING,
    query_count: int = 0,
    window_ns: int = 0,
    invalid_reasons: list[str] | None = None,
    warnings: list[str] | None = None,
) -> Point:
    """Make a point of which little is known.

    Parameters
    ----------
    batch_size, clients : int
        Samples per query, and queries in flight; 0 clients: open loop.
    samples_per_s : float
        As published.
    latency : Distribution
        As published; without a histogram.
    query_count : int
        0: not known.
    window_ns : int
        0: not known.
    invalid_reasons, warnings : list of str, optional
        As the other tool gives them.

    Returns
    -------
    Point
        Unknown counts and durations are 0.
    """
    return Point(
        batch_size=batch_size,
        clients=clients,
        iterations=0,
        point_seconds=None,
        max_batch=batch_size,
        max_delay_us=0,
        predict_threads=0,
        query_count=query_count,
        sample_count=query_count * batch_size,
        failed_count=0,
        ended_by="",
        window_ns=window_ns,
        throughput_samples_per_s=samples_per_s,
        throughput_queries_per_s=samples_per_s / batch_size,
        latency=latency,
        schedule_lag=NOTHING,
        queue_wait=NOTHING,
        gather=NOTHING,
        service=NOTHING,
        wakeup=NOTHING,
        mean_batch_samples=0.0,
        batch_sample_counts={},
        view_count=0,
        gather_count=0,
        peak_queued=0,
        cpu_percent=0.0,
        peak_rss_bytes=0,
        voluntary_switches=0,
        involuntary_switches=0,
        load_ns=0,
        loaded_batch_size=batch_size,
        event_loop="",
        warm_up=WarmUpReport(0, 0, False, NOTHING),
        invalid_reasons=invalid_reasons or [],
        warnings=warnings or [],
    )


def bare_result(
    *,
    task: str,
    hardware_type: str,
    backend_version: str | None,
    points: list[Point],
    accuracy: AccuracyReport,
    numeric: NumericReport,
    published: dict[str, Any],
    imported_from: ImportedFrom,
) -> TaskResult:
    """Make a result of which little is known.

    Parameters
    ----------
    task, hardware_type, backend_version : str
        As published.
    points : list of Point
        From `bare_point`.
    accuracy, numeric : AccuracyReport, NumericReport
        As published.
    published : dict
        All that the other tool said, kept as it is.
    imported_from : ImportedFrom
        Who measured.

    Returns
    -------
    TaskResult
        Without provenance.
    """
    return TaskResult(
        schema_version=SCHEMA_VERSION,
        task=task,
        hardware_type=hardware_type,
        backend_version=backend_version,
        status="invalid" if any(each.invalid_reasons for each in points) else "ok",
        workload={},
        model=None,
        dataset=None,
        compile=None,
        accuracy=accuracy,
        numeric=numeric,
        points=points,
        skipped=[],
        failures=[],
        warnings=list(imported_from.notes),
        vendor_benchmark=published,
        provenance=None,
        log_file=None,
        duration_seconds=0.0,
        imported_from=imported_from,
    )
