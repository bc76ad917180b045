"""Model files of the parts that models are made of, made from their one table.

Input: a name. Output: a `ModelInfo`, as if there were a file of that name.
"""

from __future__ import annotations

import hashlib
import inspect
from typing import Literal

from bytemlperf import substructures
from bytemlperf.model_zoo.schema import ModelInfo
from bytemlperf.substructures import FRAMEWORKS, SUBSTRUCTURES, find_substructure
from bytemlperf.tensor_spec import TensorSpec

__all__ = ["hash_substructures", "list_substructure_models", "substructure_model"]

_FORMATS: dict[str, tuple[Literal["Pytorch", "Onnx"], Literal["pt", "onnx"]]] = {
    "torch": ("Pytorch", "pt"),
    "onnx": ("Onnx", "onnx"),
}


def list_substructure_models() -> list[str]:
    """Return the names of the parts' models, in the order of the table.

    Returns
    -------
    list of str
        Such as ``"encoder_block_s128-torch-fp32"``.
    """
    return [f"{part}-{name}-fp32" for part in SUBSTRUCTURES for name in FRAMEWORKS]


def hash_substructures() -> str:
    """Hash the table.

    Returns
    -------
    str
        sha256 of its source: what stands for a model file's hash.
    """
    return hashlib.sha256(inspect.getsource(substructures).encode()).hexdigest()


def substructure_model(name: str) -> ModelInfo | None:
    """Describe a part as a model file would.

    Parameters
    ----------
    name : str
        As from `list_substructure_models`.

    Returns
    -------
    ModelInfo or None
        None if there is no such part.
    """
    found = find_substructure(name)
    if found is None:
        return None
    part, framework = found
    row = SUBSTRUCTURES[part]
    tensors, outputs = _tensors(row.kind, row.sizes)
    framework_name, model_format = _FORMATS[framework]
    return ModelInfo(
        model=name,
        framework=framework_name,
        model_format=model_format,
        inputs=",".join(spec.name for spec in tensors),
        outputs=",".join(spec.name for spec in outputs),
        input_shape={spec.name: spec.shape for spec in tensors},
        input_type=",".join(
            "LONG" if spec.dtype == "int64" else "FLOAT32" for spec in tensors
        ),
        layout="NCHW" if row.kind == "convolution" else None,
        tensors=tensors,
        output_tensors=outputs,
        builder=part,
        source=f"sizes of {row.origin}; own implementation",
        licence="Apache-2.0 (this implementation)",
    )


def _tensors(
    kind: str, sizes: dict[str, int]
) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
    """Return the inputs and outputs of one sample."""
    if kind == "convolution":
        side = sizes["side"]
        picture = _real("input", sizes["channels_in"], side, side)
        return (picture,), (_real("output", sizes["channels_out"], side, side),)
    length, width = sizes["length"], sizes["width"]
    states = _real("hidden_states", length, width)
    output = _real("output", length, width)
    if kind == "encoder_block":
        mask = TensorSpec("attention_mask", "int64", (1, length), "attention_mask")
        return (states, mask), (output,)
    if kind == "decoder_block":
        return (states, _real("memory", length, width)), (output,)
    return (states,), (output, _real("last_state", width))


def _real(name: str, *shape: int) -> TensorSpec:
    """Describe real numbers of about unit range."""
    return TensorSpec(name, "float32", (1, *shape), "real", -1, 1)
