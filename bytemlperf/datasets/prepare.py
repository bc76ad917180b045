"""Turn a dataset into cached samples that any process can map.

Input: a model's tensor specs and hints, a data folder, a cache folder. Output:
`PreparedSamples`. Where the real data is absent, synthetic samples take its place and
the result says so.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import cast

import msgspec
import numpy as np

from bytemlperf.datasets import cail, cifar, coco, criteo, imagenet, squad, synthetic
from bytemlperf.datasets.draft import Draft, Progress, Request, Unavailable
from bytemlperf.datasets.prepared import (
    MANIFEST_NAME,
    ModelHints,
    PreparedSamples,
    load_prepared,
)
from bytemlperf.datasets.sample_cache import SampleWriter, publish_once
from bytemlperf.errors import ConfigError, PrepareError, UnknownNameError
from bytemlperf.plug_ins import plug_ins
from bytemlperf.tensor_spec import TensorSpec

__all__ = ["DATASETS", "find_data_root", "prepare_samples"]

# Part of every key: raise it whenever the same parameters would give other samples.
CACHE_VERSION = 1

SYNTHETIC_DATASET = "fake_dataset"

ENTRY_POINT_GROUP = "bytemlperf.datasets"

Loader = Callable[[Request], Draft | Unavailable]

DATASETS: dict[str, Loader] = {
    SYNTHETIC_DATASET: synthetic.draft,
    "open_imagenet": imagenet.draft,
    "open_squad": squad.draft,
    "open_criteo_kaggle": criteo.draft,
    "open_coco": coco.draft,
    "open_cail2019": cail.draft,
    "open_cifar10": cifar.draft_cifar10,
    "open_cifar100": cifar.draft_cifar100,
}


def find_data_root() -> Path | None:
    """Find the folder of real data.

    Returns
    -------
    Path or None
        What the environment variable ``BYTEMLPERF_DATA`` names, else ``shared/data``
        beside the checkout, else None.

    Raises
    ------
    ConfigError
        If the variable names something that is no folder.
    """
    named = os.environ.get("BYTEMLPERF_DATA")
    if named:
        root = Path(named).expanduser()
        if not root.is_dir():
            raise ConfigError(f"BYTEMLPERF_DATA={named!r} is not a folder")
        return root.resolve()
    beside = Path(__file__).resolve().parents[3] / "shared" / "data"
    return beside if beside.is_dir() else None


def prepare_samples(
    dataset_name: str | None,
    *,
    specs: tuple[TensorSpec, ...],
    model: ModelHints,
    cache_dir: Path,
    data_root: Path | None,
    max_samples: int | None,
    seed: int,
    download_root: Path | None = None,
    progress: Progress | None = None,
) -> PreparedSamples:
    """Prepare samples for a model, or find them in the cache.

    Parameters
    ----------
    dataset_name : str, optional
        A key of `DATASETS`, or an entry point of the group ``bytemlperf.datasets``,
        which names a loader like theirs; None and ``"fake_dataset"`` mean synthetic
        samples.
    specs : tuple of TensorSpec
        The model's inputs.
    model : ModelHints
        What else a loader must know of it.
    cache_dir : Path
        Made if absent. Samples of equal data and parameters share one entry.
    data_root : Path, optional
        As from `find_data_root`; None if there is no data.
    max_samples : int, optional
        Take no more than so many, evenly spaced; None takes all. A loader whose
        samples belong together (the windows of one SQuAD question) stops before the
        group that would exceed it.
    seed : int
        Seed of everything drawn.
    download_root : Path, optional
        Folder of downloaded data, where `data_root` has none.
    progress : callable, optional
        Called with (stage, done, total) from this thread.

    Returns
    -------
    PreparedSamples
        `origin` says whether they are real, `reason` why not.

    Raises
    ------
    UnknownNameError
        If there is no such dataset or transform.
    ConfigError
        If `specs` is empty or `max_samples` below 1.
    PrepareError
        If the data is there but damaged, or does not fit the model; the message names
        the file and the position. Nothing half-written stays.
    StorageError
        If the cache cannot be written.
    """
    if not specs:
        raise ConfigError(f"{model.model}: a model without inputs needs no samples")
    if max_samples is not None and max_samples < 1:
        raise ConfigError(f"max_samples should be at least 1, it is {max_samples}")
    for spec in specs:
        _check_dtype(model.model, spec)
    dataset = dataset_name or SYNTHETIC_DATASET
    loader = _loader(dataset)
    request = Request(
        specs=specs,
        hints=model,
        data_root=data_root,
        max_samples=max_samples,
        seed=seed,
        download_root=download_root,
    )
    drafted = loader(request)
    reason = None
    if isinstance(drafted, Unavailable):
        reason = drafted.reason
        drafted = synthetic.draft(request)
    elif dataset == SYNTHETIC_DATASET:
        reason = "the model names no dataset"
    return _publish(dataset, reason, drafted, request, cache_dir, progress)


def _loader(dataset: str) -> Loader:
    """Return the function that drafts a dataset: ours, or a plug-in's."""
    if dataset in DATASETS:
        return DATASETS[dataset]
    points = {point.name: point for point in plug_ins(ENTRY_POINT_GROUP)}
    if dataset not in points:
        raise UnknownNameError("dataset", dataset, [*DATASETS, *points])
    try:
        loader = points[dataset].load()
    except Exception as error:
        # Whatever a plug-in's import raises, the user needs to hear whose it was.
        raise PrepareError(
            f"dataset {dataset!r}: plug-in {points[dataset].value} cannot be loaded",
            detail=f"{type(error).__name__}: {error}",
        ) from error
    if not callable(loader):
        raise PrepareError(
            f"dataset {dataset!r}: plug-in {points[dataset].value} is "
            f"{type(loader).__name__}, expected a function draft(request)"
        )
    return cast(Loader, loader)


def _check_dtype(model: str, spec: TensorSpec) -> None:
    try:
        drawable = np.dtype(spec.dtype).kind in tuple("biuf")
    except TypeError:
        drawable = False
    if not drawable:
        raise PrepareError(
            f"{model}: input {spec.name!r} has dtype {spec.dtype!r}; samples can be "
            "bool, integers and floats that numpy knows"
        )


def _publish(
    dataset: str,
    reason: str | None,
    drafted: Draft,
    request: Request,
    cache_dir: Path,
    progress: Progress | None,
) -> PreparedSamples:
    key = _key(dataset, reason, drafted, request)

    def fill(folder: Path) -> None:
        out = SampleWriter(folder)
        written = drafted.write(out, progress or _no_progress)
        out.flush()
        manifest = PreparedSamples(
            folder="",
            key=key,
            dataset=dataset,
            origin="real" if reason is None else "synthetic",
            reason=reason,
            count=written.count,
            unit=drafted.unit,
            files=out.input_files,
            rows_per_sample=out.rows_per_sample,
            subset=written.subset,
            transform=drafted.transform,
            licence=drafted.licence,
            source_sha256=drafted.source_sha256,
            label_files=out.label_files,
            metric=drafted.metric,
            output_roles=request.hints.output_roles,
            seed=request.seed,
            parameters=drafted.parameters,
            shared=tuple(spec.name for spec in request.specs if spec.shared),
        )
        (folder / MANIFEST_NAME).write_bytes(
            msgspec.json.format(msgspec.json.encode(manifest))
        )

    return load_prepared(publish_once(cache_dir, key, is_whole=_is_whole, fill=fill))


def _is_whole(folder: Path) -> bool:
    try:
        load_prepared(folder)
    except PrepareError:
        return False
    return True


def _key(dataset: str, reason: str | None, drafted: Draft, request: Request) -> str:
    material = msgspec.json.encode(
        {
            "version": CACHE_VERSION,
            "dataset": dataset,
            "reason": reason,
            "specs": request.specs,
            "shapes": [request.shape(spec) for spec in request.specs],
            "max_samples": request.max_samples,
            "seed": request.seed,
            "output_roles": request.hints.output_roles,
            "sources": drafted.source_sha256,
            "parameters": drafted.parameters,
        },
        order="sorted",
    )
    return hashlib.sha256(material).hexdigest()[:32]


def _no_progress(stage: str, done: int, total: int) -> None:
    """Report to nobody."""
