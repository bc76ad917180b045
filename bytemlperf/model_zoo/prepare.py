"""From a model file to a model on the disk.

Input: a `ModelInfo` and a cache folder. Output: a `PreparedModel`, whose path a backend
can open. What is built depends on nothing but the model file, the source of the
builders, the weights and the versions of the frameworks: that is the cache's key.
"""

from __future__ import annotations

import hashlib
import inspect
import shutil
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

import msgspec

from bytemlperf.errors import BytemlperfError, ConfigError, PrepareError, StorageError
from bytemlperf.model_zoo import exporting, precision, torchscript_file
from bytemlperf.model_zoo.artefact_store import (
    Entry,
    Progress,
    find_or_build,
    hash_tree,
)
from bytemlperf.model_zoo.builders import Architecture, find_architecture
from bytemlperf.model_zoo.calibration import (
    CalibrationSamples,
    is_calibrated,
    with_examples,
)
from bytemlperf.model_zoo.checkpoints import (
    WeightsChoice,
    WeightsFile,
    canonical_weights,
    choose_checkpoint,
)
from bytemlperf.model_zoo.operations import count_operations
from bytemlperf.model_zoo.schema import ModelInfo
from bytemlperf.model_zoo.training import TrainingSamples, train_weights
from bytemlperf.model_zoo.weights import hash_weights

__all__ = ["PreparedModel", "prepare_model"]

# The largest number of bytes an artefact takes for each parameter: float32, and half as
# much again for graphs and for what a format keeps while it is being written.
BYTES_PER_PARAMETER = 6


class PreparedModel(msgspec.Struct, frozen=True, kw_only=True):
    """A model that is on the disk.

    Parameters
    ----------
    name : str
        The model file's `model`.
    model_path : str
        A TorchScript file, a SavedModel folder or an ``.onnx`` file; absolute.
    framework, model_format : str
        As the model file says.
    weights : {"seeded", "trained", "user"}
        Where the numbers come from: accuracy means something for trained ones only.
    weights_source : str
        The seed, the URL, or the path.
    weights_sha256 : str
        Hash of the canonical weights; empty for a user's model.
    sha256 : str
        Of the artefact: of the file, or of the sorted list of a folder's files.
    bytes : int
        Size of the artefact.
    parameter_count : int or None
        Trainable numbers; None for a user's model.
    cached : bool
        It was there already.
    ops_per_sample : int or None
        Operations of one sample's matrix products and convolutions, where they could be
        counted when it was built.
    build_seconds : float
        What the build took, when it was built; 0 if nobody passed a clock.
    weights_licence : str or None
        Of trained weights.
    weights_file : WeightsFile or None
        Trained weights, and where they are.
    """

    name: str
    model_path: str
    framework: str
    model_format: str
    weights: Literal["seeded", "trained", "user"]
    weights_source: str
    weights_sha256: str
    sha256: str
    bytes: int
    parameter_count: int | None
    cached: bool
    build_seconds: float = 0.0
    ops_per_sample: int | None = None
    weights_licence: str | None = None
    weights_file: WeightsFile | None = None


def prepare_model(
    info: ModelInfo,
    cache_dir: Path,
    *,
    model_path: Path | None = None,
    data_root: Path | None = None,
    weights: WeightsChoice = "auto",
    training_samples: Callable[[], TrainingSamples | None] | None = None,
    calibration_samples: Callable[[], CalibrationSamples] | None = None,
    offline: bool = False,
    progress: Progress | None = None,
    now_ns: Callable[[], int] | None = None,
) -> PreparedModel:
    """Return a model that a backend can open, building it if need be.

    Parameters
    ----------
    info : ModelInfo
        What is wanted.
    cache_dir : Path
        Where models and checkpoints are kept; made if absent.
    model_path : Path, optional
        The user's own model, used as it is.
    data_root : Path, optional
        Folder of real data; some checkpoints are in it.
    weights : {"auto", "seeded", "download"}, default "auto"
        "auto" takes a checkpoint that is in the data folder or was downloaded before,
        else trains if the model file says how and the samples are there, else takes a
        seed; it never touches the network. "download" fetches a checkpoint, and fails
        if it cannot.
    training_samples : callable, optional
        Returns what to train on, or None if it is not there. Called only for a model
        file with a recipe, and no checkpoint.
    calibration_samples : callable, optional
        Returns what an int8 model's activations are measured with. Called only for a
        model that needs it; without it they are measured on seeded inputs.
    offline : bool, default False
        Refuse to download; "download" then works with what is in the cache.
    progress : callable, optional
        Called with (stage, done, total).
    now_ns : callable, optional
        A monotonic clock, int ns, to time a build with.

    Returns
    -------
    PreparedModel
        With an absolute path.

    Raises
    ------
    ConfigError
        `model_path` does not exist or is of the wrong kind, or `weights` is unknown.
    PrepareError
        The model cannot be built, or its checkpoint cannot be had.
    StorageError
        The cache cannot be written.
    """
    report = progress or (lambda stage, done, total: None)
    if weights not in ("auto", "seeded", "download"):
        raise ConfigError(
            f"weights: expected auto, seeded or download, got {weights!r}"
        )
    if model_path is not None:
        return _use_as_is(info, model_path, report)
    if info.builder is None:
        raise PrepareError(
            f"{info.model}: the model file names no builder",
            hint="bring the model along with --model_path",
        )
    architecture = find_architecture(info.builder)
    cache_dir = cache_dir.absolute()
    chosen = None
    if info.weights or info.training is None:
        chosen = choose_checkpoint(
            info,
            cache_dir,
            weights,
            data_root=data_root.absolute() if data_root else None,
            offline=offline,
            progress=report,
        )
    if chosen is None and info.training and training_samples and weights != "seeded":
        samples = training_samples()
        if samples is not None:
            chosen = train_weights(info, architecture, samples, cache_dir, report)
    calibration = (
        calibration_samples() if calibration_samples and is_calibrated(info) else None
    )
    key = _key(info, architecture, chosen, calibration)
    folder = cache_dir / f"{info.model}-{key[:16]}"
    started_ns = now_ns() if now_ns else 0

    def build(part: Path) -> tuple[str, dict[str, str | int | float]]:
        facts = _build(info, architecture, chosen, calibration, part, report)
        if now_ns:
            facts["build_seconds"] = (now_ns() - started_ns) / 1e9
        return exporting.ARTEFACTS[info.model_format], facts

    entry, cached = find_or_build(folder, build, report)
    return _describe(info, folder, entry, chosen, cached)


def _use_as_is(info: ModelInfo, path: Path, report: Progress) -> PreparedModel:
    """Check that a user's model is of the kind the model file says, and hash it."""
    path = path.absolute()
    if not path.exists():
        raise ConfigError(f"{info.model}: model_path {path} does not exist")
    if info.model_format == "saved_model":
        kind_fits = any(
            (path / name).is_file() for name in ("saved_model.pb", "saved_model.pbtxt")
        )
        wanted = "a SavedModel folder (with saved_model.pb)"
    else:
        kind_fits = path.is_file() and path.suffix in (
            (".onnx",) if info.framework == "Onnx" else (".pt", ".pth", ".pt2", ".bin")
        )
        wanted = f"a {info.framework} file (.{info.model_format})"
    if not kind_fits:
        came = "a folder" if path.is_dir() else f"a {path.suffix or 'nameless'} file"
        raise ConfigError(
            f"{info.model}: expected {wanted} at model_path {path}, found {came}"
        )
    entry_bytes = sum(
        f.stat().st_size
        for f in (path.rglob("*") if path.is_dir() else [path])
        if f.is_file()
    )
    return PreparedModel(
        name=info.model,
        model_path=str(path),
        framework=info.framework,
        model_format=info.model_format,
        weights="user",
        weights_source=str(path),
        weights_sha256="",
        sha256=hash_tree(path, report),
        bytes=entry_bytes,
        parameter_count=None,
        cached=True,
    )


def _key(
    info: ModelInfo,
    architecture: Architecture,
    chosen: WeightsFile | None,
    calibration: CalibrationSamples | None,
) -> str:
    """Hash all that the artefact depends on."""
    versions = {}
    for package in (*architecture.packages, *exporting.PACKAGES[info.model_format]):
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            # tensorflow and tensorflow-cpu are one package under two names.
            versions[package] = ""
    # Scores and credits are about the model, not in it.
    built = msgspec.structs.replace(
        info, reference_scores=(), source=None, licence=None
    )
    parts = [
        msgspec.json.encode(built, order="deterministic").decode(),
        architecture.source_text(),
        inspect.getsource(exporting),
        inspect.getsource(torchscript_file),
        inspect.getsource(precision),
        chosen.checkpoint.sha256 if chosen else "seeded",
        repr(sorted(versions.items())),
        *([calibration.key] if calibration else []),
    ]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _build(
    info: ModelInfo,
    architecture: Architecture,
    chosen: WeightsFile | None,
    calibration: CalibrationSamples | None,
    part: Path,
    report: Progress,
) -> dict[str, str | int | float]:
    """Write the artefact into an empty folder and return what is worth remembering."""
    try:
        report("drawing weights" if chosen is None else "reading weights", 0, 3)
        parameter_count = architecture.parameter_count()
        if info.parameters not in (None, parameter_count):
            raise PrepareError(
                f"{info.model}: $.parameters says {info.parameters:,}, but "
                f"builder {info.builder!r} has {parameter_count:,}"
            )
        wanted_bytes = parameter_count * BYTES_PER_PARAMETER
        free_bytes = shutil.disk_usage(part).free
        if free_bytes < wanted_bytes:
            raise StorageError(
                f"{info.model} needs {wanted_bytes:,} bytes in {part.parent}, "
                f"{free_bytes:,} are free"
            )
        weights = canonical_weights(info, architecture, chosen)
        report(f"writing {info.model_format}", 1, 3)
        exported = (
            with_examples(info, architecture, calibration)
            if calibration
            else architecture
        )
        exporting.export_model(info, exported, weights, part)
        report("hashing weights", 2, 3)
        ops = count_operations(info, architecture)
        return {
            "parameter_count": parameter_count,
            "weights_sha256": hash_weights(weights),
            **({} if ops is None else {"ops_per_sample": ops}),
        }
    except (BytemlperfError, OSError, MemoryError):
        raise
    except ImportError as error:
        raise PrepareError(
            f"{info.model}: building needs the package {error.name!r}",
            detail=str(error),
            hint="install bytemlperf/backends/CPU/requirements.txt",
        ) from error
    except Exception as error:
        # Frameworks raise anything; the user needs to hear which model it was.
        raise PrepareError(
            f"{info.model}: building it failed",
            detail=f"{type(error).__name__}: {error}",
        ) from error


def _describe(
    info: ModelInfo,
    folder: Path,
    entry: Entry,
    chosen: WeightsFile | None,
    cached: bool,
) -> PreparedModel:
    """Put together what is known of an entry."""
    facts: dict[str, Any] = dict(entry.facts)
    return PreparedModel(
        name=info.model,
        model_path=str(folder / entry.artefact),
        framework=info.framework,
        model_format=info.model_format,
        weights="trained" if chosen else "seeded",
        weights_source=chosen.checkpoint.origin if chosen else f"seed {info.seed}",
        weights_sha256=facts["weights_sha256"],
        sha256=entry.sha256,
        bytes=entry.bytes,
        parameter_count=facts["parameter_count"],
        cached=cached,
        build_seconds=facts.get("build_seconds", 0.0),
        ops_per_sample=facts.get("ops_per_sample"),
        weights_licence=chosen.checkpoint.licence if chosen else None,
        weights_file=chosen,
    )
