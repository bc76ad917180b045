"""From a model in its source format to an OpenVINO model with the declared names.

Input: a TorchScript or torch.export file, a SavedModel folder or an ``.onnx`` file, and
its declared tensors. Output: a model whose inputs and outputs carry declared names.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import openvino
from openvino.frontend import FrontEndManager
from openvino.frontend.tensorflow import ConversionExtension

from bytemlperf.backends import TensorInfo
from bytemlperf.backends.runtimes.binding import bind, plain_name
from bytemlperf.errors import CompileError

__all__ = ["Converted", "convert"]


class Converted(msgspec.Struct, frozen=True):
    """A model of OpenVINO's, and what its tensors are called in the description.

    Parameters
    ----------
    model : openvino.Model
        With dynamic dimensions where the source has them.
    inputs, outputs : tuple of str
        Declared names, in the order of the model's own inputs and outputs. They are
        not set on the model: an output that is an input shares its tensor's names.
    """

    model: Any
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def convert(
    path: str,
    framework: str,
    inputs: tuple[TensorInfo, ...],
    outputs: tuple[TensorInfo, ...],
    *,
    core: Any,
    artefact: Path,
) -> Converted:
    """Convert a model and find its tensors in its description.

    Parameters
    ----------
    path : str
        The model in its source format.
    framework : str
        ``Pytorch``, ``Tensorflow`` or ``Onnx``.
    inputs, outputs : tuple of TensorInfo
        As declared; outputs that are not declared are cut off.
    core : openvino.Core
        Reads the artefact back.
    artefact : Path
        Where the intermediate representation goes: an ``.xml`` file, with the weights
        in a ``.bin`` beside it.

    Returns
    -------
    Converted
        The model, not compiled.

    Raises
    ------
    CompileError
        The framework is unknown, OpenVINO cannot convert the model, or its tensors are
        not those declared.
    """
    match framework.casefold():
        case "pytorch" | "torch":
            read = _from_torch
        case "tensorflow" | "tf":
            read = _from_saved_model
        case "onnx" | "onnxruntime":
            read = _from_onnx
        case _:
            raise CompileError(
                "model_info.framework: expected Pytorch, Tensorflow or Onnx, "
                f"came {framework!r}"
            )
    try:
        model = read(path, inputs)
    except CompileError:
        raise
    except Exception as error:  # the frontends' exceptions share no other base
        raise CompileError(
            f"OpenVINO cannot convert {Path(path).name} ({framework})",
            detail=f"{type(error).__name__}: {error}",
        ) from error
    by_order = read is _from_torch
    names = [info.name for info in inputs]
    declared_inputs = _pair(
        names, _graph_names(model.inputs, names), "inputs", by_order=by_order
    )
    model, declared_outputs = _with_outputs(model, outputs, by_order=by_order)
    openvino.save_model(model, artefact, compress_to_fp16=False)
    del model
    # Read back: the weights of a converted PyTorch model are still PyTorch's memory.
    return Converted(
        core.read_model(artefact), tuple(declared_inputs), tuple(declared_outputs)
    )


def _from_onnx(path: str, inputs: tuple[TensorInfo, ...]) -> Any:
    return openvino.convert_model(path)


def _from_torch(path: str, inputs: tuple[TensorInfo, ...]) -> Any:
    """Read TorchScript or a torch.export program; PyTorch is imported for it."""
    import torch

    with warnings.catch_warnings():
        # TorchScript is deprecated, and it is the format these models come in.
        warnings.simplefilter("ignore")
        if path.endswith(".pt2"):
            return openvino.convert_model(torch.export.load(path))
        script = torch.jit.load(path, map_location="cpu").eval()
        # A script knows neither shapes nor types of its arguments.
        return openvino.convert_model(
            script,
            input=[(_partial_shape(info), np.dtype(info.dtype).type) for info in inputs]
            or None,
        )


def _partial_shape(info: TensorInfo) -> Any:
    if info.shape is None:
        return openvino.PartialShape.dynamic()
    return openvino.PartialShape(info.batch_shape)


def _from_saved_model(path: str, inputs: tuple[TensorInfo, ...]) -> Any:
    """Read a SavedModel with OpenVINO's own frontend; TensorFlow is not needed."""
    frontend = FrontEndManager().load_by_framework("tf")
    # The frontend knows GatherNd, but not its form that reads a variable.
    frontend.add_extension(ConversionExtension("ResourceGatherNd", _gather_nd))
    model = frontend.convert(frontend.load(path))
    _give_reductions_axes_a_rank(model)
    return model


def _gather_nd(node: Any) -> list[Any]:
    gathered = openvino.opset14.gather_nd(
        node.get_input(0), node.get_input(1), int(node.get_attribute("batch_dims", 0))
    )
    return [gathered.output(0)]


def _give_reductions_axes_a_rank(model: Any) -> None:
    """Turn scalar axes of reductions into vectors of one, which is the same.

    A fusion of layer norms in OpenVINO 2026.4 throws on scalars.
    """
    for node in model.get_ops():
        if not node.get_type_name().startswith("Reduce"):
            continue
        axes = node.input_value(1).get_node()
        if axes.get_type_name() == "Constant" and not list(axes.shape):
            vector = openvino.op.Constant(np.atleast_1d(axes.data))
            node.set_argument(1, vector.output(0))
    model.validate_nodes_and_infer_types()


def _with_outputs(
    model: Any, declared: tuple[TensorInfo, ...], *, by_order: bool
) -> tuple[Any, list[str]]:
    """Keep the declared outputs; what only others need is cut off."""
    names = [info.name for info in declared]
    actual = _graph_names(model.outputs, names)
    plain = {plain_name(name) for name in names}
    kept = [index for index, name in enumerate(actual) if plain_name(name) in plain]
    if not kept or (by_order and len(actual) == len(names)):
        kept = list(range(len(actual)))
    paired = _pair(
        names, [actual[index] for index in kept], "outputs", by_order=by_order
    )
    if len(kept) < len(actual):
        results = [model.outputs[index].get_node() for index in kept]
        model = openvino.Model(results, model.get_parameters(), model.friendly_name)
    return model, paired


def _graph_names(ports: Sequence[Any], declared: Sequence[str]) -> list[str]:
    """Return a name for each port: one that is declared, if it has one of those.

    A port may have several, such as those of a tensor that is an input as well; one
    without any is known by its position.
    """
    plain = {plain_name(name) for name in declared}
    names = []
    for index, port in enumerate(ports):
        own = sorted(port.get_names(), key=len)
        wanted = [name for name in own if plain_name(name) in plain]
        names.append(next(iter([*wanted, *own]), f"#{index}"))
    return names


def _pair(
    declared: list[str], actual: list[str], what: str, *, by_order: bool
) -> list[str]:
    """Return the declared name for each of the graph's.

    By name where names can decide; a traced module without names leaves the order.
    """
    is_named = {plain_name(name) for name in declared} == set(map(plain_name, actual))
    if declared and by_order and not is_named:
        if len(declared) != len(actual):
            raise CompileError(
                f"the model has {len(actual)} {what}, described are {len(declared)}",
                detail=f"model: {', '.join(actual)}; "
                f"description: {', '.join(declared)}",
            )
        return declared
    pairs = bind(
        declared, actual, f"{what} of the converted model", may_lack=what == "inputs"
    )
    return [pairs[name] for name in actual]
