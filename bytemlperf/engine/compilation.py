"""Compile a model with a backend, in the order of the vendor guide.

Input: a backend, configs and calibration samples. Output: a compile report and the
batch sizes to measure. Each call's failure becomes an error that names the call.
"""

from __future__ import annotations

import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from bytemlperf.backends import Backend, CompileResult, parse_compile_result
from bytemlperf.engine.emitter import Emitter
from bytemlperf.errors import BackendError, CompileError
from bytemlperf.report.schema import CompileReport
from bytemlperf.runtime.clock import now_ns

__all__ = ["Compiled", "compile_model", "peak_rss_bytes", "vendor_call"]

# Real compilers take up to twenty minutes (see docs/vendor_guide.md).
COMPILE_DEADLINE_SECONDS = 3600.0

Result = TypeVar("Result")


class Compiled(msgspec.Struct, frozen=True):
    """A compiled model, before it is loaded.

    Parameters
    ----------
    result : CompileResult
        Checked.
    raw : dict
        As the backend returned it.
    duration_ns : int
        Of `Backend.compile` alone.
    pre_optimized, tuned : bool
        Whether the backend changed the configs in those calls.
    batch_sizes : tuple of int
        To measure: the backend's own, or the workload's.
    """

    result: CompileResult
    raw: dict[str, Any]
    duration_ns: int
    pre_optimized: bool
    tuned: bool
    batch_sizes: tuple[int, ...]


def peak_rss_bytes() -> int:
    """Return the highest resident memory of this process so far, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def vendor_call(
    hardware_type: str,
    method: str,
    call: Callable[[], Result],
    error_type: type[BackendError] = BackendError,
) -> Result:
    """Call a vendor's method; name it in whatever goes wrong.

    Parameters
    ----------
    hardware_type, method : str
        Named in the error.
    call : callable
        The bound call.
    error_type : type of BackendError
        What a failure is raised as.

    Returns
    -------
    Result
        What the method returned.

    Raises
    ------
    BackendError
        The method raised; its exception is the cause.
    """
    try:
        return call()
    except BackendError:
        raise
    except Exception as error:
        raise error_type(
            f"{hardware_type}.{method} raised {type(error).__name__}: {error}"
        ) from error


def compile_model(
    backend: Backend,
    configs: dict[str, Any],
    workload_batch_sizes: tuple[int, ...],
    dataloader: Any | None,
    emitter: Emitter,
) -> Compiled:
    """Run pre_optimize, segment, compile, tuning and get_best_batch_size.

    Parameters
    ----------
    backend : Backend
        Fresh.
    configs : dict
        Keys workload, model_info, interact_info.
    workload_batch_sizes : tuple of int
        What the workload asks.
    dataloader : CalibrationData or None
        For backends that need calibration.
    emitter : Emitter
        Told of the phases.

    Returns
    -------
    Compiled
        The checked result.

    Raises
    ------
    BackendError
        A call raised.
    CompileError
        The result breaks the contract, a changed config lost its model file, or the
        compile status is not success.
    """
    who = backend.hardware_type
    emitter.phase("pre_optimize", COMPILE_DEADLINE_SECONDS)
    optimized = _changed(who, "pre_optimize", backend.pre_optimize, configs)
    configs = optimized or configs
    segmented = _changed(who, "segment", backend.segment, configs)
    configs = segmented or configs

    emitter.phase("compile", COMPILE_DEADLINE_SECONDS)
    raw, duration_ns = _timed_compile(backend, configs, dataloader)
    result = parse_compile_result(raw, who)

    tuned_configs = _changed(who, "tuning", backend.tuning, configs)
    if tuned_configs is not None:
        emitter.phase("compile", COMPILE_DEADLINE_SECONDS, "again, after tuning")
        raw, duration_ns = _timed_compile(backend, tuned_configs, dataloader)
        result = parse_compile_result(raw, who)

    if result.compile_status != "success":
        raise CompileError(
            f"{who}.compile: compile_status is {result.compile_status!r}, "
            "expected 'success'",
            detail=f"segments: {len(result.segments)}, "
            f"fallback: {sum(s.is_fallback for s in result.segments)}, "
            f"sg_percent: {result.sg_percent}",
        )
    return Compiled(
        result=result,
        raw=raw,
        duration_ns=duration_ns,
        pre_optimized=optimized is not None,
        tuned=tuned_configs is not None,
        batch_sizes=_batch_sizes(backend, workload_batch_sizes),
    )


def compile_report(
    compiled: Compiled, *, load_ns: int, first_predict_ns: int
) -> CompileReport:
    """Put what is known of a compilation into the report's words.

    Parameters
    ----------
    compiled : Compiled
        The compilation.
    load_ns, first_predict_ns : int
        Durations of the first `load` and of the first `predict`.

    Returns
    -------
    CompileReport
        For the result file.
    """
    result = compiled.result
    return CompileReport(
        status=result.compile_status,
        precision=result.compile_precision,
        sg_percent=result.sg_percent,
        duration_ns=compiled.duration_ns,
        load_ns=load_ns,
        first_predict_ns=first_predict_ns,
        peak_rss_bytes=peak_rss_bytes(),
        pre_optimized=compiled.pre_optimized,
        tuned=compiled.tuned,
        segment_count=len(result.segments),
        fallback_count=sum(segment.is_fallback for segment in result.segments),
        instance_count=result.instance_count,
        device_count=result.device_count,
        max_batch_size=result.max_batch_size,
        optimizations=_plain(result.optimizations),
        result=_plain(compiled.raw),
    )


def _changed(
    who: str,
    method: str,
    call: Callable[[dict[str, Any]], object],
    configs: dict[str, Any],
) -> dict[str, Any] | None:
    """Call a method that may return changed configs; None where it did not."""
    answer = vendor_call(who, method, lambda: call(configs))
    if answer is None or answer is configs:
        return None
    if not isinstance(answer, dict) or not set(configs) <= set(answer):
        raise CompileError(
            f"{who}.{method} returned {type(answer).__name__}, expected None or "
            f"configs with the keys {', '.join(configs)}"
        )
    path = answer["model_info"].get("model_path")
    if path is not None and not Path(path).exists():
        raise CompileError(
            f"{who}.{method} returned model_info.model_path {path!r}: not there"
        )
    return answer


def _timed_compile(
    backend: Backend, configs: dict[str, Any], dataloader: Any | None
) -> tuple[Any, int]:
    """Compile, and say how long it took."""
    start_ns = now_ns()
    raw = vendor_call(
        backend.hardware_type,
        "compile",
        lambda: backend.compile(configs, dataloader),
        CompileError,
    )
    return raw, now_ns() - start_ns


def _batch_sizes(backend: Backend, asked: tuple[int, ...]) -> tuple[int, ...]:
    """Return the backend's own batch sizes, checked, or the workload's."""
    who = backend.hardware_type
    best: Any = vendor_call(who, "get_best_batch_size", backend.get_best_batch_size)
    if best is None:
        return asked
    if not isinstance(best, list | tuple) or not all(
        isinstance(size, int) and size >= 1 for size in best
    ):
        raise BackendError(
            f"{who}.get_best_batch_size returned {best!r}, expected None or a list of "
            "ints >= 1"
        )
    return tuple(dict.fromkeys(best)) or asked


def _plain(value: Any) -> Any:
    """Return `value` with whatever JSON cannot say as its repr."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return repr(value)
