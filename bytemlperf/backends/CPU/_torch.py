"""TorchScript and torch.export programs on the processor.

Input: a ``.pt`` file (TorchScript) or a ``.pt2`` file (torch.export). Output: arrays
by name. Inputs are seen in place, through DLPack, unless the graph writes to them.
"""

from __future__ import annotations

import threading
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from bytemlperf.backends import Feeds, TensorInfo
from bytemlperf.backends.CPU._binding import bind, feed, plain_name
from bytemlperf.backends.CPU._runtime import (
    ModelFacts,
    RuntimeRequest,
    fixed_batch,
    precision_name,
)
from bytemlperf.errors import CompileError, PredictError

__all__ = ["TorchRuntime"]

# Bookkeeping of TorchScript and torch.export, not work on tensors.
NOT_OPERATORS = ("prim::", "<built-in function getitem>")


class _Program:
    """A loaded model: a callable, its argument names, and what is known of it."""

    def __init__(self) -> None:
        self.call: Callable[..., Any]
        self.arguments: tuple[str, ...] = ()
        self.keywords: tuple[str, ...] = ()
        self.rows: tuple[int | None, ...] = ()
        self.writes_inputs = False
        self.precision = "none"
        self.op_count = 0
        self.optimizations: dict[str, Any] = {}


class TorchRuntime:
    """A PyTorch model, ready to answer.

    Parameters
    ----------
    request : RuntimeRequest
        The file, its declared tensors and the threads.

    Raises
    ------
    CompileError
        The file is neither format, or takes other inputs than declared.

    Notes
    -----
    Thread-safety: `predict` may be called from several threads at once. The number of
    threads is the process's, but OpenMP keeps it per calling thread: it is set again
    in each.
    """

    def __init__(self, request: RuntimeRequest) -> None:
        self._threads = request.threads
        self._local = threading.local()
        warning = self._set_threads()
        if request.model_path.endswith(".pt2"):
            program = _open_export(request.model_path)
        else:
            program = _open_script(request.model_path)
        self._program = program
        self._order = _argument_order(program, request.inputs)
        self._outputs = tuple(info.name for info in request.outputs)
        shapes = {info.name: info.batch_shape for info in request.inputs}
        dtypes = {info.name: info.dtype or "unknown" for info in request.inputs}
        self.facts = ModelFacts(
            framework_version=f"torch {torch.__version__}",
            precision=program.precision,
            op_count=program.op_count,
            run_op_count=program.op_count,
            input_dtypes=tuple(dtypes.get(name, "unknown") for name in self._order),
            inputs={name: shapes.get(name, [-1]) for name in self._order},
            outputs={info.name: info.batch_shape for info in request.outputs},
            fixed_batch_size=fixed_batch(
                dict(zip(self._order, program.rows, strict=False)), request.inputs
            ),
            optimizations={
                **program.optimizations,
                "zero_copy_inputs": not program.writes_inputs,
            },
            warnings=(warning,) if warning else (),
        )

    def predict(self, data: Feeds) -> dict[str, npt.NDArray[Any]]:
        """Run one batch.

        Parameters
        ----------
        data : mapping of str to ndarray
            By declared name, in any order.

        Returns
        -------
        dict of str to ndarray
            By declared name.

        Raises
        ------
        PredictError
            An input is missing, or the model answers with another number of tensors
            than the description has outputs.
        """
        if not getattr(self._local, "is_ready", False):
            torch.set_num_threads(self._threads.intra_op_threads)
            self._local.is_ready = True
        program = self._program
        tensors = [torch.from_dlpack(feed(data, name)) for name in self._order]
        if program.writes_inputs:
            tensors = [tensor.clone() for tensor in tensors]
        positional = len(tensors) - len(program.keywords)
        with torch.inference_mode():
            answer = program.call(
                *tensors[:positional],
                **dict(zip(program.keywords, tensors[positional:], strict=True)),
            )
        return self._arrays(answer, tensors)

    def _arrays(self, answer: object, inputs: list[Any]) -> dict[str, npt.NDArray[Any]]:
        """Name the outputs; copy one that is a view of an input."""
        by_name = _named(answer, self._outputs)
        storages = {tensor.untyped_storage().data_ptr() for tensor in inputs}
        arrays = {}
        for name, tensor in by_name.items():
            if tensor.dtype is torch.bfloat16:
                tensor = tensor.float()  # numpy has no bfloat16
            if tensor.untyped_storage().data_ptr() in storages:
                tensor = tensor.clone()
            arrays[name] = np.ascontiguousarray(tensor.detach().numpy())
        return arrays

    def _set_threads(self) -> str | None:
        """Apply the plan; say so if the process can no longer follow it."""
        torch.set_num_threads(self._threads.intra_op_threads)
        wanted = self._threads.inter_op_threads
        if torch.get_num_interop_threads() != wanted:
            try:
                torch.set_num_interop_threads(wanted)
            except RuntimeError:
                # Once work has run in this process, PyTorch refuses to change it.
                return (
                    f"PyTorch keeps {torch.get_num_interop_threads()} inter-op threads "
                    f"instead of {wanted}: it was already running"
                )
        return None


def _open_script(path: str) -> _Program:
    """Load TorchScript, and optimise it for the processor."""
    with warnings.catch_warnings():
        # TorchScript is deprecated, and it is the format these models come in.
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            script = torch.jit.load(path, map_location="cpu").eval()
        except RuntimeError as error:
            raise CompileError(
                f"model_info.model_path: {path} is not TorchScript",
                detail=str(error).splitlines()[0],
                hint="save it with torch.jit.save, or with torch.export.save as .pt2",
            ) from error
        program = _Program()
        graph = script.inlined_graph
        weights = [*script.parameters(), *script.buffers()]
        operators = _script_operators(graph)
        program.op_count = len(operators)
        program.precision = _precision(weights, operators)
        program.writes_inputs = _writes_inputs(graph)
        program.arguments = _script_arguments(script)
        program.call, program.optimizations = _optimize(script, weights)
    return program


def _optimize(script: Any, weights: list[Any]) -> tuple[Any, dict[str, Any]]:
    """Freeze a module and, in fp32, prepack its weights and fold batch norms.

    Measured on ResNet-50 (one thread): 20 to 30 % less time at a difference of 5e-8;
    on BERT neither gain nor loss.
    """
    did: dict[str, Any] = {"graph_optimization_level": "none"}
    try:
        frozen = torch.jit.freeze(script)
        did["graph_optimization_level"] = "freeze"
        if all(w.dtype is torch.float32 for w in weights if w.is_floating_point()):
            frozen = torch.jit.optimize_for_inference(frozen)
            did["graph_optimization_level"] = "freeze, optimize_for_inference"
    except RuntimeError as error:
        # Some modules cannot be frozen; they run as they are, and the report says so.
        did["graph_optimization_refused"] = str(error).splitlines()[0]
        return script, did
    return frozen, did


def _open_export(path: str) -> _Program:
    """Load a torch.export program; it has been optimised when it was exported."""
    try:
        exported = torch.export.load(path)
    except Exception as error:  # zip, JSON or schema errors, by where it is broken
        raise CompileError(
            f"model_info.model_path: {path} is not a torch.export program",
            detail=str(error).splitlines()[0],
        ) from error
    program = _Program()
    signature = exported.graph_signature
    calls = [node for node in exported.graph.nodes if node.op == "call_function"]
    names = [str(node.target) for node in calls]
    names = [name for name in names if not name.startswith(NOT_OPERATORS)]
    weights = [*exported.parameters(), *exported.buffers()]
    program.op_count = len(names)
    program.precision = _precision(weights, names)
    program.writes_inputs = bool(signature.user_inputs_to_mutate)
    program.arguments = tuple(signature.user_inputs)
    call_spec = exported.module_call_graph[0].signature.in_spec
    program.keywords = tuple(call_spec.child(1).context or ())
    program.rows = _export_rows(exported, signature.user_inputs)
    program.call = exported.module()
    program.optimizations = {"graph_optimization_level": "none"}
    return program


def _export_rows(exported: Any, user_inputs: Sequence[str]) -> tuple[int | None, ...]:
    """Return axis 0 of each input, None where it is dynamic."""
    values = {
        node.name: node.meta["val"]
        for node in exported.graph.nodes
        if node.op == "placeholder" and "val" in node.meta
    }
    shapes = [getattr(values.get(name), "shape", ()) for name in user_inputs]
    return tuple(
        shape[0] if shape and isinstance(shape[0], int) else None for shape in shapes
    )


def _script_arguments(script: Any) -> tuple[str, ...]:
    """Return the names of ``forward``'s arguments, without ``self``."""
    return tuple(arg.name for arg in script.forward.schema.arguments[1:])


def _script_operators(graph: Any) -> list[str]:
    """Return the kinds of all operators of a graph and of the blocks inside it."""
    kinds = []
    for node in graph.nodes():
        if not node.kind().startswith(NOT_OPERATORS):
            kinds.append(node.kind())
        for block in node.blocks():
            kinds += _script_operators(block)
    return kinds


def _writes_inputs(graph: Any) -> bool:
    """Tell whether an operator may write to an input, or to a view of it."""
    aliases = graph.alias_db()
    inputs = list(graph.inputs())[1:]
    return any(aliases.has_writers(value) for value in inputs)


def _precision(weights: list[Any], operators: list[str]) -> str:
    """Name what the weights are stored in; quantised operators hide theirs."""
    if any("quantized" in kind for kind in operators):
        return "int8_mix"
    sizes: Counter[str] = Counter()
    for weight in weights:
        sizes[str(weight.dtype).removeprefix("torch.")] += weight.nbytes
    return precision_name(sizes)


def _argument_order(
    program: _Program, inputs: tuple[TensorInfo, ...]
) -> tuple[str, ...]:
    """Return the declared names in the order of the model's arguments.

    By name where the names are the same; else the description's order is the
    argument order, which is what a traced module without names leaves.
    """
    declared = tuple(info.name for info in inputs)
    actual = program.arguments
    if not declared:
        return actual
    if {plain_name(name) for name in declared} == set(actual):
        pairs = bind(declared, actual, "inputs of the PyTorch model")
        return tuple(pairs[name] for name in actual)
    if len(declared) != len(actual):
        raise CompileError(
            f"the model takes {len(actual)} inputs, described are {len(declared)}",
            detail=f"model: {', '.join(actual)}; description: {', '.join(declared)}",
        )
    return declared


def _named(answer: object, names: tuple[str, ...]) -> Mapping[str, Any]:
    """Name what a model returned: by its own keys, or in the declared order."""
    if isinstance(answer, Mapping):
        missing = [name for name in names if name not in answer]
        if missing:
            raise PredictError(
                f"the model answers with {', '.join(answer)}; "
                f"missing: {', '.join(missing)}"
            )
        return {name: answer[name] for name in names} if names else answer
    tensors = list(answer) if isinstance(answer, tuple | list) else [answer]
    if not names:
        return {f"output_{index}": tensor for index, tensor in enumerate(tensors)}
    if len(tensors) != len(names):
        raise PredictError(
            f"the model answers with {len(tensors)} tensors, "
            f"its description has {len(names)} outputs: {', '.join(names)}"
        )
    return dict(zip(names, tensors, strict=True))
