"""Which operators OpenVINO runs, and in which precision.

Input: a converted or a compiled model. Output: counts, as OpenVINO itself gives them.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec
import openvino

__all__ = ["Coverage", "executed_precision", "query_coverage"]

# Bookkeeping of the graph, not work on tensors.
NOT_OPERATORS = frozenset({"Parameter", "Constant", "Result"})
# Layers whose arithmetic names a model's precision. Others do not count: masks and
# indices of an fp32 model are bytes and integers, and make no quantized model of it.
ARITHMETIC_LAYERS = frozenset(
    {"Convolution", "Deconvolution", "FullyConnected", "MatMul", "MHA", "GatedMLP"}
    | {"ScaledDotProductAttention", "RNNCell", "RNNSeq", "LSTMCell", "LSTMSequence"}
    | {"GRUCell", "GRUSequence", "QKVProjection", "LLMMLP"}
)
INTEGER_PRECISIONS = frozenset({"i8", "u8", "i4", "u4"})


class Coverage(msgspec.Struct, frozen=True):
    """Operators of a model, by whether a device runs them.

    Parameters
    ----------
    supported, unsupported : dict of str to int
        Count by operator type.
    """

    supported: dict[str, int]
    unsupported: dict[str, int]

    @property
    def percent(self) -> float:
        """Supported operators of all, 0 to 100."""
        supported = sum(self.supported.values())
        unsupported = sum(self.unsupported.values())
        total = supported + unsupported
        return 100.0 * supported / total if total else 100.0


def query_coverage(core: Any, model: Any, device: str) -> Coverage:
    """Ask OpenVINO which operators of a model a device runs.

    Parameters
    ----------
    core : openvino.Core
        Any.
    model : openvino.Model
        Converted.
    device : str
        Such as ``"CPU"``.

    Returns
    -------
    Coverage
        Without constants, parameters and results.
    """
    placed = core.query_model(model, device)
    supported: Counter[str] = Counter()
    unsupported: Counter[str] = Counter()
    for node in model.get_ops():
        kind = node.get_type_name()
        if kind not in NOT_OPERATORS:
            side = supported if node.get_friendly_name() in placed else unsupported
            side[kind] += 1
    return Coverage(dict(supported), dict(unsupported))


def executed_precision(compiled: Any) -> tuple[str, dict[str, int]]:
    """Say in which precision a compiled model computes, layer by layer.

    Parameters
    ----------
    compiled : openvino.CompiledModel
        Compiled.

    Returns
    -------
    str
        Such as ``"fp32"``, ``"bf16_mix"`` or ``"int8_mix"``; ``"none"`` without such
        layers.
    dict of str to int
        Products, convolutions and recurrences by precision, as the executed graph
        says; empty if the model has none.
    """
    layers: Counter[str] = Counter()
    for node in compiled.get_runtime_model().get_ops():
        facts = node.get_rt_info()
        kind = _text(facts, "layerType")
        if kind in ARITHMETIC_LAYERS:
            layers[_text(facts, "runtimePrecision")] += 1
    names = {name.lower() for name in layers}
    if not names:
        return "none", {}
    if names & INTEGER_PRECISIONS:
        return "int8_mix", dict(layers)
    for narrow, name in (("bf16", "bf16"), ("f16", "fp16")):
        if narrow in names:
            return (name if names == {narrow} else f"{name}_mix"), dict(layers)
    return ("fp64" if names == {"f64"} else "fp32"), dict(layers)


def _text(facts: Any, key: str) -> str:
    if key not in facts:
        return "unknown"
    value = facts[key]
    return str(value.value if isinstance(value, openvino.OVAny) else value)
