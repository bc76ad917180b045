"""Samples in batches, for a backend's calibration and its own benchmark.

Input: memory-mapped samples. Output: feeds by batch index. It is the dataloader of the
vendor guide.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy.typing as npt

__all__ = ["CalibrationData"]


class CalibrationData:
    """The prepared samples in batches.

    Parameters
    ----------
    arrays : mapping of str to ndarray
        All samples, rows on axis 0, by input name.
    rows_per_sample : mapping of str to int
        Rows of one sample, by input name.
    batch_size : int
        Samples per batch, >= 1; the last batch may be shorter.
    shared : tuple of str
        Inputs that every batch has one sample's rows of.
    """

    def __init__(
        self,
        arrays: Mapping[str, npt.NDArray[Any]],
        rows_per_sample: Mapping[str, int],
        batch_size: int = 1,
        *,
        shared: tuple[str, ...] = (),
    ) -> None:
        self._arrays = arrays
        self._rows_per_sample = rows_per_sample
        self.batch_size = batch_size
        self._shared = shared
        name = next(iter(arrays))
        self._count: int = arrays[name].shape[0] // rows_per_sample[name]

    def get_item_count(self) -> int:
        """Return the number of samples."""
        return self._count

    def get_batch_count(self) -> int:
        """Return the number of batches."""
        return -(-self._count // self.batch_size)

    def rebatch(self, batch_size: int) -> None:
        """Change the samples per batch; no sample is dropped.

        Parameters
        ----------
        batch_size : int
            >= 1.
        """
        self.batch_size = batch_size

    def get_samples(self, index: int) -> dict[str, npt.NDArray[Any]]:
        """Return one batch of feeds.

        Parameters
        ----------
        index : int
            0 to ``get_batch_count() - 1``.

        Returns
        -------
        dict of str to ndarray
            Read-only views.

        Raises
        ------
        IndexError
            There is no such batch.
        """
        if not 0 <= index < self.get_batch_count():
            raise IndexError(f"batch {index} of {self.get_batch_count()}")
        first = index * self.batch_size
        last = min(first + self.batch_size, self._count)
        batch = {}
        for name, array in self._arrays.items():
            rows = self._rows_per_sample[name]
            end = first + 1 if name in self._shared else last
            batch[name] = array[first * rows : end * rows]
        return batch

    def __len__(self) -> int:
        return self.get_batch_count()

    def __iter__(self) -> Iterator[dict[str, npt.NDArray[Any]]]:
        for index in range(self.get_batch_count()):
            yield self.get_samples(index)
