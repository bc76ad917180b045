"""ONNX models on the processor, through ONNX Runtime.

Input: an ``.onnx`` file. Output: arrays by name. ONNX Runtime reads C-contiguous
feeds in place, and answers in pooled memory where it can be told to.
"""

from __future__ import annotations

import queue
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime

from bytemlperf.backends import Feeds
from bytemlperf.backends.runtimes.binding import bind, feed
from bytemlperf.backends.runtimes.copied_inputs import CopiedInputs
from bytemlperf.backends.runtimes.onnx_binding import BoundSession
from bytemlperf.backends.runtimes.onnx_split import operator_counts
from bytemlperf.backends.runtimes.runtime import (
    ModelFacts,
    RuntimeRequest,
    fixed_batch,
    mixed_name,
    precision_name,
)
from bytemlperf.errors import BackendUnavailableError, CompileError

__all__ = ["OnnxruntimeRuntime"]

PROCESSOR = "CPUExecutionProvider"
LEVELS = {
    "disable": "ORT_DISABLE_ALL",
    "basic": "ORT_ENABLE_BASIC",
    "extended": "ORT_ENABLE_EXTENDED",
    "layout": "ORT_ENABLE_LAYOUT",
    "all": "ORT_ENABLE_ALL",
}
QUANTIZED = (
    "QLinear", "QuantizeLinear", "MatMulInteger", "ConvInteger", "DynamicQuantize",
    "QGemm",
)  # fmt: skip


class OnnxruntimeRuntime:
    """An ONNX model, ready to answer.

    Parameters
    ----------
    request : RuntimeRequest
        The file, its declared tensors and the threads.

    Raises
    ------
    CompileError
        The file is not ONNX, or its tensors are not those declared.

    Notes
    -----
    Thread-safety: `predict` may be called from ``instance_count`` threads at once.
    Each instance is a session of its own, with its own threads and its own copy of
    the weights: calls on one session would share its threads.
    """

    def __init__(self, request: RuntimeRequest) -> None:
        first = _session(request)
        graph_inputs, graph_outputs = first.get_inputs(), first.get_outputs()
        self._inputs = bind(
            [info.name for info in request.inputs],
            [tensor.name for tensor in graph_inputs],
            "inputs of the ONNX graph",
            may_lack=True,
        )
        self._outputs = _bind_outputs(
            request, [tensor.name for tensor in graph_outputs]
        )
        self.copied = CopiedInputs()
        is_bound = request.session.providers[0] == PROCESSOR
        self._sessions: queue.SimpleQueue[BoundSession | _PlainSession] = (
            queue.SimpleQueue()
        )
        for index in range(request.threads.instance_count):
            session = _session(request) if index else first
            kind = BoundSession if is_bound else _PlainSession
            self._sessions.put(kind(session, list(self._inputs), list(self._outputs)))
        source = _source_facts(request.model_path)
        self.facts = ModelFacts(
            framework_version=f"onnxruntime {onnxruntime.__version__}",
            precision=source.precision,
            op_count=source.operators.total(),
            run_op_count=source.operators.total(),
            arithmetic=source.arithmetic,
            input_dtypes=tuple(_numpy_name(tensor.type) for tensor in graph_inputs),
            inputs={self._inputs[t.name]: _shape(t) for t in graph_inputs},
            outputs={
                self._outputs[t.name]: _shape(t)
                for t in graph_outputs
                if t.name in self._outputs
            },
            fixed_batch_size=fixed_batch(
                {self._inputs[t.name]: _rows(t) for t in graph_inputs}, request.inputs
            ),
            optimizations={
                "graph_optimization_level": LEVELS[
                    request.session.graph_optimization_level
                ],
                "execution_mode": "ORT_PARALLEL"
                if request.session.is_parallel
                else "ORT_SEQUENTIAL",
                "execution_providers": first.get_providers(),
                "zero_copy_inputs": is_bound,
                "pooled_outputs": is_bound,
            },
            placement=_placement(first),
            executor=request.session.providers[0],
        )

    def predict(self, data: Feeds) -> dict[str, npt.NDArray[Any]]:
        """Run one batch.

        Parameters
        ----------
        data : mapping of str to ndarray
            By declared name, in any order; one that the exporter pruned is ignored.

        Returns
        -------
        dict of str to ndarray
            By declared name.

        Raises
        ------
        PredictError
            An input is missing.
        """
        feeds = [self._contiguous(feed(data, name)) for name in self._inputs.values()]
        session = self._sessions.get()
        try:
            arrays = session.run(feeds)
        finally:
            self._sessions.put(session)
        return dict(zip(self._outputs.values(), arrays, strict=True))

    def _contiguous(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Copy an array that ONNX Runtime would have to copy."""
        if array.flags.c_contiguous:
            return array
        self.copied.add(array.nbytes)
        return np.ascontiguousarray(array)


class _PlainSession:
    """A session on another device, which moves tensors itself; as `BoundSession`."""

    def __init__(
        self, session: Any, inputs: Sequence[str], outputs: Sequence[str]
    ) -> None:
        self._session = session
        self._inputs = inputs
        self._outputs = outputs

    def run(self, arrays: Sequence[npt.NDArray[Any]]) -> list[npt.NDArray[Any]]:
        """Run once."""
        feeds = dict(zip(self._inputs, arrays, strict=True))
        return list(self._session.run(self._outputs, feeds))


class _SourceFacts:
    """What the file itself says, before ONNX Runtime rewrites the graph."""

    def __init__(
        self, precision: str, operators: Counter[str], arithmetic: str
    ) -> None:
        self.precision = precision
        self.arithmetic = arithmetic
        self.operators = operators


def _session(request: RuntimeRequest) -> Any:
    path, choices = request.model_path, request.session
    available = onnxruntime.get_available_providers()
    absent = [name for name in choices.providers if name not in available]
    if absent:
        raise BackendUnavailableError(
            f"this ONNX Runtime has no {', '.join(absent)}",
            detail=f"it has {', '.join(available)}",
            hint="install the distribution that brings it, such as onnxruntime-gpu",
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = request.threads.intra_op_threads
    options.inter_op_num_threads = request.threads.inter_op_threads
    modes = onnxruntime.ExecutionMode
    options.execution_mode = (
        modes.ORT_PARALLEL if choices.is_parallel else modes.ORT_SEQUENTIAL
    )
    options.graph_optimization_level = getattr(
        onnxruntime.GraphOptimizationLevel, LEVELS[choices.graph_optimization_level]
    )
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    providers: list[Any] = [(choices.providers[0], dict(choices.provider_options))]
    providers += [name for name in choices.providers[1:] if name != PROCESSOR]
    if choices.providers[0] != PROCESSOR:
        providers.append(PROCESSOR)
    try:
        return onnxruntime.InferenceSession(path, options, providers=providers)
    except Exception as error:  # ONNX Runtime's exceptions share no other base
        raise CompileError(
            f"model_info.model_path: ONNX Runtime cannot load {path}",
            detail=f"{type(error).__name__}: {error}",
        ) from error


def _placement(session: Any) -> dict[str, dict[str, int]]:
    """Return the operators by execution provider; empty if this version tells none."""
    ask = getattr(session, "get_provider_graph_assignment_info", None)
    if ask is None:
        return {}
    placed: dict[str, Counter[str]] = {}
    for subgraph in ask():
        kinds = placed.setdefault(subgraph.ep_name, Counter())
        kinds.update(node.op_type for node in subgraph.get_nodes())
    return {name: dict(kinds) for name, kinds in placed.items()}


def _bind_outputs(request: RuntimeRequest, actual: list[str]) -> dict[str, str]:
    """Pair the outputs; the graph may have more than the description asks for."""
    declared = [info.name for info in request.outputs]
    wanted = [name for name in actual if name in declared]
    return bind(declared, wanted or actual, "outputs of the ONNX graph")


def _source_facts(path: str) -> _SourceFacts:
    model = onnx.load(path, load_external_data=False)
    operators = operator_counts(model.graph)
    for function in model.functions:
        operators.update(node.op_type for node in function.node)
    if any(kind.startswith(QUANTIZED) for kind in operators):
        return _SourceFacts("int8_mix", operators, "int8 and fp32")
    sizes: Counter[str] = Counter()
    for tensor in model.graph.initializer:
        dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)
        sizes[str(dtype)] += dtype.itemsize * int(np.prod(tensor.dims))
    precision = precision_name(sizes)
    # There are next to no fp16 kernels for this processor: ONNX Runtime casts the
    # operands to fp32 and the result back.
    arithmetic = "fp32" if precision in {"fp16", "bf16"} else precision
    return _SourceFacts(mixed_name(precision, arithmetic), operators, arithmetic)


def _rows(tensor: Any) -> int | None:
    first = tensor.shape[0] if tensor.shape else None
    return first if isinstance(first, int) else None


def _shape(tensor: Any) -> list[int]:
    return [size if isinstance(size, int) else -1 for size in tensor.shape]


def _numpy_name(onnx_type: str) -> str:
    """Return numpy's name for a type such as ``tensor(float)``."""
    name = onnx_type.removeprefix("tensor(").removesuffix(")")
    return {"float": "float32", "double": "float64"}.get(name, name)
