"""The outputs a model ought to have: double precision, PyTorch, eager.

Input: feeds for a few samples. Output: float64 arrays. The module is the canonical one,
not the artefact: for TorchScript it is another precision and another way to run, for
SavedModel and ONNX another framework as well.
"""

from __future__ import annotations

import hashlib
import inspect
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from bytemlperf.errors import ConfigError, PrepareError
from bytemlperf.model_zoo.builders import Architecture, find_architecture
from bytemlperf.model_zoo.builders.architecture import load_weights
from bytemlperf.model_zoo.checkpoints import canonical_weights
from bytemlperf.model_zoo.legacy_fields import plain_name
from bytemlperf.model_zoo.schema import ModelInfo
from bytemlperf.model_zoo.weights import hash_weights

if TYPE_CHECKING:
    import torch

    from bytemlperf.model_zoo.prepare import PreparedModel

__all__ = ["forget_reference", "reference_key", "reference_outputs", "run_module"]

Array = npt.NDArray[Any]

# The module of the last model asked for. One is enough for a caller that goes through
# samples, and two of the larger ones would not fit beside each other on small machines.
_last: dict[str, tuple[Architecture, torch.nn.Module]] = {}


def reference_outputs(
    info: ModelInfo, prepared: PreparedModel, feeds: Mapping[str, Array]
) -> dict[str, Array]:
    """Compute what a model with these weights answers.

    Parameters
    ----------
    info : ModelInfo
        As given to `prepare_model`.
    prepared : PreparedModel
        As it returned.
    feeds : mapping of str to ndarray
        Every input by its name in the model file, for one or more samples.

    Returns
    -------
    dict of str to ndarray
        Every output by its name in the model file, float64. Rows are in order.

    Raises
    ------
    ConfigError
        An input is missing or unknown, or the rows do not agree.
    PrepareError
        The model is a user's own, or its weights are not those it was built from.

    Notes
    -----
    Thread-safety: one thread at a time. Memory: eight bytes a parameter, kept until
    another model is asked for or `forget_reference` is called, and the activations of
    one sample.
    """
    if prepared.weights == "user" or info.builder is None:
        raise PrepareError(
            f"{info.model}: there is no reference for a model that was brought along"
        )
    import torch

    sample_count = _count_samples(info, feeds)
    architecture, module = _load(info, prepared)
    rows: list[dict[str, Array]] = []
    for index in range(sample_count):
        inputs = {}
        for spec in info.tensors:
            step = int(spec.shape[0])
            piece = np.array(feeds[spec.name][index * step : (index + 1) * step])
            tensor = torch.from_numpy(piece)
            inputs[spec.name] = (
                tensor.double() if tensor.is_floating_point() else tensor
            )
        with torch.inference_mode():
            found = run_module(info, architecture, module, inputs)
        rows.append({n: v.cpu().numpy() for n, v in found.items()})
    return {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}


def reference_key(info: ModelInfo, prepared: PreparedModel) -> str:
    """Name everything that decides what the reference answers, but for the feeds.

    Parameters
    ----------
    info : ModelInfo
        As given to `prepare_model`.
    prepared : PreparedModel
        As it returned; not a user's own.

    Returns
    -------
    str
        A hash, the same for every precision and format of the same weights that has
        the same inputs and outputs: an int8 model is held against what the float32
        one is held against, and it is computed once.
    """
    parts = [
        find_architecture(info.builder or "").source_text(),
        inspect.getsource(sys.modules[__name__]),
        metadata.version("torch"),
        prepared.weights_sha256,
        str(info.framework == "Tensorflow"),
        repr([(spec.name, spec.dtype, spec.shape) for spec in info.tensors]),
        repr(info.output_names),
    ]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def run_module(
    info: ModelInfo,
    architecture: Architecture,
    module: torch.nn.Module,
    inputs: dict[str, torch.Tensor],
) -> dict[str, torch.Tensor]:
    """Run one sample, between the names and layouts of the model file.

    Parameters
    ----------
    info : ModelInfo
        The model file.
    architecture : Architecture
        What its `builder` names.
    module : torch.nn.Module
        Its canonical module.
    inputs : dict of str to torch.Tensor
        One sample, by input name.

    Returns
    -------
    dict of str to torch.Tensor
        By output name.
    """
    if info.framework == "Tensorflow":
        plain = {plain_name(name): tensor for name, tensor in inputs.items()}
        found = module(*architecture.twin_inputs(plain))
        found = found if isinstance(found, tuple) else (found,)
        named = architecture.twin_outputs(found)
        return {name: named[plain_name(name)] for name in info.output_names}
    found = module(*inputs.values())
    found = found if isinstance(found, tuple) else (found,)
    return dict(zip(info.output_names, found, strict=True))


def forget_reference() -> None:
    """Free the memory of the last reference."""
    _last.clear()


def _count_samples(info: ModelInfo, feeds: Mapping[str, Array]) -> int:
    """Check the feeds and say how many samples they hold."""
    if sorted(feeds) != sorted(info.input_names):
        raise ConfigError(
            f"{info.model}: expected feeds {sorted(info.input_names)}, got "
            f"{sorted(feeds)}"
        )
    counts = {
        spec.name: len(feeds[spec.name]) / int(spec.shape[0]) for spec in info.tensors
    }
    count = next(iter(counts.values()))
    if set(counts.values()) != {count} or not count.is_integer() or count < 1:
        raise ConfigError(
            f"{info.model}: expected the same whole number of samples, >= 1, in every "
            f"feed, got {counts}"
        )
    return int(count)


def _load(
    info: ModelInfo, prepared: PreparedModel
) -> tuple[Architecture, torch.nn.Module]:
    """Return the module in double precision, with the artefact's weights."""
    key = f"{info.builder} {prepared.weights_sha256}"
    if key not in _last:
        _last.clear()
        architecture = find_architecture(info.builder or "")
        weights = canonical_weights(info, architecture, prepared.weights_file)
        found = hash_weights(weights)
        if found != prepared.weights_sha256:
            raise PrepareError(
                f"{info.model}: the artefact was built from weights "
                f"{prepared.weights_sha256[:16]}, those at hand are {found[:16]}",
                hint=f"remove {Path(prepared.model_path).parent} to build it again",
            )
        module = load_weights(architecture.torch_module().double(), weights, info.model)
        _last[key] = (architecture, module)
    return _last[key]
