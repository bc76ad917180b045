"""Weights that are trained here, because no published ones fit the data that is there.

Input: a model file's recipe, and training samples. Output: a file of weights in the
cache, made once. The recipe is small enough to be part of `prepare`, and runs on one
thread, so that its sums are added in one order.
"""

from __future__ import annotations

import hashlib
import inspect
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from bytemlperf.errors import PrepareError
from bytemlperf.model_zoo.artefact_store import (
    Progress,
    hash_tree,
    locked,
    storage_errors,
)
from bytemlperf.model_zoo.builders import Architecture
from bytemlperf.model_zoo.builders.architecture import load_weights, stored
from bytemlperf.model_zoo.checkpoints import WeightsFile
from bytemlperf.model_zoo.schema import Checkpoint, ModelInfo, Training

__all__ = ["TrainingSamples", "train_weights"]

Array = npt.NDArray[Any]
# Keeps the logarithm finite where a probability has become 0.
LEAST_PROBABILITY = 1e-7


class TrainingSamples(msgspec.Struct, frozen=True, kw_only=True):
    """What a model is trained on.

    Parameters
    ----------
    key : str
        Hash of the samples.
    description : str
        What they are, to follow "trained here on".
    licence : str
        Of the data.
    inputs : dict of str to ndarray
        Every input by its name in the model file.
    labels : ndarray
        Class of each sample, int (samples,).
    """

    key: str
    description: str
    licence: str
    inputs: dict[str, Array]
    labels: Array


def train_weights(
    info: ModelInfo,
    architecture: Architecture,
    samples: TrainingSamples,
    cache_dir: Path,
    progress: Progress,
) -> WeightsFile:
    """Train a model by the recipe of its file, or find what was trained before.

    Parameters
    ----------
    info : ModelInfo
        With a `training` recipe.
    architecture : Architecture
        What its `builder` names; its first output is probabilities (batch, classes).
    samples : TrainingSamples
        What to train on.
    cache_dir : Path
        Of models.
    progress : callable
        Told of epochs.

    Returns
    -------
    WeightsFile
        Safetensors, by canonical name.

    Raises
    ------
    PrepareError
        The samples are fewer than one batch.
    StorageError
        The cache cannot be written.
    """
    recipe = info.training
    assert recipe is not None
    if len(samples.labels) < recipe.batch_size:
        raise PrepareError(
            f"{info.model}: {samples.description} are {len(samples.labels)} samples, "
            f"fewer than one batch of {recipe.batch_size} to train on"
        )
    key = _key(info, architecture, samples, recipe)
    path = cache_dir / "checkpoints" / f"{key[:16]}-trained-here.safetensors"
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    with locked(path, progress):
        if not path.is_file():
            weights = _train(info, architecture, samples, recipe, progress)
            _save(weights, path)
    return WeightsFile(
        checkpoint=Checkpoint(
            bytes=path.stat().st_size,
            sha256=hash_tree(path),
            format="safetensors",
            licence=samples.licence,
            file=f"trained here on {samples.description}; {recipe.describe()}",
        ),
        path=str(path),
    )


def _key(
    info: ModelInfo,
    architecture: Architecture,
    samples: TrainingSamples,
    recipe: Training,
) -> str:
    """Hash all that the weights depend on."""
    import torch

    parts = (
        msgspec.json.encode(recipe).decode(),
        f"{info.builder} {info.seed}",
        architecture.source_text(),
        inspect.getsource(sys.modules[__name__]),
        samples.key,
        torch.__version__,
    )
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _train(
    info: ModelInfo,
    architecture: Architecture,
    samples: TrainingSamples,
    recipe: Training,
    progress: Progress,
) -> Mapping[str, Array]:
    """Minimise the cross entropy with Adam."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        drawn = architecture.seeded_weights(info.seed)
        for name in recipe.zero_tensors:
            drawn[name] = np.zeros_like(drawn[name])
        module = load_weights(architecture.torch_module(), drawn, info.model).train()
        optimiser = torch.optim.Adam(module.parameters(), lr=recipe.learning_rate)
        random = np.random.Generator(np.random.PCG64(info.seed))
        labels = torch.from_numpy(np.array(samples.labels, np.int64))
        # Rows of one sample: those of the input, by the samples there are.
        inputs = [
            torch.from_numpy(
                np.array(samples.inputs[spec.name]).reshape(
                    len(labels), int(spec.shape[0]), *spec.shape[1:]
                )
            )
            for spec in info.tensors
        ]
        for epoch in range(recipe.epochs):
            progress("training", epoch, recipe.epochs)
            order = torch.from_numpy(random.permutation(len(labels)))
            for chosen in order.split(recipe.batch_size):
                found = module(*(each[chosen].flatten(0, 1) for each in inputs))
                probabilities = found[0] if isinstance(found, tuple) else found
                loss = torch.nn.functional.nll_loss(
                    probabilities.clamp_min(LEAST_PROBABILITY).log(), labels[chosen]
                )
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
        progress("training", recipe.epochs, recipe.epochs)
        return {name: tensor.numpy() for name, tensor in stored(module.eval()).items()}
    finally:
        torch.set_num_threads(threads)


def _save(weights: Mapping[str, Array], path: Path) -> None:
    """Write the file whole or not at all."""
    from safetensors.numpy import save

    partial = path.with_name(f"{path.name}.{os.getpid()}.part")
    with storage_errors(path):
        try:
            with partial.open("wb") as stream:
                stream.write(save(dict(weights)))
                os.fsync(stream.fileno())
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
