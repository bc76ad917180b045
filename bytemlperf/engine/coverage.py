"""How much of a model was compiled, found out instead of believed.

Input: a compiled backend, its result and the model's description. Output: what was
counted, the segments and their artefacts, and what does not agree with the claims.
"""

from __future__ import annotations

import importlib.util
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from bytemlperf.backends import Backend, CompileResult
from bytemlperf.backends.runtimes.source_model import framework_of
from bytemlperf.engine.vendor_calls import vendor_call
from bytemlperf.errors import CompileError
from bytemlperf.report.schema import ArtefactReport, CoverageReport, SegmentReport

__all__ = ["claim_warnings", "measure_coverage", "segment_reports"]

# Half of what a table shows: rounding is no lie.
MAX_CLAIM_ERROR_PERCENT = 0.5


def measure_coverage(
    backend: Backend, result: CompileResult, model_info: Mapping[str, Any]
) -> CoverageReport | None:
    """Count the operators that were compiled, where they can be counted.

    Parameters
    ----------
    backend : Backend
        Compiled.
    result : CompileResult
        Its result.
    model_info : mapping
        ``configs["model_info"]``.

    Returns
    -------
    CoverageReport or None
        None if nobody can tell: the backend names no placement, and its fallback
        segments, if it has any, are no ONNX files cut from an ONNX model.

    Raises
    ------
    BackendError
        `get_op_placement` raised.
    CompileError
        It returned something else than counts.
    """
    who = backend.hardware_type
    raw = vendor_call(who, "get_op_placement", backend.get_op_placement)
    if raw is not None:
        try:
            placement = msgspec.convert(raw, dict[str, dict[str, int]])
        except msgspec.ValidationError as error:
            raise CompileError(
                f"{who}.get_op_placement returned something else than counts of "
                f"operators by who runs them: {error}"
            ) from error
        return _from_placement(who, placement)
    return _from_fallback_files(who, result, model_info)


def segment_reports(result: CompileResult) -> list[SegmentReport]:
    """Describe every segment and its artefacts.

    Parameters
    ----------
    result : CompileResult
        Of the compilation.

    Returns
    -------
    list of SegmentReport
        In order of execution.
    """
    return [
        SegmentReport(
            sg_idx=segment.sg_idx,
            is_fallback=segment.is_fallback,
            inputs=segment.input_tensor_map,
            outputs=segment.output_tensor_map,
            artefacts=[
                ArtefactReport(
                    batch_size=product.compiled_bs,
                    name=str(product.compiled_obj),
                    bytes=artefact_bytes(product.compiled_obj),
                )
                for product in segment.compiled_model
            ],
        )
        for segment in sorted(result.segments, key=lambda segment: segment.sg_idx)
    ]


def artefact_bytes(compiled_obj: object) -> int | None:
    """Return the size of a compiled product on disk.

    Parameters
    ----------
    compiled_obj : object
        As the backend named it.

    Returns
    -------
    int or None
        Bytes of the folder, or of the file and those beside it with the same stem
        (weights often lie in a file of their own); None if it is neither.
    """
    if not isinstance(compiled_obj, str | Path) or "\0" in str(compiled_obj):
        return None
    path = Path(compiled_obj)
    if path.is_dir():
        files = [file for file in path.rglob("*") if file.is_file()]
    elif path.is_file():
        files = [
            file
            for file in path.parent.iterdir()
            if file.is_file() and file.stem == path.stem
        ]
    else:
        return None
    return sum(file.stat().st_size for file in files)


def claim_warnings(
    who: str, result: CompileResult, report: CoverageReport | None
) -> list[str]:
    """Say where a compile result contradicts itself or what was counted.

    Parameters
    ----------
    who : str
        The hardware type.
    result : CompileResult
        What is claimed.
    report : CoverageReport or None
        What was counted.

    Returns
    -------
    list of str
        Empty if all agrees.
    """
    found = []
    has_fallback = any(segment.is_fallback for segment in result.segments)
    if report is not None:
        wrong_by = result.sg_percent - report.percent
        if abs(wrong_by) > MAX_CLAIM_ERROR_PERCENT:
            found.append(
                f"{who} claims that {result.sg_percent:g} % of operators were "
                f"compiled; counted were {report.percent:.1f} % "
                f"({report.compiled_op_count} of {report.op_count})"
            )
    elif has_fallback and result.sg_percent == 100:
        found.append(
            f"{who} claims that 100 % of operators were compiled, and names segments "
            "that fell back"
        )
    if result.compile_status == "success" and all(
        segment.is_fallback for segment in result.segments
    ):
        found.append(f"{who} claims success, and compiled no segment at all")
    return found


def _from_placement(
    who: str, placement: Mapping[str, Mapping[str, int]]
) -> CoverageReport:
    compiled: Counter[str] = Counter()
    fallback: Counter[str] = Counter()
    executors: dict[str, int] = {}
    for executor, operators in placement.items():
        count = sum(operators.values())
        if min(operators.values(), default=0) < 0:
            raise CompileError(f"{who}.get_op_placement counts less than none")
        if count:
            executors[executor] = count
        is_own = executor.casefold() == who.casefold()
        (compiled if is_own else fallback).update(operators)
    return _report("op_placement", compiled.total(), fallback, executors)


def _from_fallback_files(
    who: str, result: CompileResult, model_info: Mapping[str, Any]
) -> CoverageReport | None:
    """Count the model's operators, and those of the segments that fell back."""
    source = Path(str(model_info.get("model_path") or ""))
    files = [
        Path(str(segment.compiled_model[0].compiled_obj))
        for segment in result.segments
        if segment.is_fallback and segment.compiled_model
    ]
    if not files or any(framework_of(file) != "Onnx" for file in (source, *files)):
        return None
    if importlib.util.find_spec("onnx") is None:
        return None
    import onnx

    from bytemlperf.backends.runtimes.onnx_split import operator_counts

    whole, *parts = (
        operator_counts(onnx.load(file, load_external_data=False).graph)
        for file in (source, *files)
    )
    fallback: Counter[str] = Counter()
    for part in parts:
        fallback.update(part)
    compiled = max(0, whole.total() - fallback.total())
    return _report(
        "fallback_segments",
        compiled,
        fallback,
        {who: compiled, "CPU": fallback.total()},
    )


def _report(
    basis: str, compiled: int, fallback: Counter[str], executors: dict[str, int]
) -> CoverageReport:
    total = compiled + fallback.total()
    return CoverageReport(
        basis=basis,
        percent=100.0 * compiled / total if total else 100.0,
        op_count=total,
        compiled_op_count=compiled,
        fallback_ops={
            kind: count for kind, count in fallback.most_common() if count > 0
        },
        executors=executors,
    )
