"""A compilation in words: what was claimed, what was counted, and what it took.

Input: a `CompileReport`. Output: lines for a terminal. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator

from bytemlperf.report.schema import CompileReport, SegmentReport
from bytemlperf.report.units import format_bytes, format_duration_ns

__all__ = ["compile_details", "compile_summary"]

MAX_KINDS_SHOWN = 8
MAX_SEGMENTS_SHOWN = 12


def compile_summary(compiled: CompileReport) -> str:
    """Say the most important of a compilation in one line.

    Parameters
    ----------
    compiled : CompileReport
        Of a task.

    Returns
    -------
    str
        Status, precision, coverage and durations.
    """
    fallback = (
        f" ({compiled.fallback_count} of {compiled.segment_count} segments fall back)"
        if compiled.fallback_count
        else ""
    )
    coverage = compiled.coverage
    covered = (
        f"{compiled.sg_percent:g} % of operators as claimed"
        if coverage is None
        else f"{_percent(coverage.percent)} of {coverage.op_count} operators"
    )
    loaded = (
        f"; load {format_duration_ns(compiled.load_ns)}, first answer "
        f"{format_duration_ns(compiled.first_predict_ns)}"
        if compiled.first_predict_ns
        else "; not loaded"
    )
    return (
        f"{compiled.status}, {compiled.precision}, {covered}{fallback}, "
        f"{format_duration_ns(compiled.duration_ns)}{loaded}"
    )


def compile_details(
    compiled: CompileReport, *, is_complete: bool
) -> Iterator[tuple[str, str]]:
    """Say the rest of a compilation, as far as it is out of the ordinary.

    Parameters
    ----------
    compiled : CompileReport
        Of a task.
    is_complete : bool
        Whether the ordinary is to be said too, as for ``--compile_only``.

    Yields
    ------
    (str, str)
        What it is about, and the line.
    """
    coverage = compiled.coverage
    if coverage is None and is_complete:
        yield "coverage", f"{compiled.sg_percent:g} % as claimed; nobody can count it"
    if coverage is not None and (is_complete or coverage.fallback_ops):
        yield "coverage", _coverage(compiled)
    if compiled.segment_count > 1 or is_complete:
        by_whom = "the framework" if compiled.chained_by_framework else "the backend"
        yield "segments", f"{compiled.segment_count}, run by {by_whom}"
        for segment in compiled.segments[:MAX_SEGMENTS_SHOWN]:
            yield "", _segment(segment)
        left = len(compiled.segments) - MAX_SEGMENTS_SHOWN
        if left > 0:
            yield "", f"and {left} more, in the result file"
    if is_complete:
        yield "compiler", _cost(compiled)
        yield (
            "runs",
            (
                f"{compiled.instance_count} predict calls at once on "
                f"{compiled.device_count} devices, at most batch size "
                f"{compiled.max_batch_size}"
            ),
        )
        options = ", ".join(
            f"{key} {value}" for key, value in compiled.optimizations.items() if value
        )
        if options:
            yield "options", options
    if compiled.pre_optimize_check is not None:
        yield "model", f"pre-optimised; {compiled.pre_optimize_check}"
    if compiled.first_compile_ns is not None:
        yield (
            "tuning",
            (
                "compiled again after a first run; the first compilation took "
                f"{format_duration_ns(compiled.first_compile_ns)}"
            ),
        )
    if compiled.own_batch_sizes is not None:
        yield (
            "batches",
            (
                f"the backend's own batch sizes "
                f"{', '.join(map(str, compiled.own_batch_sizes))}, not the workload's"
            ),
        )


def _percent(value: float) -> str:
    """Show a share so that 100 % means all, and 0 % none."""
    if value in {0, 100}:
        return f"{value:g} %"
    return f"{min(99.9, max(0.1, value)):.1f} %"


def _coverage(compiled: CompileReport) -> str:
    coverage = compiled.coverage
    assert coverage is not None
    who = ", ".join(f"{name} {count}" for name, count in coverage.executors.items())
    text = (
        f"{_percent(coverage.percent)} counted, "
        f"{_percent(compiled.sg_percent)} claimed; "
        f"operators by who runs them: {who or 'none'}"
    )
    if coverage.fallback_ops:
        kinds = list(coverage.fallback_ops.items())
        shown = ", ".join(f"{count} {kind}" for kind, count in kinds[:MAX_KINDS_SHOWN])
        more = ", ..." if len(kinds) > MAX_KINDS_SHOWN else ""
        text += f"; not compiled: {shown}{more}"
    return text


def _segment(segment: SegmentReport) -> str:
    where = "falls back to the CPU" if segment.is_fallback else "compiled"
    sizes = ", ".join(str(artefact.batch_size) for artefact in segment.artefacts)
    total = {
        artefact.name: artefact.bytes
        for artefact in segment.artefacts
        if artefact.bytes is not None
    }
    size = f", {format_bytes(sum(total.values()))}" if total else ""
    return (
        f"{segment.sg_idx}: {where}, batch {sizes or '-'}{size}; "
        f"{', '.join(segment.inputs) or 'nothing'} -> "
        f"{', '.join(segment.outputs) or 'nothing'}"
    )


def _cost(compiled: CompileReport) -> str:
    """Say what compiling took: memory, and what it has left on disk."""
    parts = []
    if compiled.compile_peak_rss_bytes is not None:
        before = compiled.compile_rss_before_bytes or 0
        parts.append(
            f"peak {format_bytes(compiled.compile_peak_rss_bytes)} of memory, "
            f"{format_bytes(before)} before it began"
        )
    parts.append(
        "no files"
        if compiled.artefact_bytes is None
        else f"artefacts {format_bytes(compiled.artefact_bytes)}"
    )
    return "; ".join(parts)
