"""The contract between `prepare_samples` and the loaders: request in, draft out.

A loader module has one function ``draft(request)``. It looks whether its data is there
(cheaply), and returns a `Draft` that knows every parameter the samples depend on, or
an `Unavailable` that says what is missing. Only the draft's `write` does the work.
"""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np

from bytemlperf.datasets.prepared import Metric, ModelHints, Parameter
from bytemlperf.datasets.sample_cache import SampleWriter
from bytemlperf.errors import PrepareError
from bytemlperf.tensor_spec import Semantics, TensorSpec

__all__ = [
    "Draft",
    "Progress",
    "Request",
    "Unavailable",
    "Written",
    "choose_evenly",
    "file_sha256",
    "map_in_order",
]

Progress = Callable[[str, int, int], None]
"""Called with (stage, done, total), from the thread that called `prepare_samples`."""

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Request:
    """What samples are wanted.

    Parameters
    ----------
    specs : tuple of TensorSpec
        The model's inputs.
    hints : ModelHints
        What else is known of the model.
    data_root : Path, optional
        Where data is looked for; None if there is none.
    max_samples : int, optional
        Take no more than so many; None takes all.
    seed : int
        Seed of everything drawn.
    download_root : Path, optional
        Folder of what was downloaded; the data folder goes first.
    """

    specs: tuple[TensorSpec, ...]
    hints: ModelHints
    data_root: Path | None
    max_samples: int | None
    seed: int
    download_root: Path | None = None

    def find(self, *names: str) -> Path | None:
        """Find the first of several files or folders that is there.

        Parameters
        ----------
        *names : str
            Relative to the folders of data, the best first.

        Returns
        -------
        Path or None
            None if there is none of them.
        """
        for name in names:
            for root in (self.data_root, self.download_root):
                if root is not None and (root / name).exists():
                    return root / name
        return None

    def missing(self, *names: str) -> str:
        """Say what was looked for, and where.

        Parameters
        ----------
        *names : str
            As for `find`.

        Returns
        -------
        str
            A reason.
        """
        looked_for = " nor ".join(names)
        return (
            f"{'neither ' if len(names) > 1 else 'no '}{looked_for} under the data "
            f"folder {self.data_root}"
        )

    def shape(self, spec: TensorSpec) -> tuple[int, ...]:
        """Return a sample's shape with every named dimension resolved.

        Parameters
        ----------
        spec : TensorSpec
            One of `specs`.

        Returns
        -------
        tuple of int
            All positive.

        Raises
        ------
        PrepareError
            If a name has no size in the hints.
        """
        return tuple(self._size(spec, dimension) for dimension in spec.shape)

    def _size(self, spec: TensorSpec, dimension: int | str) -> int:
        size: int | None
        if isinstance(dimension, int):
            size = dimension
        elif dimension in self.hints.dims:
            size = self.hints.dims[dimension]
        elif spec.semantics in ("token_ids", "attention_mask", "segment_ids"):
            size = self.hints.max_seq_length
        elif spec.semantics == "image":
            size = self.hints.image_size
        else:
            size = None
        if size is None or size < 1:
            raise PrepareError(
                f"{self.hints.model}: input {spec.name!r} has shape {spec.shape}, and "
                f"dimension {dimension!r} has no positive size",
                hint="give it in `preprocess.dims` of the model json",
            )
        return size

    def choose(self, total: int) -> list[int]:
        """Choose positions evenly, and put them into a random order.

        In that order any first n of the samples are a fair subset, which matters for
        files sorted by class.

        Parameters
        ----------
        total : int
            How many positions there are.

        Returns
        -------
        list of int
            At most `max_samples` different positions in ``[0, total)``.
        """
        chosen = choose_evenly(total, self.max_samples)
        random = np.random.Generator(np.random.PCG64(self.seed))
        return [chosen[at] for at in random.permutation(len(chosen))]

    def only_spec(self, dataset: str, semantics: Semantics) -> TensorSpec:
        """Return the one input that a single-input dataset fills.

        Parameters
        ----------
        dataset : str
            For the message.
        semantics : str
            What the input must mean; a model with a single input passes whatever it
            says, for model files older than semantics.

        Returns
        -------
        TensorSpec
            One of `specs`.

        Raises
        ------
        PrepareError
            If there is no such input or several, or if others would stay empty.
        """
        if len(self.specs) != 1:
            raise PrepareError(
                f"{self.hints.model}: {dataset} fills one {semantics} input, but the "
                f"model has {len(self.specs)}: {[spec.name for spec in self.specs]}"
            )
        return self.specs[0]


@dataclass(frozen=True)
class Unavailable:
    """The data is not there: `reason` says what was looked for."""

    reason: str


@dataclass(frozen=True)
class Written:
    """What a draft found out while it wrote.

    Parameters
    ----------
    count : int
        Number of samples.
    subset : str
        What was taken of which data, for people.
    """

    count: int
    subset: str


@dataclass(frozen=True)
class Draft:
    """Samples that can be written.

    Parameters
    ----------
    unit, transform, licence, metric
        As in `PreparedSamples`.
    source_sha256 : dict of str to str
        Data file to its SHA-256.
    parameters : dict
        All the samples depend on besides the data: part of the cache key.
    write : callable
        Fills a `SampleWriter`, calling a `Progress` now and then.
    """

    unit: str
    transform: str
    licence: str
    write: Callable[[SampleWriter, Progress], Written]
    metric: Metric | None = None
    source_sha256: dict[str, str] = field(default_factory=dict)
    parameters: dict[str, Parameter] = field(default_factory=dict)


def choose_evenly(total: int, max_samples: int | None) -> list[int]:
    """Choose at most `max_samples` of `total` positions, evenly spaced, in order.

    Evenly rather than at random: a file sorted by class then still gives every class
    its share, and the choice can be repeated by hand.

    Parameters
    ----------
    total : int, >= 0
        How many there are.
    max_samples : int, optional
        How many are wanted; None for all.

    Returns
    -------
    list of int
        Increasing positions in ``[0, total)``.
    """
    if max_samples is None or max_samples >= total:
        return list(range(total))
    return [position * total // max_samples for position in range(max_samples)]


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal.

    Parameters
    ----------
    path : Path
        An existing file.

    Returns
    -------
    str
        64 hexadecimal digits.

    Raises
    ------
    PrepareError
        If it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise PrepareError(
            f"cannot read the data file {path}", detail=str(error)
        ) from error


def map_in_order(
    function: Callable[[Item], Result], items: Iterable[Item]
) -> Iterator[Result]:
    """Map over items with a few threads and few items in flight, keeping their order.

    Parameters
    ----------
    function : callable
        Runs in worker threads; its first error is raised here.
    items : iterable
        Read from the calling thread, a few ahead.

    Yields
    ------
    object
        Results in the order of the items.
    """
    workers = min(4, len(os.sched_getaffinity(0)))
    pending: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="prepare") as pool:
        try:
            for item in items:
                pending.append(pool.submit(function, item))
                if len(pending) >= 4 * workers:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
