"""Compile a model with a backend, in the order of the vendor guide.

Input: a backend, configs and calibration samples. Output: a compiled model, how it is
run, and the batch sizes to measure. Each call's failure becomes an error that names the
call.
"""

from __future__ import annotations

import resource
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy.typing as npt

from bytemlperf.backends import Backend, CompileResult, parse_compile_result
from bytemlperf.engine.emitter import Emitter
from bytemlperf.engine.feeding import input_names, output_names
from bytemlperf.engine.fitting import FittedPredict
from bytemlperf.engine.preoptimized import check_preoptimized
from bytemlperf.engine.segments import Predict, chain_segments, is_chained
from bytemlperf.engine.vendor_calls import vendor_call
from bytemlperf.errors import BackendError, CompileError, LoadError
from bytemlperf.runtime.clock import now_ns

__all__ = ["Compiled", "compile_model", "peak_rss_bytes"]

# Real compilers take up to twenty minutes (see docs/vendor_guide.md).
COMPILE_DEADLINE_SECONDS = 3600.0
# A segment that fell back still runs; anything else than these two does not.
RUNNABLE_STATUSES = ("success", "partial")

Sample = Mapping[str, npt.NDArray[Any]]


class Compiled(msgspec.Struct, frozen=True):
    """A compiled model, before it is loaded.

    Parameters
    ----------
    result : CompileResult
        Checked.
    raw : dict
        As the backend returned it.
    model_info : dict
        Of the model that was compiled, which `pre_optimize` may have changed.
    duration_ns : int
        Of the last `Backend.compile` alone.
    peak_rss_bytes, rss_before_bytes : int
        Highest resident memory of this process when compile was done, and what it had
        when it began.
    pre_optimized : str or None
        What became of the model that `pre_optimize` changed; None if it did not.
    is_segmented, tuned : bool
        Whether the backend changed the configs in those calls.
    first_compile_ns : int or None
        Of the compilation before tuning.
    batch_sizes : tuple of int
        To measure: the backend's own, or the workload's.
    has_own_batch_sizes : bool
        Whether they are the backend's own.
    predict : callable
        Runs the whole model on one batch that fits what is loaded.
    is_chained : bool
        Whether the framework runs segment after segment.
    """

    result: CompileResult
    raw: dict[str, Any]
    model_info: dict[str, Any]
    duration_ns: int
    peak_rss_bytes: int
    rss_before_bytes: int
    pre_optimized: str | None
    is_segmented: bool
    tuned: bool
    first_compile_ns: int | None
    batch_sizes: tuple[int, ...]
    has_own_batch_sizes: bool
    predict: Predict
    is_chained: bool


def peak_rss_bytes() -> int:
    """Return the highest resident memory of this process so far, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def compile_model(
    backend: Backend,
    configs: dict[str, Any],
    workload_batch_sizes: tuple[int, ...],
    dataloader: Any | None,
    emitter: Emitter,
    *,
    sample: Sample | None = None,
    shared: tuple[str, ...] = (),
    on_refused: Callable[[Compiled], None] | None = None,
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
    sample : mapping of str to ndarray, optional
        Rows of one sample: a model that `pre_optimize` changed is run on it, and a
        backend that tunes has run by then. Without it only the one's format is looked
        at, and the other has only compiled.
    shared : tuple of str
        Inputs that are fed one sample's rows whatever the batch.
    on_refused : callable, optional
        Called with a compilation whose status is not one that can be run, before the
        error is raised, so that it is on record all the same.

    Returns
    -------
    Compiled
        The checked result.

    Raises
    ------
    BackendError
        A call raised.
    CompileError
        The result breaks the contract, a changed config lost its model file or its
        format, the compile status is not one that runs, or segments do not fit.
    """
    who = backend.hardware_type
    emitter.phase("pre_optimize", COMPILE_DEADLINE_SECONDS)
    optimized = _changed(who, "pre_optimize", backend.pre_optimize, configs)
    pre_optimized = None
    if optimized is not None:
        pre_optimized = check_preoptimized(
            who, configs["model_info"], optimized["model_info"], sample
        )
    configs = optimized or configs
    segmented = _changed(who, "segment", backend.segment, configs)
    configs = segmented or configs

    emitter.phase("compile", COMPILE_DEADLINE_SECONDS)
    rss_before = current_rss_bytes()
    raw, duration_ns = _timed_compile(backend, configs, dataloader)
    result = parse_compile_result(raw, who)
    first_ns = None
    if (
        type(backend).tuning is not Backend.tuning
        and result.compile_status in RUNNABLE_STATUSES
    ):
        chain = _chain(backend, result, configs["model_info"])
        tuned = _tuned(backend, configs, raw, chain, sample, shared)
        if tuned is not None:
            configs, first_ns = tuned, duration_ns
            emitter.phase("compile", COMPILE_DEADLINE_SECONDS, "again, after tuning")
            raw, duration_ns = _timed_compile(backend, configs, dataloader)
            result = parse_compile_result(raw, who)

    best = _own_batch_sizes(backend)
    compiled = Compiled(
        result=result,
        raw=raw,
        model_info=configs["model_info"],
        duration_ns=duration_ns,
        peak_rss_bytes=peak_rss_bytes(),
        rss_before_bytes=rss_before,
        pre_optimized=pre_optimized,
        is_segmented=segmented is not None,
        tuned=first_ns is not None,
        first_compile_ns=first_ns,
        batch_sizes=best or workload_batch_sizes,
        has_own_batch_sizes=bool(best),
        predict=backend.predict,
        is_chained=False,
    )
    if result.compile_status not in RUNNABLE_STATUSES:
        if on_refused is not None:
            on_refused(compiled)
        raise CompileError(
            f"{who}.compile: compile_status is {result.compile_status!r}, "
            "expected 'success', or 'partial' where segments fell back",
            detail=f"segments: {len(result.segments)}, "
            f"fallback: {sum(s.is_fallback for s in result.segments)}, "
            f"sg_percent: {result.sg_percent}",
        )
    return msgspec.structs.replace(
        compiled,
        predict=_chain(backend, result, configs["model_info"]),
        is_chained=is_chained(backend, result),
    )


def current_rss_bytes() -> int:
    """Return the resident memory of this process as it is now, in bytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def _chain(
    backend: Backend, result: CompileResult, model_info: dict[str, Any]
) -> Predict:
    return chain_segments(
        backend, result, input_names(model_info), output_names(model_info)
    )


def _tuned(
    backend: Backend,
    configs: dict[str, Any],
    raw: dict[str, Any],
    predict: Predict,
    sample: Sample | None,
    shared: tuple[str, ...],
) -> dict[str, Any] | None:
    """Let a backend tune after it has compiled and run; None if it changes nothing.

    It is told how that went under one more key, ``tuning_info``: the compile result
    and, if there was a sample, the size of a batch and how long one took.
    """
    who = backend.hardware_type
    info: dict[str, Any] = {"compile_result": raw}
    if sample is not None:
        vendor_call(who, "load", lambda: backend.load(1), LoadError)
        size = vendor_call(who, "get_loaded_batch_size", backend.get_loaded_batch_size)
        fitted = FittedPredict(
            backend,
            rows_per_sample={name: len(array) for name, array in sample.items()},
            output_names=output_names(configs["model_info"]),
            loaded_batch_size=size,
            predict=predict,
            shared=shared,
        )
        fitted.checked(sample)
        start_ns = now_ns()
        fitted.checked(sample)
        info |= {"batch_size": size, "batch_ns": now_ns() - start_ns}
    told = {**configs, "tuning_info": info}
    changed = _changed(who, "tuning", backend.tuning, told)
    if changed is None:
        return None
    return {key: value for key, value in changed.items() if key != "tuning_info"}


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
    wanted = [key for key in configs if key != "tuning_info"]
    if not isinstance(answer, dict) or not set(wanted) <= set(answer):
        raise CompileError(
            f"{who}.{method} returned {type(answer).__name__}, expected None or "
            f"configs with the keys {', '.join(wanted)}"
        )
    path = answer["model_info"].get("model_path")
    if path and not Path(path).exists():
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


def _own_batch_sizes(backend: Backend) -> tuple[int, ...]:
    """Return the backend's own batch sizes, checked; none if it has none."""
    who = backend.hardware_type
    best: Any = vendor_call(who, "get_best_batch_size", backend.get_best_batch_size)
    if best is None:
        return ()
    if not isinstance(best, list | tuple) or not all(
        isinstance(size, int) and size >= 1 for size in best
    ):
        raise BackendError(
            f"{who}.get_best_batch_size returned {best!r}, expected None or a list of "
            "ints >= 1"
        )
    return tuple(dict.fromkeys(best))
