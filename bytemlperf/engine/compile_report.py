"""What is known of a compilation, in the report's words.

Input: a `Compiled` model and what loading it took. Output: a `CompileReport`. Pure, but
for the sizes of files.
"""

from __future__ import annotations

from typing import Any

from bytemlperf.engine.compilation import Compiled, peak_rss_bytes
from bytemlperf.engine.coverage import segment_reports
from bytemlperf.report.schema import CompileReport, CoverageReport

__all__ = ["compile_report"]


def compile_report(
    compiled: Compiled,
    *,
    load_ns: int,
    first_predict_ns: int,
    coverage: CoverageReport | None = None,
) -> CompileReport:
    """Put what is known of a compilation into the report's words.

    Parameters
    ----------
    compiled : Compiled
        The compilation.
    load_ns, first_predict_ns : int
        Durations of the first `load` and of the first `predict`; 0: neither was done,
        because the compilation cannot be run.
    coverage : CoverageReport or None
        What was counted.

    Returns
    -------
    CompileReport
        For the result file.
    """
    result = compiled.result
    segments = segment_reports(result)
    sizes = [
        artefact.bytes
        for artefact in {
            artefact.name: artefact
            for segment in segments
            for artefact in segment.artefacts
        }.values()
        if artefact.bytes is not None
    ]
    return CompileReport(
        status=result.compile_status,
        precision=result.compile_precision,
        sg_percent=result.sg_percent,
        duration_ns=compiled.duration_ns,
        load_ns=load_ns,
        first_predict_ns=first_predict_ns,
        peak_rss_bytes=peak_rss_bytes(),
        pre_optimized=compiled.pre_optimized is not None,
        tuned=compiled.tuned,
        segment_count=len(result.segments),
        fallback_count=sum(segment.is_fallback for segment in result.segments),
        instance_count=result.instance_count,
        device_count=result.device_count,
        max_batch_size=result.max_batch_size,
        optimizations=_plain(result.optimizations),
        result=_plain(compiled.raw),
        coverage=coverage,
        segments=segments,
        artefact_bytes=sum(sizes) if sizes else None,
        compile_peak_rss_bytes=compiled.peak_rss_bytes,
        compile_rss_before_bytes=compiled.rss_before_bytes,
        pre_optimize_check=compiled.pre_optimized,
        segmented=compiled.is_segmented,
        first_compile_ns=compiled.first_compile_ns,
        chained_by_framework=compiled.is_chained,
        own_batch_sizes=(
            list(compiled.batch_sizes) if compiled.has_own_batch_sizes else None
        ),
    )


def _plain(value: Any) -> Any:
    """Return `value` with whatever JSON cannot say as its repr."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return repr(value)
