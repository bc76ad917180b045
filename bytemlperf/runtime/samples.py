"""Samples in memory: chosen before the clock starts, contiguous and aligned.

It refuses to know where samples come from; datasets bring arrays, or a library of
their own.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from bytemlperf._native.buffer_pool import SLOT_ALIGNMENT, AlignedBuffer
from bytemlperf.errors import ConfigError, ResourceError
from bytemlperf.tensor_spec import TensorSpec

__all__ = ["Array", "ArraySamples", "SampleLibrary", "aligned_step"]

Array = npt.NDArray[Any]


@runtime_checkable
class SampleLibrary(Protocol):
    """What a run draws its samples from."""

    @property
    def count(self) -> int:
        """Samples that exist."""

    @property
    def spec(self) -> tuple[TensorSpec, ...]:
        """One spec for each input; the first dimension is a sample's rows."""

    def load(self, indices: Sequence[int]) -> Mapping[str, Array]:
        """Bring samples into memory.

        Parameters
        ----------
        indices : sequence of int
            Which samples, in the order in which they are to lie.

        Returns
        -------
        Mapping of str to ndarray
            For each input ``len(indices) * rows`` rows on axis 0, C-contiguous,
            64-byte aligned and read-only, valid until `unload`.
        """

    def unload(self, indices: Sequence[int]) -> None:
        """Let the samples go that `load` brought.

        Parameters
        ----------
        indices : sequence of int
            The ones given to `load`.
        """


class ArraySamples:
    """A sample library over arrays, which may be memory maps.

    Parameters
    ----------
    arrays : Mapping of str to ndarray
        For each input ``count * rows_per_sample[name]`` rows on axis 0, C-contiguous,
        of a plain (not object) dtype.
    rows_per_sample : Mapping of str to int, optional
        Rows a sample takes on axis 0; 1 for inputs not named.

    Raises
    ------
    ConfigError
        There is no input, an array cannot be used, or the arrays disagree about how
        many samples there are.

    Notes
    -----
    Loading the same indices again while they are loaded costs nothing: the arrays are
    shared, and freed by the last `unload`.
    """

    def __init__(
        self,
        arrays: Mapping[str, Array],
        rows_per_sample: Mapping[str, int] | None = None,
    ) -> None:
        rows = dict(rows_per_sample or {})
        if not arrays:
            raise ConfigError("a sample library needs at least one input array")
        for name in rows.keys() - arrays.keys():
            raise ConfigError(
                f"rows_per_sample names {name!r}, but the inputs are {sorted(arrays)}"
            )
        counts: dict[str, int] = {}
        for name, array in arrays.items():
            counts[name] = _count_samples(name, array, rows.get(name, 1))
        if len(set(counts.values())) != 1:
            raise ConfigError(f"inputs disagree about the number of samples: {counts}")
        self._arrays = dict(arrays)
        self._rows = {name: rows.get(name, 1) for name in arrays}
        self._count = next(iter(counts.values()))
        self._loaded: dict[str, Array] = {}
        self._loaded_indices: tuple[int, ...] = ()
        self._buffers: list[AlignedBuffer] = []
        self._load_count = 0

    @property
    def count(self) -> int:
        """Samples that exist."""
        return self._count

    @property
    def arrays(self) -> dict[str, Array]:
        """The arrays that samples are copied from, by input name."""
        return dict(self._arrays)

    @property
    def spec(self) -> tuple[TensorSpec, ...]:
        """One spec for each input; the first dimension is a sample's rows."""
        return tuple(
            TensorSpec(
                name=name,
                dtype=array.dtype.name,
                shape=(self._rows[name], *array.shape[1:]),
            )
            for name, array in self._arrays.items()
        )

    @property
    def is_locked(self) -> bool:
        """Whether the kernel promised to keep all loaded samples resident."""
        return bool(self._buffers) and all(buffer.is_locked for buffer in self._buffers)

    def load(self, indices: Sequence[int]) -> Mapping[str, Array]:
        """Copy samples into aligned, read-only arrays.

        Parameters
        ----------
        indices : sequence of int
            Which samples, 0 <= index < `count`, in the order in which they are to lie.

        Returns
        -------
        Mapping of str to ndarray
            For each input ``len(indices) * rows`` rows on axis 0, valid until the
            matching `unload`.

        Raises
        ------
        ConfigError
            There are no indices, or one does not exist.
        ResourceError
            Other samples are loaded already.
        """
        chosen = tuple(indices)
        if self._load_count:
            if chosen != self._loaded_indices:
                raise ResourceError(
                    f"{len(self._loaded_indices)} other samples are loaded",
                    hint="unload them first",
                )
            self._load_count += 1
            return dict(self._loaded)
        if not chosen:
            raise ConfigError("there is nothing to load: no sample was chosen")
        for index in chosen:
            if not 0 <= index < self._count:
                raise ConfigError(
                    f"sample {index} does not exist: the library has {self._count}"
                )
        wanted = np.asarray(chosen, dtype=np.int64)
        for name, array in self._arrays.items():
            self._loaded[name] = self._copy(array, self._rows[name], wanted)
        self._loaded_indices = chosen
        self._load_count = 1
        return dict(self._loaded)

    def _copy(self, array: Array, rows: int, wanted: npt.NDArray[np.int64]) -> Array:
        shape = (len(wanted), rows, *array.shape[1:])
        source = array.reshape(self._count, rows, *array.shape[1:])
        nbytes = int(np.prod(shape, dtype=np.int64)) * array.dtype.itemsize
        buffer = AlignedBuffer(nbytes, lock=True)
        target = np.frombuffer(memoryview(buffer), array.dtype).reshape(shape)
        # Without mode="clip" numpy goes through a buffer of its own, twice as slow.
        np.take(source, wanted, axis=0, out=target, mode="clip")
        del target
        buffer.freeze()
        self._buffers.append(buffer)
        loaded: Array = np.frombuffer(memoryview(buffer), array.dtype)
        return loaded.reshape(len(wanted) * rows, *array.shape[1:])

    def unload(self, indices: Sequence[int]) -> None:
        """Let loaded samples go; the last of several loads frees them.

        Parameters
        ----------
        indices : sequence of int
            The ones given to `load`.

        Raises
        ------
        ResourceError
            These samples are not loaded.
        """
        if not self._load_count or tuple(indices) != self._loaded_indices:
            raise ResourceError(
                f"samples were unloaded that are not loaded: {len(indices)} given, "
                f"{len(self._loaded_indices)} loaded"
            )
        self._load_count -= 1
        if not self._load_count:
            self._loaded = {}
            self._loaded_indices = ()
            self._buffers = []

    def __repr__(self) -> str:
        return (
            f"<ArraySamples [{len(self._loaded_indices)} loaded of {self._count} | "
            f"{', '.join(self._arrays)}]>"
        )


def _count_samples(name: str, array: Array, rows: int) -> int:
    if rows < 1:
        raise ConfigError(f"a sample of {name!r} takes at least 1 row, not {rows}")
    if array.dtype.hasobject:
        raise ConfigError(f"input {name!r} has dtype {array.dtype}: not plain data")
    if array.ndim < 1 or not array.flags.c_contiguous:
        raise ConfigError(
            f"input {name!r} must be C-contiguous with samples on axis 0, "
            f"not of shape {array.shape}"
        )
    count, rest = divmod(array.shape[0], rows)
    if rest or not count:
        raise ConfigError(
            f"input {name!r} has {array.shape[0]} rows, which is not a whole number "
            f"of samples of {rows} rows"
        )
    if array.nbytes == 0:
        raise ConfigError(f"input {name!r} of shape {array.shape} holds no data")
    return int(count)


def aligned_step(sample_bytes: Iterable[int]) -> int:
    """Find how many samples apart two samples with aligned data are.

    Parameters
    ----------
    sample_bytes : iterable of int
        Bytes of one sample, for each input.

    Returns
    -------
    int
        Smallest step, 1 to 64, such that ``step * size`` is a multiple of 64 for each.
    """
    step = 1
    for size in sample_bytes:
        step = max(step, SLOT_ALIGNMENT // math.gcd(size, SLOT_ALIGNMENT))
    return step
