"""How a model was compiled."""

from __future__ import annotations

from typing import Any

import msgspec

from bytemlperf.report.schema.coverage import CoverageReport, SegmentReport

__all__ = ["CompileReport"]


class CompileReport(msgspec.Struct, frozen=True):
    """How the model was compiled; `result` is what the backend returned.

    Parameters
    ----------
    status, precision, sg_percent, optimizations, result
        As the backend claims.
    duration_ns : int
        Of `Backend.compile` alone, of the last one if it tuned.
    load_ns, first_predict_ns : int
        Of the first `load` and the first `predict`; 0: the compilation cannot be run.
    peak_rss_bytes : int
        Highest resident memory of the worker after the first predictions.
    pre_optimized, segmented, tuned : bool
        Whether the backend changed the configs in those calls.
    segment_count, fallback_count : int
        Segments, and those that run on the CPU in their source format.
    coverage : CoverageReport or None
        What the framework counted; None if it cannot be counted.
    segments : list of SegmentReport
        In order of execution.
    artefact_bytes : int or None
        Compiled products on disk; None if there are none.
    compile_peak_rss_bytes, compile_rss_before_bytes : int or None
        Highest resident memory of the worker when compile was done, and what it had
        when compile began; processes that a compiler starts are not in it.
    pre_optimize_check : str or None
        What became of the model that `pre_optimize` changed.
    first_compile_ns : int or None
        Of the compilation before tuning.
    chained_by_framework : bool
        Whether the framework ran segment after segment, and not the backend.
    own_batch_sizes : list of int or None
        What the backend wants measured instead of the workload's.
    """

    status: str
    precision: str
    sg_percent: float
    duration_ns: int
    load_ns: int
    first_predict_ns: int
    peak_rss_bytes: int
    pre_optimized: bool
    tuned: bool
    segment_count: int
    fallback_count: int
    instance_count: int
    device_count: int
    max_batch_size: int
    optimizations: dict[str, Any]
    result: dict[str, Any]
    coverage: CoverageReport | None = None
    segments: list[SegmentReport] = []
    artefact_bytes: int | None = None
    compile_peak_rss_bytes: int | None = None
    compile_rss_before_bytes: int | None = None
    pre_optimize_check: str | None = None
    segmented: bool = False
    first_compile_ns: int | None = None
    chained_by_framework: bool = False
    own_batch_sizes: list[int] | None = None
