"""The outputs that a backend's are held against: computed once, kept in the cache.

Input: a prepared model and samples. Output: a file of float64 arrays and words that say
what they are, or the reason why there is none.
"""

from __future__ import annotations

import hashlib
import inspect
import os
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from bytemlperf.datasets import PreparedSamples, open_arrays
from bytemlperf.engine import onnx_double, user_reference
from bytemlperf.engine.emitter import Emitter
from bytemlperf.engine.user_reference import open_user_reference
from bytemlperf.errors import MALFORMED
from bytemlperf.model_zoo import (
    ModelInfo,
    PreparedModel,
    reference_key,
    reference_outputs,
)
from bytemlperf.model_zoo.artefact_store import locked
from bytemlperf.runtime.clock import now_ns

__all__ = ["ReferenceFile", "prepare_reference", "reference_count"]

REFERENCE_DEADLINE_SECONDS = 1800.0
# What a core computes in double precision in about two minutes.
MAX_REFERENCE_OPS = 2_000_000_000_000
# Of a user's model nobody knows the operations: so much time, but two samples.
MAX_USER_SECONDS = 120.0
MIN_SAMPLES = 2

Arrays = Mapping[str, npt.NDArray[Any]]


class ReferenceFile(msgspec.Struct, frozen=True):
    """A reference in the cache, or why there is none.

    Parameters
    ----------
    path : str or None
        An ``.npz`` file with an array for each output; None: there is no reference.
    words : str
        What it is; or the reason.
    sample_count : int
        Samples from the first on.
    """

    path: str | None
    words: str
    sample_count: int = 0


def reference_count(wanted: int, ops_per_sample: int | None) -> int:
    """Return how many samples the reference is computed for.

    Parameters
    ----------
    wanted : int
        As many as are asked for, >= 1.
    ops_per_sample : int or None
        Operations of one sample, if they are known.

    Returns
    -------
    int
        Fewer for a giant model, whose double precision takes minutes a sample; >= 2,
        so that a batch is more than one sample, unless only one is wanted.
    """
    if not ops_per_sample:
        return wanted
    return min(wanted, max(MIN_SAMPLES, MAX_REFERENCE_OPS // ops_per_sample))


def prepare_reference(
    info: ModelInfo,
    model: PreparedModel,
    samples: PreparedSamples,
    cache: Path,
    emitter: Emitter,
    *,
    wanted: int,
) -> ReferenceFile:
    """Run the reference on the first samples, or find its outputs in the cache.

    Parameters
    ----------
    info : ModelInfo
        The model file.
    model : PreparedModel
        The zoo's own, or the user's.
    samples : PreparedSamples
        What it is run on.
    cache : Path
        The command's cache; references are in a folder below it.
    emitter : Emitter
        Told of the phase, if there is something to compute.
    wanted : int
        Samples, >= 1; fewer if they take too long.

    Returns
    -------
    ReferenceFile
        Of the zoo's own model always with a path.

    Raises
    ------
    PrepareError
        The weights at hand are not those that the model was built from.
    StorageError
        The cache cannot be written.
    """
    folder = cache / "reference"
    wanted = min(wanted, samples.count)
    if model.weights == "user":
        return _user_reference(info, model, samples, folder, emitter, wanted)
    count = reference_count(wanted, model.ops_per_sample)
    path = folder / f"{_hash(reference_key(info, model), samples.key, count)}.npz"
    words = f"float64 PyTorch, eager, the same weights ({info.model})"
    if not path.exists():
        emitter.phase("prepare reference", REFERENCE_DEADLINE_SECONDS, "float64")
        # Another precision of the same model may be prepared at this moment.
        with locked(path, _progress(emitter)):
            if not path.exists():
                parts = _run(
                    lambda feeds: reference_outputs(info, model, feeds),
                    samples,
                    count,
                    emitter,
                )
                _save(parts, path)
    return ReferenceFile(str(path), words, count)


def _user_reference(
    info: ModelInfo,
    model: PreparedModel,
    samples: PreparedSamples,
    folder: Path,
    emitter: Emitter,
    wanted: int,
) -> ReferenceFile:
    """Find another way to run a model that was brought along."""
    sources = [inspect.getsource(user_reference), inspect.getsource(onnx_double)]
    versions = [
        f"{each.metadata['Name']} {each.version}"
        for each in metadata.distributions()
        if each.metadata["Name"] in ("onnx", "onnxruntime", "torch", "numpy")
    ]
    key = _hash(
        model.sha256, samples.key, wanted, info.input_names, info.output_names,
        *sources, *sorted(versions),
    )  # fmt: skip
    described, path = folder / f"{key}.json", folder / f"{key}.npz"
    known = _read(described)
    if known is not None and path.exists():
        return known
    emitter.phase("prepare reference", REFERENCE_DEADLINE_SECONDS, "of a user's model")
    with locked(path, _progress(emitter)):
        opened = open_user_reference(
            info, Path(model.model_path), _feeds(samples, open_arrays(samples), 0)
        )
        if isinstance(opened, str):
            # Not kept: another package may be installed until the next time.
            return ReferenceFile(None, opened)
        parts = _run(opened.run, samples, wanted, emitter, MAX_USER_SECONDS)
        _save(parts, path)
        found = ReferenceFile(str(path), opened.words, len(parts))
        described.write_bytes(msgspec.json.encode(found))
    return found


def _read(described: Path) -> ReferenceFile | None:
    try:
        return msgspec.json.decode(described.read_bytes(), type=ReferenceFile)
    except (FileNotFoundError, *MALFORMED):
        return None


def _run(
    answer: Callable[[Arrays], Arrays],
    samples: PreparedSamples,
    count: int,
    emitter: Emitter,
    max_seconds: float | None = None,
) -> list[Arrays]:
    """Run the first samples one by one; fewer, if they take too long."""
    arrays = open_arrays(samples)
    parts: list[Arrays] = []
    start_ns = now_ns()
    for index in range(count):
        spent = (now_ns() - start_ns) / 1e9
        next_end = spent * (index + 1) / max(1, index)
        if max_seconds is not None and index >= MIN_SAMPLES and next_end > max_seconds:
            break
        emitter.progress(index, count, "reference samples")
        parts.append(answer(_feeds(samples, arrays, index)))
    emitter.progress(count, count, "reference samples")
    return parts


def _feeds(samples: PreparedSamples, arrays: Arrays, index: int) -> Arrays:
    """Return the rows of one sample."""
    return {
        name: array[
            index * samples.rows_per_sample[name] : (index + 1)
            * samples.rows_per_sample[name]
        ]
        for name, array in arrays.items()
    }


def _save(parts: list[Arrays], path: Path) -> None:
    """Put outputs in their place, whole."""
    partial = path.with_name(f"{path.stem}.{os.getpid()}.tmp.npz")
    try:
        outputs: dict[str, Any] = {
            name: np.concatenate([part[name] for part in parts]) for name in parts[0]
        }
        np.savez(partial, **outputs)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _progress(emitter: Emitter) -> Callable[[str, int, int], None]:
    return lambda stage, done, total: emitter.progress(done, total, stage)


def _hash(*parts: object) -> str:
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()[:32]
