"""Weights as arrays by their canonical names, before any framework has them.

Input: a seed or a checkpoint. Output: float32 arrays by the names that the PyTorch
implementation of the architecture gives them. TorchScript, SavedModel, ONNX and the
float64 reference are all filled from the same arrays.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import math
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from bytemlperf.errors import PrepareError
from bytemlperf.model_zoo.schema import Checkpoint

__all__ = [
    "Draw",
    "Weights",
    "check_names",
    "check_shape",
    "hash_weights",
    "read_checkpoint",
]

Array = npt.NDArray[Any]
Weights = Mapping[str, Array]


class Draw:
    """Random numbers for one tensor.

    They depend on the seed and the tensor's name alone: not on the order in which a
    library makes its layers, its version, or the processor's vector width, as the
    numbers of ``torch.manual_seed`` do.

    Parameters
    ----------
    seed : int
        Of the model.
    name : str
        Canonical name of the tensor.
    shape : tuple of int
        Its shape.
    """

    def __init__(self, seed: int, name: str, shape: tuple[int, ...]) -> None:
        words = np.frombuffer(hashlib.sha256(name.encode()).digest(), dtype="<u4")
        sequence = np.random.SeedSequence([seed, *(int(word) for word in words)])
        self._random = np.random.Generator(np.random.PCG64(sequence))
        self.name = name
        self.shape = shape

    def normal(self, deviation: float, cut: float | None = None) -> Array:
        """Draw normal numbers of mean 0.

        Parameters
        ----------
        deviation : float
            Standard deviation.
        cut : float, optional
            Draw again what is further from 0 than this many deviations.

        Returns
        -------
        ndarray
            float32.
        """
        values = self._random.standard_normal(self.shape, dtype=np.float32)
        while cut is not None and (far := np.abs(values) > cut).any():
            values[far] = self._random.standard_normal(int(far.sum()), dtype=np.float32)
        values *= np.float32(deviation)
        return values

    def uniform(self, bound: float) -> Array:
        """Draw numbers evenly from [-bound, bound).

        Parameters
        ----------
        bound : float
            Half the range.

        Returns
        -------
        ndarray
            float32.
        """
        values = self._random.random(self.shape, dtype=np.float32)
        return (values * np.float32(2) - np.float32(1)) * np.float32(bound)

    def fill(self, value: float) -> Array:
        """Repeat one number.

        Parameters
        ----------
        value : float
            The number.

        Returns
        -------
        ndarray
            float32.
        """
        return np.full(self.shape, value, dtype=np.float32)

    def fan(self, side: Literal["in", "out"]) -> int:
        """Count what one output depends on, or what one input reaches.

        Parameters
        ----------
        side : {"in", "out"}
            Which.

        Returns
        -------
        int
            >= 1, for a weight of shape (out, in, *kernel).
        """
        return self.shape[1 if side == "in" else 0] * math.prod(self.shape[2:])


def hash_weights(weights: Weights) -> str:
    """Hash weights by their names, types, shapes and bits.

    Parameters
    ----------
    weights : mapping of str to ndarray
        In any order.

    Returns
    -------
    str
        sha256, 64 hexadecimal digits.
    """
    digest = hashlib.sha256()
    for name in sorted(weights):
        array = np.ascontiguousarray(weights[name])
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(array.data)
    return digest.hexdigest()


def read_checkpoint(path: Path, checkpoint: Checkpoint) -> dict[str, Array]:
    """Read a file of trained tensors, executing nothing in it.

    Parameters
    ----------
    path : Path
        A file whose hash was checked.
    checkpoint : Checkpoint
        Says its format.

    Returns
    -------
    dict of str to ndarray
        float32 for floats of any width; integers as they are. Training's wrapping is
        off: of a dictionary with a ``state_dict`` that is taken, and names lose a
        leading ``module.``, which data-parallel training adds.

    Raises
    ------
    PrepareError
        The file is not of this format, or is not a dictionary of tensors.
    """
    readers = {
        "torch": _read_torch,
        "safetensors": _read_safetensors,
        "keras_h5": _read_keras,
    }
    try:
        with _member(path, checkpoint.member) as body:
            tensors = readers[checkpoint.format](body)
    except Exception as error:
        # Four libraries raise ten kinds of exceptions here; all mean the same to the
        # user, and the cause is chained.
        raise PrepareError(
            f"expected {checkpoint.format} tensors in {path}, from {checkpoint.origin}",
            detail=f"{type(error).__name__}: {error}",
        ) from error
    if isinstance(tensors, Mapping) and isinstance(tensors.get("state_dict"), Mapping):
        tensors = tensors["state_dict"]
    if not isinstance(tensors, Mapping):
        raise PrepareError(
            f"expected a dictionary of tensors in {path}, got {type(tensors).__name__}"
        )
    arrays = {}
    for name, tensor in tensors.items():
        if hasattr(tensor, "is_floating_point"):
            tensor = (tensor.float() if tensor.is_floating_point() else tensor).numpy()
        if not isinstance(tensor, np.ndarray):
            raise PrepareError(
                f"expected a tensor at {name!r} in {path}, got {type(tensor).__name__}"
            )
        arrays[str(name).removeprefix("module.")] = tensor
    return arrays


@contextlib.contextmanager
def _member(path: Path, member: str | None) -> Iterator[Path | io.BytesIO]:
    """Open a file, or a member of an archive in memory: nothing is unpacked.

    Yields
    ------
    Path or BytesIO
        What the libraries read.
    """
    if member is None:
        yield path
        return
    with zipfile.ZipFile(path) as archive:
        yield io.BytesIO(archive.read(member))


def _read_torch(body: Path | io.BytesIO) -> Any:
    import torch

    return torch.load(body, map_location="cpu", weights_only=True)


def _read_safetensors(body: Path | io.BytesIO) -> Any:
    from safetensors.torch import load

    return load(body.read_bytes() if isinstance(body, Path) else body.getvalue())


def _read_keras(body: Path | io.BytesIO) -> Any:
    """Read the arrays of a Keras model by their paths, and not its configuration.

    Loading that could run code.
    """
    import h5py

    arrays: dict[str, Array] = {}

    def keep(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            arrays[name.removesuffix(":0")] = np.asarray(item[()], np.float32)

    with h5py.File(body, "r") as file:
        file.get("model_weights", file).visititems(keep)
    return arrays


def check_names(weights: Iterable[str], wanted: Iterable[str], origin: str) -> None:
    """Refuse weights that are not exactly those of the architecture.

    Parameters
    ----------
    weights, wanted : iterable of str
        Names that came, and names that were expected.
    origin : str
        Where they came from, for the message.

    Raises
    ------
    PrepareError
        Names are missing or too many.
    """
    came, expected = set(weights), set(wanted)
    if came == expected:
        return
    missing, extra = sorted(expected - came), sorted(came - expected)
    raise PrepareError(
        f"{origin}: {len(missing)} of {len(expected)} tensors are missing, "
        f"{len(extra)} are unknown",
        detail=f"missing: {missing[:3]}; unknown: {extra[:3]}",
    )


def check_shape(
    name: str, array: Array, expected: tuple[int, ...], origin: str
) -> None:
    """Refuse a tensor of another shape.

    Parameters
    ----------
    name : str
        Of the tensor.
    array : ndarray
        What came.
    expected : tuple of int
        Its shape in the architecture.
    origin : str
        Where it came from, for the message.

    Raises
    ------
    PrepareError
        The shape differs.
    """
    if array.shape != expected:
        raise PrepareError(
            f"{origin}: expected shape {expected} for {name!r}, got {array.shape}"
        )
