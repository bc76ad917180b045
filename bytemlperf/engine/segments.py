"""Run a model that was compiled in several segments, tensor by tensor name.

Input: a backend that runs its own segments one at a time, and a compile result.
Output: a predict function of the whole model. Segments that fell back run on the CPU
in their source format; the framework opens them itself, so that any vendor gets it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from bytemlperf.backends import Backend, CompileResult, Segment, TensorInfo
from bytemlperf.backends.runtimes.runtime import RuntimeRequest
from bytemlperf.backends.runtimes.source_model import framework_of, open_source_model
from bytemlperf.backends.runtimes.threads import plan_threads
from bytemlperf.errors import CompileError, PredictError

__all__ = ["chain_segments", "is_chained"]

Arrays = dict[str, npt.NDArray[Any]]
Predict = Callable[[Mapping[str, npt.NDArray[Any]]], Arrays]


class Step(msgspec.Struct, frozen=True):
    """One segment on its turn.

    Parameters
    ----------
    name : str
        For errors.
    inputs, outputs : tuple of str
        Tensor names.
    run : callable
        From its inputs to its outputs.
    last_uses : tuple of str
        Tensors that nothing reads after it.
    """

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    run: Predict
    last_uses: tuple[str, ...]


def is_chained(backend: Backend, result: CompileResult) -> bool:
    """Tell whether the framework runs the segments one by one.

    Parameters
    ----------
    backend : Backend
        Compiled.
    result : CompileResult
        Its result.

    Returns
    -------
    bool
        False if the backend's `predict` runs the whole model: there is one compiled
        segment, or it chains several by itself.
    """
    runs_segments = type(backend).predict_segment is not Backend.predict_segment
    runs_models = type(backend).predict is not Backend.predict
    if runs_models and len(result.segments) == 1:
        return result.segments[0].is_fallback and runs_segments
    return runs_segments or (
        not runs_models and all(segment.is_fallback for segment in result.segments)
    )


def chain_segments(
    backend: Backend,
    result: CompileResult,
    model_inputs: Collection[str],
    model_outputs: Collection[str],
) -> Predict:
    """Return what predicts the whole model.

    Parameters
    ----------
    backend : Backend
        Compiled.
    result : CompileResult
        Its result.
    model_inputs, model_outputs : collection of str
        Tensor names of the model's description; outputs empty: whatever comes last.

    Returns
    -------
    callable
        The backend's own `predict`, or a chain of its segments.

    Raises
    ------
    CompileError
        The segments do not fit together, or a fallback segment is no model that the
        CPU can run.
    BackendUnavailableError
        The framework of a fallback segment is not installed.

    Notes
    -----
    Thread-safety: of what is returned, as the backend's `predict`.
    """
    if not is_chained(backend, result):
        return backend.predict
    who = backend.hardware_type
    segments = sorted(result.segments, key=lambda segment: segment.sg_idx)
    _check_fit(who, segments, model_inputs, model_outputs)
    names = tuple(model_outputs) or tuple(segments[-1].output_tensor_map)
    steps = tuple(
        Step(
            name=f"segment {segment.sg_idx}",
            inputs=tuple(segment.input_tensor_map),
            outputs=tuple(segment.output_tensor_map),
            run=_runner(backend, segment, result.instance_count),
            last_uses=_last_uses(segments, position, names),
        )
        for position, segment in enumerate(segments)
    )

    def predict(data: Mapping[str, npt.NDArray[Any]]) -> Arrays:
        tensors = dict(data)
        for step in steps:
            answer = step.run({name: tensors[name] for name in step.inputs})
            for name in step.outputs:
                if name not in answer:
                    raise PredictError(
                        f"{who}.predict_segment, {step.name}: left out {name}; it "
                        f"returned {', '.join(answer) or 'nothing'}"
                    )
                tensors[name] = np.ascontiguousarray(answer[name])
            for name in step.last_uses:
                del tensors[name]
        # An output that is an input of the model must not be its memory.
        return {
            name: tensors[name].copy() if name in data else tensors[name]
            for name in names
        }

    return predict


def _runner(backend: Backend, segment: Segment, instance_count: int) -> Predict:
    """Return what runs one segment: the backend, or a runtime on the CPU."""
    if not segment.is_fallback:
        index = segment.sg_idx
        return lambda data: backend.predict_segment(index, data)
    who = f"{backend.hardware_type}.compile: segments[{segment.sg_idx}]"
    if not segment.compiled_model:
        raise CompileError(f"{who} falls back, but names no model to run")
    artefact = str(segment.compiled_model[0].compiled_obj)
    framework = framework_of(Path(artefact))
    if framework is None:
        raise CompileError(
            f"{who} falls back to {artefact!r}: expected an .onnx, .pt or .pt2 file or "
            "a SavedModel folder",
            hint="write the segment in the model's source format",
        )
    runtime = open_source_model(
        framework,
        RuntimeRequest(
            model_path=artefact,
            inputs=_infos(segment.input_tensor_map),
            outputs=_infos(segment.output_tensor_map),
            threads=plan_threads({"instance_count": instance_count}),
        ),
    )
    return runtime.predict


def _infos(shapes: Mapping[str, list[int]]) -> tuple[TensorInfo, ...]:
    return tuple(TensorInfo(name, None, tuple(shape)) for name, shape in shapes.items())


def _check_fit(
    who: str,
    segments: list[Segment],
    model_inputs: Collection[str],
    model_outputs: Collection[str],
) -> None:
    """Check that every tensor is there when it is needed."""
    order = [segment.sg_idx for segment in segments]
    if order != list(range(len(segments))):
        raise CompileError(
            f"{who}.compile: sg_idx of segments are {order}, expected 0 to "
            f"{len(segments) - 1}, each once"
        )
    available = set(model_inputs)
    for segment in segments:
        missing = [name for name in segment.input_tensor_map if name not in available]
        if missing:
            raise CompileError(
                f"{who}.compile: segments[{segment.sg_idx}] reads "
                f"{', '.join(missing)}, which neither the model's inputs nor earlier "
                "segments bring",
                detail=f"there are {', '.join(sorted(available))}",
            )
        available |= set(segment.output_tensor_map)
    missing = [name for name in model_outputs if name not in available]
    if missing:
        raise CompileError(
            f"{who}.compile: no segment brings the model's output {', '.join(missing)}",
            detail=f"there are {', '.join(sorted(available))}",
        )


def _last_uses(
    segments: list[Segment], position: int, outputs: tuple[str, ...]
) -> tuple[str, ...]:
    """Return the tensors that may be let go after a segment."""
    needed = {
        name
        for segment in segments[position + 1 :]
        for name in segment.input_tensor_map
    } | set(outputs)
    touched = {
        *segments[position].input_tensor_map,
        *segments[position].output_tensor_map,
    }
    return tuple(sorted(touched - needed))
