"""One model, or one segment of it, compiled by OpenVINO.

Input: a `Converted` model and options. Output: predictions for the batch size loaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import openvino

from bytemlperf.backends import Feeds, TensorInfo
from bytemlperf.backends.OPENVINO._conversion import Converted
from bytemlperf.backends.OPENVINO._placement import (
    Coverage,
    executed_precision,
    query_coverage,
)
from bytemlperf.backends.OPENVINO._requests import InferRequests
from bytemlperf.backends.runtimes.runtime import fixed_batch
from bytemlperf.backends.runtimes.threads import ThreadPlan
from bytemlperf.errors import CompileError

__all__ = ["CompiledPart", "Options", "open_core"]

DEVICE = "CPU"
# Operators that may be done by looking at their input in another way.
VIEWS = frozenset(
    {"Result", "Reshape", "Squeeze", "Unsqueeze", "Identity", "Convert", "Transpose"}
    | {"Split", "VariadicSplit", "StridedSlice", "Slice", "Concat", "Broadcast"}
)
HINTS = {"f32": "f32", "f64": "f32", "f16": "f16", "bf16": "bf16"}


class Options(msgspec.Struct, frozen=True):
    """How a model is compiled.

    Parameters
    ----------
    threads : ThreadPlan
        ``instance_count`` streams with ``intra_op_threads`` threads each.
    precision : str
        ``"source"``, ``"device"`` or a type of OpenVINO's, such as ``"bf16"``.
    static_shapes : bool
        Whether each batch size is compiled for itself.
    """

    threads: ThreadPlan
    precision: str
    static_shapes: bool


def open_core() -> Any:
    """Return OpenVINO's core, without a cache: each compilation is a real one."""
    return openvino.Core()


class CompiledPart:
    """A converted model that is compiled for one batch size at a time.

    Parameters
    ----------
    core : openvino.Core
        Any.
    converted : Converted
        The model.
    infos : tuple of TensorInfo
        Its inputs as declared, for the rows a sample takes.
    options : Options
        How to compile it.

    Raises
    ------
    CompileError
        The device has not the precision that is asked for.

    Notes
    -----
    Thread-safety: `predict` as `InferRequests.predict`; the rest from one thread.
    """

    def __init__(
        self,
        core: Any,
        converted: Converted,
        infos: tuple[TensorInfo, ...],
        options: Options,
    ) -> None:
        self._core = core
        self._converted = converted
        self._rows = {info.name: info.rows_per_sample for info in infos}
        self._options = options
        self._requests: InferRequests | None = None
        self._computed = tuple(map(_is_computed, converted.model.outputs))
        self.source_shapes = {
            name: [size.get_length() if size.is_static else -1 for size in shape]
            for name, shape in zip(
                converted.inputs,
                (port.get_partial_shape() for port in converted.model.inputs),
                strict=True,
            )
        }
        self.output_shapes = {
            name: [size.get_length() if size.is_static else -1 for size in shape]
            for name, shape in zip(
                converted.outputs,
                (_dimensions(port) for port in converted.model.outputs),
                strict=True,
            )
        }
        self.fixed_batch_size = fixed_batch(
            {
                name: shape[0] if shape and shape[0] >= 0 else None
                for name, shape in self.source_shapes.items()
            },
            infos,
        )
        self.coverage: Coverage = query_coverage(core, converted.model, DEVICE)
        self.properties = _properties(core, converted.model, options)
        self.precision = "unknown"
        self.layers: dict[str, int] = {}

    @property
    def input_types(self) -> dict[str, str]:
        """Element types of the inputs by name: numpy's names in upper case."""
        return {
            name: np.dtype(port.get_element_type().to_dtype()).name.upper()
            for name, port in zip(
                self._converted.inputs, self._converted.model.inputs, strict=True
            )
        }

    def compile(self, batch_size: int) -> None:
        """Compile for the device, and for this batch size if shapes are static.

        Parameters
        ----------
        batch_size : int
            Samples, >= 1.

        Raises
        ------
        CompileError
            OpenVINO refuses the model.
        """
        # What was compiled before is freed first: two at once may not fit.
        self._requests = None
        model = self._converted.model
        try:
            if self._options.static_shapes and self.fixed_batch_size is None:
                model = model.clone()
                model.reshape(
                    {
                        index: openvino.PartialShape(
                            [batch_size * self._rows.get(name, 1), *shape[1:]]
                        )
                        for index, (name, shape) in enumerate(
                            self.source_shapes.items()
                        )
                        if shape
                    }
                )
            compiled = self._core.compile_model(model, DEVICE, dict(self.properties))
        except Exception as error:  # OpenVINO raises RuntimeError and others
            missing = ", ".join(sorted(self.coverage.unsupported))
            raise CompileError(
                f"OpenVINO cannot compile the model for {DEVICE}"
                + (f"; it does not run {missing}" if missing else ""),
                detail=f"{type(error).__name__}: {error}",
            ) from error
        self.precision, self.layers = executed_precision(compiled)
        self._requests = InferRequests(
            compiled,
            self._converted.inputs,
            self._converted.outputs,
            self._computed,
            self._options.threads.instance_count,
        )

    def predict(self, data: Feeds) -> dict[str, npt.NDArray[Any]]:
        """Run one batch; `compile` has been called."""
        assert self._requests is not None
        return self._requests.predict(data)


def _is_computed(port: Any) -> bool:
    """Tell whether an output is more than an input that was reshaped or moved."""
    waiting = [port.get_node()]
    while waiting:
        node = waiting.pop()
        kind = node.get_type_name()
        if kind == "Parameter":
            return False
        if kind in VIEWS:
            waiting += [value.get_node() for value in node.input_values()]
    return True


def _dimensions(port: Any) -> list[Any]:
    """Return a port's dimensions; none of one whose rank is not known."""
    shape = port.get_partial_shape()
    return [] if shape.rank.is_dynamic else list(shape)


def _properties(core: Any, model: Any, options: Options) -> Mapping[str, Any]:
    """Return the compile properties, explicit ones alone: no hint decides."""
    threads = options.threads
    properties: dict[str, Any] = {
        "NUM_STREAMS": threads.instance_count,
        "INFERENCE_NUM_THREADS": threads.intra_op_threads * threads.instance_count,
    }
    if options.precision == "device":
        return properties
    wanted = options.precision
    if wanted == "source":
        wanted = HINTS.get(_weight_type(model), "f32")
    can = {
        str(name).lower()
        for name in core.get_property(DEVICE, "OPTIMIZATION_CAPABILITIES")
    }
    if {"f32": "fp32", "f16": "fp16"}.get(wanted, wanted) not in can:
        if options.precision == "source":
            wanted = "f32"
        else:
            raise CompileError(
                f"interact_info.precision: this {DEVICE} does not compute in {wanted}",
                detail=f"it has {', '.join(sorted(can))}",
            )
    return {**properties, "INFERENCE_PRECISION_HINT": wanted}


def _weight_type(model: Any) -> str:
    """Return the type that most of the floating-point weights are stored in."""
    sizes: dict[str, int] = {}
    for node in model.get_ops():
        if node.get_type_name() == "Constant":
            kind = node.get_element_type().get_type_name()
            if kind in HINTS:
                sizes[kind] = sizes.get(kind, 0) + node.get_byte_size()
    return max(sizes, key=sizes.__getitem__, default="f32")
