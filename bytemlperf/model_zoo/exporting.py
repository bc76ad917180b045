"""Write a model in the format it is sold in.

Input: an architecture and its weights. Output: a TorchScript file, a SavedModel folder
or an ``.onnx`` file, with a dynamic batch on axis 0 and the names of the model file.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from bytemlperf.errors import PrepareError
from bytemlperf.model_zoo.builders import Architecture
from bytemlperf.model_zoo.builders.architecture import load_weights
from bytemlperf.model_zoo.legacy_fields import plain_name
from bytemlperf.model_zoo.precision import (
    narrow_module,
    narrow_weights,
    quantize,
)
from bytemlperf.model_zoo.schema import ModelInfo
from bytemlperf.model_zoo.torchscript_file import trace_to_bytes
from bytemlperf.model_zoo.weights import Array, Weights

if TYPE_CHECKING:
    import onnx

__all__ = ["ARTEFACTS", "PACKAGES", "export_model"]

ARTEFACTS = {"pt": "model.pt", "saved_model": "saved_model", "onnx": "model.onnx"}
"""Name of the artefact for each format that can be built."""

PACKAGES = {
    "pt": ("torch",),
    "saved_model": ("tensorflow", "tensorflow-cpu"),
    "onnx": ("torch", "onnx", "onnxruntime"),
}
"""Distributions whose version decides what is written, for each format."""

STORED = {
    ("pt", "FP32"), ("pt", "FP16"),
    ("saved_model", "FP32"), ("saved_model", "FP16"),
    ("onnx", "FP32"), ("onnx", "INT8"),
}  # fmt: skip
"""Precisions that weights can be stored in, for each format."""

OPSET = 17

CALIBRATION_BATCHES, CALIBRATION_BATCH_SIZE = 8, 4

MAX_ONNX_BYTES = 1_900_000_000
"""Weights of more bytes stand beside the graph: a protobuf ends at 2 GiB."""


def export_model(
    info: ModelInfo, architecture: Architecture, weights: Weights, folder: Path
) -> str:
    """Write the artefact of a model file.

    Parameters
    ----------
    info : ModelInfo
        Says format and names.
    architecture : Architecture
        What its `builder` names.
    weights : mapping of str to ndarray
        By canonical name.
    folder : Path
        An empty folder.

    Returns
    -------
    str
        Name of the artefact in the folder.

    Raises
    ------
    PrepareError
        The format or precision cannot be built, or the names do not fit the
        architecture.
    """
    writers: dict[str, Callable[[ModelInfo, Architecture, Weights, Path], None]] = {
        "pt": _write_torchscript,
        "saved_model": _write_saved_model,
        "onnx": _write_onnx,
    }
    if info.model_format not in writers:
        raise PrepareError(
            f"{info.model}: format {info.model_format!r} cannot be built",
            hint=f"formats that can: {', '.join(writers)}; or give a model_path",
        )
    if (info.model_format, info.model_precision) not in STORED:
        known = ", ".join(" ".join(pair) for pair in sorted(STORED))
        raise PrepareError(
            f"{info.model}: {info.model_format} in {info.model_precision!r} cannot be "
            "built",
            hint=f"what can: {known}; or give a model_path",
        )
    name = ARTEFACTS[info.model_format]
    writers[info.model_format](info, architecture, weights, folder / name)
    return name


def _write_torchscript(
    info: ModelInfo, architecture: Architecture, weights: Weights, path: Path
) -> None:
    """Trace, check the trace against the module, and save."""
    import torch

    module = load_weights(architecture.torch_module(), weights, info.model)
    if info.model_precision == "FP16":
        module = narrow_module(module)
    example = architecture.example(1)
    _check_inputs(info, list(example))
    inputs = tuple(torch.from_numpy(array) for array in example.values())
    path.write_bytes(trace_to_bytes(module, inputs))


def _write_saved_model(
    info: ModelInfo, architecture: Architecture, weights: Weights, path: Path
) -> None:
    """Save the TensorFlow twin with one named signature."""
    import tensorflow as tf

    if info.model_precision == "FP16":
        weights = narrow_weights(weights)
    module = architecture.tensorflow_module(weights)
    function = module.serve.get_concrete_function()
    _check_inputs(
        info,
        [
            tensor.name.split(":")[0]
            for tensor in function.inputs
            if tensor.dtype != tf.resource
        ],
    )
    _check_outputs(info, list(function.structured_outputs))
    tf.saved_model.save(module, str(path), signatures={"serving_default": module.serve})
    # A random identifier; without it the same model is the same bytes.
    (path / "fingerprint.pb").unlink(missing_ok=True)


def _write_onnx(
    info: ModelInfo, architecture: Architecture, weights: Weights, path: Path
) -> None:
    """Export by tracing, and check the file."""
    import onnx
    import torch

    module = load_weights(architecture.torch_module(), weights, info.model)
    example = architecture.example(1)
    _check_inputs(info, list(example))
    # The exporter takes no names that are numbers, which the original has.
    inputs = [f"input.{index}" for index in range(len(info.input_names))]
    outputs = [f"output.{index}" for index in range(len(info.output_names))]
    # Beside the file, because the exporter writes large weights one file each.
    with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
        traced = Path(scratch) / "traced.onnx"
        with warnings.catch_warnings():
            # The exporter that traces keeps the names given here and writes plain
            # convolutions; the newer one takes three times as long for a graph that
            # is no faster.
            warnings.filterwarnings("ignore", category=DeprecationWarning)
            warnings.filterwarnings("ignore", category=torch.jit.TracerWarning)
            torch.onnx.export(
                module,
                tuple(torch.from_numpy(array) for array in example.values()),
                str(traced),
                dynamo=False,
                opset_version=OPSET,
                input_names=inputs,
                output_names=outputs,
                dynamic_axes=_dynamic_axes(info, inputs, outputs),
            )
        model = onnx.load(traced)
    _rename(
        model.graph,
        dict(zip(inputs, info.input_names, strict=True))
        | dict(zip(outputs, info.output_names, strict=True)),
    )
    if sum(array.nbytes for array in weights.values()) > MAX_ONNX_BYTES:
        onnx.save_model(
            model, path, save_as_external_data=True, location=f"{path.name}.data"
        )
        onnx.checker.check_model(str(path))
        return
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString(deterministic=True))
    if info.model_precision == "INT8":
        quantize(path, _calibration(info, architecture))


def _calibration(
    info: ModelInfo, architecture: Architecture
) -> Iterator[dict[str, Array]]:
    """Draw the batches that the scales of activations are measured with."""
    drawn = (
        architecture.example(CALIBRATION_BATCH_SIZE, seed)
        for seed in range(CALIBRATION_BATCHES)
    )
    return (dict(zip(info.input_names, d.values(), strict=True)) for d in drawn)


def _dynamic_axes(
    info: ModelInfo, inputs: list[str], outputs: list[str]
) -> dict[str, dict[int, str]]:
    """Leave the rows of each tensor open: the batch, or what all samples share."""
    axes = {name: {0: "batch"} for name in inputs + outputs}
    for name, spec in zip(inputs, info.tensors, strict=True):
        if spec.shared:
            axes[name] = {0: f"{plain_name(spec.name)}_rows"}
    return axes


def _rename(graph: onnx.GraphProto, names: dict[str, str]) -> None:
    """Rename values of a graph; one that has a new name already gets out of the way."""
    names = {final: f"inner.{final}" for final in names.values()} | names
    for value in (*graph.input, *graph.output, *graph.value_info):
        value.name = names.get(value.name, value.name)
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    for tensor in graph.initializer:
        tensor.name = names.get(tensor.name, tensor.name)


def _check_inputs(info: ModelInfo, names: list[str]) -> None:
    """Refuse a model file whose inputs are not those of the architecture."""
    asked = [plain_name(name) for name in info.input_names]
    # A signature is bound by name, a trace by position.
    if (sorted(asked) if info.model_format == "saved_model" else asked) != (
        sorted(names) if info.model_format == "saved_model" else names
    ):
        raise PrepareError(
            f"{info.model}: $.inputs are {asked}, the architecture "
            f"{info.builder!r} has {names}"
        )


def _check_outputs(info: ModelInfo, names: list[str]) -> None:
    """Refuse a model file whose outputs are not those of the architecture."""
    asked = [plain_name(name) for name in info.output_names]
    if sorted(asked) != sorted(names):
        raise PrepareError(
            f"{info.model}: $.outputs are {asked}, the architecture "
            f"{info.builder!r} has {sorted(names)}"
        )
