"""A cache folder that is whole or absent, and made by one process at a time.

Input: a key and a function that fills a folder. Output: the filled folder.
It refuses to know what is in it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bytemlperf.errors import StorageError

__all__ = ["SampleWriter", "publish_once"]


class SampleWriter:
    """Writes the arrays of one cache entry into a folder not yet published.

    Parameters
    ----------
    folder : Path
        An empty folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._mapped: list[np.memmap[Any, Any]] = []
        self.input_files: dict[str, str] = {}
        self.rows_per_sample: dict[str, int] = {}
        self.label_files: dict[str, str] = {}

    def add_input(
        self, name: str, *, count: int, dtype: str, sample_shape: tuple[int, ...]
    ) -> npt.NDArray[Any]:
        """Reserve an input's array on disk and map it for writing.

        Parameters
        ----------
        name : str
            The input's name.
        count : int
            Number of samples.
        dtype : str
            A numpy dtype name.
        sample_shape : tuple of int
            Shape of a sample; its first dimension is the rows it takes.

        Returns
        -------
        numpy.ndarray
            Shape ``(count, *sample_shape)``, all zeros: fill it in place, from any
            thread, one sample each.
        """
        file_name = f"input_{len(self.input_files)}.npy"
        rows, *rest = sample_shape
        mapped = self._map(self._folder / file_name, dtype, (count * rows, *rest))
        self.input_files[name] = file_name
        self.rows_per_sample[name] = rows
        return mapped.reshape(count, *sample_shape)

    def add_label(self, column: str, values: npt.NDArray[Any]) -> None:
        """Write a label column.

        Parameters
        ----------
        column : str
            The column's name, safe in a file name.
        values : numpy.ndarray
            Any numeric or boolean array.
        """
        file_name = f"label_{column}.npy"
        np.save(
            self._folder / file_name, np.ascontiguousarray(values), allow_pickle=False
        )
        self.label_files[column] = file_name

    def add_text_label(self, column: str, texts: Sequence[str]) -> None:
        """Write a column of texts as UTF-8 bytes and offsets.

        Parameters
        ----------
        column : str
            The column's name.
        texts : sequence of str
            The texts.
        """
        encoded = [text.encode() for text in texts]
        ends = np.cumsum([0, *(len(text) for text in encoded)], dtype=np.int64)
        self.add_label(f"{column}.utf8", np.frombuffer(b"".join(encoded), np.uint8))
        self.add_label(f"{column}.offsets", ends)

    def flush(self) -> None:
        """Write what is mapped to the file system."""
        for mapped in self._mapped:
            mapped.flush()

    def _map(
        self, path: Path, dtype: str, shape: tuple[int, ...]
    ) -> np.memmap[Any, Any]:
        mapped = np.lib.format.open_memmap(path, "w+", np.dtype(dtype), shape)
        # A sparse file on a full disk would kill us with SIGBUS at the first write to
        # it; reserving the blocks turns that into an error that can be reported.
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
        self._mapped.append(mapped)
        return mapped


def publish_once(
    cache_dir: Path,
    key: str,
    *,
    is_whole: Callable[[Path], bool],
    fill: Callable[[Path], None],
) -> Path:
    """Return the folder of `key`, filling it first if it is absent or damaged.

    Parameters
    ----------
    cache_dir : Path
        Made if absent.
    key : str
        Names the folder.
    is_whole : callable
        Takes the folder; False means it is damaged and is made anew.
    fill : callable
        Takes an empty folder and fills it. If it raises, nothing stays.

    Returns
    -------
    Path
        ``cache_dir / key``, complete.

    Raises
    ------
    StorageError
        If the folder cannot be written, for example on a full disk.
    """
    target = cache_dir / key
    try:
        with _locked(cache_dir / ".locks" / f"{key}.lock"):
            if target.is_dir() and is_whole(target):
                return target
            # We hold the lock, so partial folders of this key are of dead processes.
            for left_over in cache_dir.glob(f".partial-{key}-*"):
                shutil.rmtree(left_over)
            # As public as the umask says; mkdtemp's folders are private.
            partial = cache_dir / f".partial-{key}-{os.getpid()}"
            partial.mkdir()
            try:
                fill(partial)
                if target.is_dir():
                    shutil.rmtree(target)
                partial.rename(target)
            except BaseException:
                shutil.rmtree(partial, ignore_errors=True)
                raise
    except StorageError:
        raise
    except OSError as error:
        raise StorageError(
            f"cannot write the sample cache {target}: {error.strerror or error}",
            hint="free some space, or name another cache folder",
        ) from error
    return target


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
