"""Trained weights where there are some, drawn ones otherwise.

Input: a model file and what the user asked for. Output: weights by canonical name.
Nothing is downloaded unless it was asked for, and what was downloaded before is used.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from bytemlperf.errors import PrepareError
from bytemlperf.model_zoo.artefact_store import Progress, hash_tree, locked
from bytemlperf.model_zoo.builders import Architecture
from bytemlperf.model_zoo.download import download
from bytemlperf.model_zoo.schema import Checkpoint, ModelInfo
from bytemlperf.model_zoo.weights import (
    Array,
    check_names,
    check_shape,
    read_checkpoint,
)

__all__ = ["WeightsChoice", "canonical_weights", "checkpoint_file", "choose_checkpoint"]

WeightsChoice = Literal["auto", "seeded", "download"]


def checkpoint_file(checkpoint: Checkpoint, cache_dir: Path) -> Path:
    """Say where a checkpoint is kept: its hash says what it is, its URL what it was.

    Parameters
    ----------
    checkpoint : Checkpoint
        From a model file.
    cache_dir : Path
        Of models.

    Returns
    -------
    Path
        Which exists once it was downloaded.
    """
    return (
        cache_dir
        / "checkpoints"
        / f"{checkpoint.sha256[:16]}-{checkpoint.url.rsplit('/', 1)[-1]}"
    )


def choose_checkpoint(
    info: ModelInfo,
    cache_dir: Path,
    weights: WeightsChoice,
    *,
    offline: bool,
    progress: Progress,
) -> Checkpoint | None:
    """Say which checkpoint to build from, downloading it if that was asked for.

    Parameters
    ----------
    info : ModelInfo
        Lists the checkpoints.
    cache_dir : Path
        Of models.
    weights : {"auto", "seeded", "download"}
        See `prepare_model`.
    offline : bool
        Refuse to download.
    progress : callable
        Told of bytes.

    Returns
    -------
    Checkpoint or None
        One that is in the cache; None means the seed.

    Raises
    ------
    PrepareError
        A download was asked for, and there is nothing to download, it is not allowed,
        or it failed.
    StorageError
        The cache cannot be written.
    """
    if weights == "seeded":
        return None
    for checkpoint in info.weights:
        if _is_here(checkpoint, cache_dir):
            return checkpoint
    if weights == "auto":
        return None
    if not info.weights:
        raise PrepareError(
            f"{info.model}: no trained checkpoint of it is known",
            hint="use weights seeded, or bring a model along with --model_path",
        )
    checkpoint = info.weights[0]
    if offline:
        raise PrepareError(
            f"{info.model}: {checkpoint.url} is not in {cache_dir}, "
            "and downloads are off"
        )
    path = checkpoint_file(checkpoint, cache_dir)
    with locked(path, progress):
        if not _is_here(checkpoint, cache_dir):
            download(
                checkpoint.url,
                path,
                size=checkpoint.bytes,
                sha256=checkpoint.sha256,
                progress=progress,
            )
    return checkpoint


def _is_here(checkpoint: Checkpoint, cache_dir: Path) -> bool:
    """Say whether a checkpoint was downloaded; its hash is checked when it is read."""
    path = checkpoint_file(checkpoint, cache_dir)
    return path.is_file() and path.stat().st_size == checkpoint.bytes


def canonical_weights(
    info: ModelInfo,
    architecture: Architecture,
    checkpoint: Checkpoint | None,
    cache_dir: Path,
) -> dict[str, Array]:
    """Return the weights of a model.

    Parameters
    ----------
    info : ModelInfo
        Says the seed.
    architecture : Architecture
        What its `builder` names.
    checkpoint : Checkpoint or None
        One that is in the cache; None draws from the seed.
    cache_dir : Path
        Of models.

    Returns
    -------
    dict of str to ndarray
        float32, by canonical name.

    Raises
    ------
    PrepareError
        The checkpoint is gone, cannot be read, or is not of this architecture.
    """
    if checkpoint is None:
        return architecture.seeded_weights(info.seed)
    path = checkpoint_file(checkpoint, cache_dir)
    if not path.is_file():
        raise PrepareError(f"{info.model}: {path} is gone since the model was built")
    if (found := hash_tree(path)) != checkpoint.sha256:
        raise PrepareError(
            f"{info.model}: expected sha256 {checkpoint.sha256} of {path}, got {found}",
            hint="remove the file: it was changed after it was downloaded",
        )
    weights = architecture.translate(read_checkpoint(path, checkpoint))
    shapes = architecture.weight_shapes()
    check_names(weights, shapes, checkpoint.url)
    for name, array in weights.items():
        check_shape(name, array, shapes[name], checkpoint.url)
    return weights
