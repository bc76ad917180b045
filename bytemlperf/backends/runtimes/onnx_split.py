"""Cut an ONNX graph into segments, so that chosen operators run elsewhere.

Input: an ``.onnx`` file and operator types to leave out. Output: ONNX files, in order
of execution, whose tensors keep the names they have in the whole graph.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx

from bytemlperf.errors import CompileError

__all__ = ["OnnxSegment", "operator_counts", "split_onnx"]


class OnnxSegment(msgspec.Struct, frozen=True):
    """A part of an ONNX model, in a file of its own.

    Parameters
    ----------
    path : Path
        The file.
    is_excluded : bool
        Whether it holds the operators that were to be left out.
    inputs, outputs : dict of str to list of int
        Shape by tensor name; -1 for a dynamic dimension.
    operators : dict of str to int
        Count by operator type, with those of branches and loops.
    """

    path: Path
    is_excluded: bool
    inputs: dict[str, list[int]]
    outputs: dict[str, list[int]]
    operators: dict[str, int]


def operator_counts(graph: Any) -> Counter[str]:
    """Count a graph's operators by type, and those of branches and loops inside it.

    Parameters
    ----------
    graph : onnx.GraphProto
        Any.

    Returns
    -------
    Counter of str
        Without constants.
    """
    counts: Counter[str] = Counter()
    for node in graph.node:
        if node.op_type != "Constant":
            counts[node.op_type] += 1
        for inner in _inner_graphs(node):
            counts += operator_counts(inner)
    return counts


def split_onnx(
    path: str | Path, excluded: Collection[str], folder: Path
) -> list[OnnxSegment]:
    """Cut a model so that excluded operators are in segments of their own.

    Parameters
    ----------
    path : str or Path
        The model.
    excluded : collection of str
        Operator types, such as ``"Softmax"``; each must be in the graph.
    folder : Path
        Where the segments go.

    Returns
    -------
    list of OnnxSegment
        In order of execution: the inputs of each are inputs of the model or outputs of
        earlier ones.

    Raises
    ------
    CompileError
        The graph has none of some operator, or the type of a tensor between segments
        cannot be told.
    """
    model = onnx.shape_inference.infer_shapes(onnx.load(path))
    _constants_to_weights(model.graph)
    kinds = operator_counts(model.graph)
    absent = [kind for kind in excluded if kind not in kinds]
    if absent:
        raise CompileError(
            f"{Path(path).name} has no operator {', '.join(absent)} to exclude",
            detail=f"it has {', '.join(sorted(kinds))}",
        )
    groups = _grouped(model.graph, frozenset(excluded))
    folder.mkdir(parents=True, exist_ok=True)
    return [
        _extract(model, nodes, is_excluded, folder / f"segment_{index}.onnx")
        for index, (is_excluded, nodes) in enumerate(groups)
    ]


def _constants_to_weights(graph: Any) -> None:
    """Make constants weights, so that each segment that reads one has its own copy."""
    kept = []
    for node in graph.node:
        tensor = _constant(node) if node.op_type == "Constant" else None
        if tensor is None:
            kept.append(node)
            continue
        tensor.name = node.output[0]
        graph.initializer.append(tensor)
    del graph.node[:]
    graph.node.extend(kept)


def _constant(node: Any) -> Any | None:
    """Return a constant's value as a tensor; None if it is no numeric one."""
    attribute = node.attribute[0]
    if attribute.name == "value":
        return onnx.TensorProto.FromString(attribute.t.SerializeToString())
    dtype = {"i": np.int64, "f": np.float32}.get(attribute.name[len("value_")])
    if dtype is None:
        return None
    value = np.asarray(onnx.helper.get_attribute_value(attribute), dtype)
    return onnx.numpy_helper.from_array(value)


def _grouped(graph: Any, excluded: frozenset[str]) -> list[tuple[bool, list[Any]]]:
    """Group nodes so that each group runs in one go, as few groups as levels allow.

    A node's level is one more than that of a node it reads from on the other side, so
    that no two groups wait for each other.
    """
    made_at: dict[str, tuple[int, bool]] = {}
    groups: dict[tuple[int, bool], list[Any]] = {}
    for node in graph.node:
        is_excluded = bool(excluded & set(_operator_types(node)))
        # Even levels are kept, odd ones left out.
        level = int(is_excluded)
        for name in _reads(node):
            if name in made_at:
                before, was_excluded = made_at[name]
                level = max(level, before + (was_excluded != is_excluded))
        for name in node.output:
            made_at[name] = (level, is_excluded)
        groups.setdefault((level, is_excluded), []).append(node)
    return [(key[1], groups[key]) for key in sorted(groups)]


def _extract(
    model: Any, nodes: list[Any], is_excluded: bool, path: Path
) -> OnnxSegment:
    """Write some nodes as a model of its own."""
    graph = model.graph
    weights = {tensor.name: tensor for tensor in graph.initializer}
    made = {name for node in nodes for name in node.output}
    read = dict.fromkeys(name for node in nodes for name in _reads(node) if name)
    inside = {id(node) for node in nodes}
    wanted = {info.name for info in graph.output} | {
        name for node in graph.node if id(node) not in inside for name in _reads(node)
    }
    inputs = [name for name in read if name not in made and name not in weights]
    outputs = [
        name for node in nodes for name in node.output if name and name in wanted
    ]
    infos = {
        info.name: info
        for info in (*graph.value_info, *graph.input, *graph.output)
        if info.type.WhichOneof("value")
    }
    untyped = [name for name in (*inputs, *outputs) if name not in infos]
    if untyped:
        raise CompileError(
            f"the graph cannot be cut at {', '.join(untyped)}: its type is not known",
            hint="exclude other operators, or export the model with type information",
        )
    part = onnx.helper.make_graph(
        nodes,
        f"{graph.name or 'graph'}_{path.stem}",
        [infos[name] for name in inputs],
        [infos[name] for name in outputs],
        [weights[name] for name in read if name in weights],
        value_info=[infos[name] for name in made if name in infos],
    )
    onnx.save(
        onnx.helper.make_model(
            part,
            opset_imports=model.opset_import,
            ir_version=model.ir_version,
            functions=model.functions,
        ),
        path,
    )
    return OnnxSegment(
        path=path,
        is_excluded=is_excluded,
        inputs={name: _shape(infos[name]) for name in inputs},
        outputs={name: _shape(infos[name]) for name in outputs},
        operators=dict(operator_counts(part)),
    )


def _operator_types(node: Any) -> Iterator[str]:
    yield node.op_type
    for graph in _inner_graphs(node):
        for inner in graph.node:
            yield from _operator_types(inner)


def _inner_graphs(node: Any) -> Iterator[Any]:
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def _reads(node: Any) -> list[str]:
    """Return what a node reads, with what its branches read of the graph around."""
    names = list(node.input)
    for graph in _inner_graphs(node):
        own = {info.name for info in graph.input}
        own |= {tensor.name for tensor in graph.initializer}
        own |= {name for inner in graph.node for name in inner.output}
        names += [
            name for inner in graph.node for name in _reads(inner) if name not in own
        ]
        names += [info.name for info in graph.output if info.name not in own]
    return names


def _shape(info: Any) -> list[int]:
    tensor = info.type.tensor_type
    return [
        size.dim_value if size.HasField("dim_value") else -1
        for size in tensor.shape.dim
    ]
