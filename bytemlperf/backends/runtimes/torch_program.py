"""Open a PyTorch model file and say what is in it.

Input: a TorchScript or torch.export file. Output: a callable, its arguments and facts:
operators, precision, and whether it writes to its inputs.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.export.passes import move_to_device_pass

from bytemlperf.backends.runtimes.runtime import precision_name
from bytemlperf.errors import CompileError

__all__ = ["Program", "open_program"]

PRODUCTS = frozenset(
    {"aten::_convolution", "aten::conv1d", "aten::conv2d", "aten::conv3d"}
    | {"aten::linear", "aten::addmm", "aten::mm", "aten::matmul", "aten::bmm"}
)
# Bookkeeping of TorchScript and torch.export, not work on tensors.
NOT_OPERATORS = ("prim::", "<built-in function getitem>")


class Program:
    """A loaded model: a callable, its argument names, and what is known of it.

    Attributes
    ----------
    call : callable
        Tensors in, tensors out.
    arguments, keywords : tuple of str
        All argument names in order; the last ones that go by keyword.
    rows : tuple of int or None
        Axis 0 of each argument, None where it is dynamic; empty if not known.
    writes_inputs : bool
        An operator may write to an input, or to a view of one.
    precision : str
        What the weights are stored in.
    arithmetic : str
        What products and convolutions are computed in; empty if not known.
    operators : Counter of str
        Operators of the source graph, by type.
    optimizations : dict
        What was done to the graph.
    """

    def __init__(self) -> None:
        self.call: Callable[..., Any]
        self.arguments: tuple[str, ...] = ()
        self.keywords: tuple[str, ...] = ()
        self.rows: tuple[int | None, ...] = ()
        self.writes_inputs = False
        self.precision = "none"
        self.arithmetic = ""
        self.operators: Counter[str] = Counter()
        self.optimizations: dict[str, Any] = {}


def open_program(path: str, device: str = "cpu") -> Program:
    """Open a model file; the name's end tells the format.

    Parameters
    ----------
    path : str
        ``.pt2`` for torch.export, anything else for TorchScript.
    device : str
        Where its weights go.

    Returns
    -------
    Program
        Optimised and ready to be called.

    Raises
    ------
    CompileError
        The file is not of that format.
    """
    is_export = path.endswith(".pt2")
    return _open_export(path, device) if is_export else _open_script(path, device)


def _open_script(path: str, device: str) -> Program:
    """Load TorchScript, and optimise it for the processor."""
    with warnings.catch_warnings():
        # TorchScript is deprecated, and it is the format these models come in.
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            script = torch.jit.load(path, map_location=device).eval()
        except RuntimeError as error:
            raise CompileError(
                f"model_info.model_path: {path} is not TorchScript",
                detail=str(error).splitlines()[0],
                hint="save it with torch.jit.save, or with torch.export.save as .pt2",
            ) from error
        program = Program()
        graph = script.inlined_graph
        weights = [*script.parameters(), *script.buffers()]
        operators = _script_operators(graph)
        program.operators.update(operators)
        program.precision = _precision(weights, operators)
        program.writes_inputs = _writes_inputs(graph)
        program.arguments = _script_arguments(script)
        _optimize(program, script, weights)
    return program


def _optimize(program: Program, script: Any, weights: list[Any]) -> None:
    """Freeze a module and, in fp32, prepack its weights and fold batch norms.

    Freezing also widens, once and for all, weights that are stored narrow and cast
    where they are used.

    Measured on ResNet-50 (one thread): 20 to 30 % less time at a difference of 5e-8;
    on BERT neither gain nor loss.
    """
    did: dict[str, Any] = {"graph_optimization_level": "none"}
    program.call, program.optimizations = script, did
    try:
        frozen = torch.jit.freeze(script)
        did["graph_optimization_level"] = "freeze"
        program.arithmetic = _arithmetic(frozen.graph)
        if program.arithmetic == "fp32" or all(
            w.dtype is torch.float32 for w in weights if w.is_floating_point()
        ):
            frozen = torch.jit.optimize_for_inference(frozen)
            did["graph_optimization_level"] = "freeze, optimize_for_inference"
    except RuntimeError as error:
        # Some modules cannot be frozen; they run as they are, and the report says so.
        did["graph_optimization_refused"] = str(error).splitlines()[0]
        return
    program.call = frozen


def _open_export(path: str, device: str) -> Program:
    """Load a torch.export program; it has been optimised when it was exported."""
    try:
        exported = torch.export.load(path)
    except Exception as error:  # zip, JSON or schema errors, by where it is broken
        raise CompileError(
            f"model_info.model_path: {path} is not a torch.export program",
            detail=str(error).splitlines()[0],
        ) from error
    program = Program()
    signature = exported.graph_signature
    calls = [node for node in exported.graph.nodes if node.op == "call_function"]
    names = [str(node.target) for node in calls]
    names = [name for name in names if not name.startswith(NOT_OPERATORS)]
    weights = [*exported.parameters(), *exported.buffers()]
    program.operators.update(names)
    program.precision = _precision(weights, names)
    program.writes_inputs = bool(signature.user_inputs_to_mutate)
    program.arguments = tuple(signature.user_inputs)
    call_spec = exported.module_call_graph[0].signature.in_spec
    program.keywords = tuple(call_spec.child(1).context or ())
    program.rows = _export_rows(exported, signature.user_inputs)
    if device != "cpu":
        exported = move_to_device_pass(exported, device)
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


def _arithmetic(graph: Any) -> str:
    """Name what most products and convolutions of a frozen graph are computed in."""
    counted: Counter[str] = Counter()
    for node in graph.nodes():
        if node.kind() in PRODUCTS:
            # Of a constant the type is known, and all operands have the same.
            dtypes = {
                value.type().dtype()
                for value in node.inputs()
                if value.node().kind() == "prim::Constant"
                and isinstance(value.type(), torch.TensorType)
            }
            counted.update(str(d).removeprefix("torch.") for d in dtypes - {None})
    return precision_name(counted) if counted else ""


def _precision(weights: list[Any], operators: list[str]) -> str:
    """Name what the weights are stored in; quantised operators hide theirs."""
    if any("quantized" in kind for kind in operators):
        return "int8_mix"
    sizes: Counter[str] = Counter()
    for weight in weights:
        sizes[str(weight.dtype).removeprefix("torch.")] += weight.nbytes
    return precision_name(sizes)
