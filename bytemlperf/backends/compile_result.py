"""What `Backend.compile` must return, checked when it arrives.

Input: the vendor's dictionary. Output: a frozen value, or a `CompileError` that names
the field. The keys are those of the original benchmark.
"""

from __future__ import annotations

from typing import Any

import msgspec

from bytemlperf.errors import CompileError

__all__ = ["CompileResult", "CompiledModel", "Segment", "parse_compile_result"]


class CompiledModel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One compiled artefact of a segment.

    Parameters
    ----------
    compiled_bs : int
        Batch size it was compiled for, >= 1.
    compiled_obj : Any
        Path or name of the artefact; shown, never opened by the framework.
    """

    compiled_bs: int
    compiled_obj: Any


class Segment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One subgraph.

    Parameters
    ----------
    sg_idx : int
        Order of execution, from 0.
    is_fallback : bool
        True if it was not compiled and runs on the CPU in its source format.
    input_tensor_map, output_tensor_map : dict of str to list of int
        Shape by tensor name; -1 stands for the batch dimension.
    compiled_model : list of CompiledModel
        One for every compiled batch size.
    """

    sg_idx: int
    is_fallback: bool
    input_tensor_map: dict[str, list[int]]
    output_tensor_map: dict[str, list[int]]
    compiled_model: list[CompiledModel]


class CompileResult(msgspec.Struct, frozen=True):
    """The compile result of a backend.

    Parameters
    ----------
    model, framework : str
        What was compiled.
    compile_precision : str
        Precision as run, such as ``"fp32"`` or ``"int16_mix"``.
    input_type : list of str
        Upper-case type per input, such as ``["INT16"]``.
    max_batch_size : int
        Largest batch size that can be loaded, >= 1.
    compile_status : str
        ``"success"`` only if all segments were compiled.
    sg_percent : float
        Share of operators compiled, 0 to 100, as the vendor claims it.
    segments : list of Segment
        In order of execution, at least one.
    optimizations : dict, optional
        What was done to the model, free keys.
    instance_count, device_count : int, default 1
        Predict threads that may call at once; devices used.
    """

    model: str
    framework: str
    compile_precision: str
    input_type: list[str]
    max_batch_size: int
    compile_status: str
    sg_percent: float
    segments: list[Segment]
    optimizations: dict[str, Any] = {}
    instance_count: int = 1
    device_count: int = 1


def parse_compile_result(raw: object, hardware_type: str) -> CompileResult:
    """Check what a backend returned from `compile`.

    Parameters
    ----------
    raw : object
        The returned value.
    hardware_type : str
        Named in the error.

    Returns
    -------
    CompileResult
        The checked value.

    Raises
    ------
    CompileError
        A key is missing or of the wrong type (with its path), or a value is out of
        its range.
    """
    where = f"{hardware_type}.compile"
    if not isinstance(raw, dict):
        raise CompileError(
            f"{where} returned {type(raw).__name__}, expected a dict",
            hint="return the compile result described in the vendor guide",
        )
    try:
        result = msgspec.convert(raw, CompileResult)
    except msgspec.ValidationError as error:
        raise CompileError(
            f"{where} returned a result that breaks the contract: {error}"
        ) from error
    checks = (
        (result.max_batch_size >= 1, f"max_batch_size {result.max_batch_size}, >= 1"),
        (0 <= result.sg_percent <= 100, f"sg_percent {result.sg_percent}, 0 to 100"),
        (bool(result.segments), "no segments, at least one"),
        (result.instance_count >= 1, f"instance_count {result.instance_count}, >= 1"),
        (result.device_count >= 1, f"device_count {result.device_count}, >= 1"),
    )
    for is_right, facts in checks:
        if not is_right:
            came, _, expected = facts.rpartition(", ")
            raise CompileError(f"{where} returned {came}; expected {expected}")
    return result
