"""Build the model, the samples and the reference outputs of a task.

Input: a `PrepareJob`. Output: `TaskPrepared`, with everything in the cache. It runs in
the CPU backend's environment, in a process of its own, so that neither the frameworks
that build a model nor their memory are in the process that is measured.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from bytemlperf.datasets import (
    ModelHints,
    data_files,
    open_arrays,
    open_labels,
    prepare_samples,
)
from bytemlperf.engine.emitter import Emitter
from bytemlperf.engine.feeding import MAX_RESIDENT_BYTES
from bytemlperf.engine.fetching import fetch_files
from bytemlperf.engine.messages import PreparedTask, PrepareJob, TaskPrepared
from bytemlperf.engine.reference_file import ReferenceFile, prepare_reference
from bytemlperf.errors import ConfigError
from bytemlperf.model_zoo import (
    CalibrationSamples,
    ModelInfo,
    PreparedModel,
    TrainingSamples,
    backend_model_info,
    bundled_artefact,
    load_model_info,
    prepare_model,
)
from bytemlperf.runtime.clock import now_ns

__all__ = ["prepare_task"]

# A build or a download reports progress; silence for so long is a hang.
PREPARE_DEADLINE_SECONDS = 1800.0
MIN_SAMPLES = 64
MAX_SAMPLES = 4096
CALIBRATION_SAMPLES = 32


def prepare_task(job: PrepareJob, emitter: Emitter) -> None:
    """Prepare a task.

    Parameters
    ----------
    job : PrepareJob
        What to prepare.
    emitter : Emitter
        Gets `TaskPrepared`.

    Raises
    ------
    ConfigError
        The model is unknown or its description malformed.
    PrepareError
        The model or the samples cannot be had.
    """
    cache = Path(job.cache_dir)
    info = load_model_info(job.model)
    if job.download_data and info.dataset_name:
        emitter.phase("download data", PREPARE_DEADLINE_SECONDS, info.dataset_name)
        fetch_files(
            data_files(info.dataset_name),
            cache / "datasets",
            data_root=Path(job.data_root) if job.data_root else None,
            progress=lambda stage, done, total: emitter.progress(done, total, stage),
        )
    prepared_model = _model(job, info, cache, emitter) if job.need_model else None
    # What can be scored is scored whole.
    scored = prepared_model is not None and prepared_model.weights != "seeded"

    emitter.phase("prepare samples", PREPARE_DEADLINE_SECONDS, info.dataset_name or "")
    samples = prepare_samples(
        info.dataset_name,
        specs=info.tensors,
        model=_hints(info),
        cache_dir=cache / "samples",
        data_root=Path(job.data_root) if job.data_root else None,
        max_samples=None if scored else job.max_samples or sample_budget(info),
        seed=job.seed,
        download_root=cache / "datasets",
        progress=lambda stage, done, total: emitter.progress(done, total, stage),
    )
    reference = (
        prepare_reference(
            info,
            prepared_model,
            samples,
            cache,
            emitter,
            wanted=job.reference_samples,
        )
        if job.need_reference and prepared_model is not None
        else ReferenceFile(None, "no reference was prepared")
    )
    emitter.emit(
        TaskPrepared(
            PreparedTask(
                model=prepared_model,
                model_info=backend_model_info(info, prepared_model),
                samples=samples,
                reference_file=reference.path,
                reference=reference.words,
                reference_sample_count=reference.sample_count,
                reference_scores=info.reference_scores,
            )
        )
    )


def sample_budget(info: ModelInfo) -> int:
    """Return how many samples a performance run draws from.

    Parameters
    ----------
    info : ModelInfo
        With typed inputs.

    Returns
    -------
    int
        As many as fit 256 MiB, between 64 and 4096.
    """
    sample_bytes = sum(
        np.dtype(spec.dtype).itemsize
        * int(np.prod([dim for dim in spec.shape if isinstance(dim, int)]))
        for spec in info.tensors
    )
    return max(
        MIN_SAMPLES, min(MAX_SAMPLES, MAX_RESIDENT_BYTES // max(1, sample_bytes))
    )


def _model(
    job: PrepareJob, info: ModelInfo, cache: Path, emitter: Emitter
) -> PreparedModel:
    """Build or find the model."""
    emitter.phase("prepare model", PREPARE_DEADLINE_SECONDS, info.model)
    return prepare_model(
        info,
        cache / "models",
        model_path=(
            Path(job.model_path)
            if job.model_path
            else bundled_artefact(job.model, info)
        ),
        data_root=Path(job.data_root) if job.data_root else None,
        weights=job.weights,
        training_samples=lambda: _training_samples(job, info, cache, emitter),
        calibration_samples=lambda: _calibration_samples(job, info, cache, emitter),
        progress=lambda stage, done, total: emitter.progress(done, total, stage),
        now_ns=now_ns,
    )


def _training_samples(
    job: PrepareJob, info: ModelInfo, cache: Path, emitter: Emitter
) -> TrainingSamples | None:
    """Prepare what a model is trained on: the rows that are not scored."""
    samples = prepare_samples(
        info.dataset_name,
        specs=info.tensors,
        model=msgspec.structs.replace(_hints(info), split="train"),
        cache_dir=cache / "samples",
        data_root=Path(job.data_root) if job.data_root else None,
        max_samples=None,
        # The order in which they are trained on must not depend on the run's seed.
        seed=info.seed,
        download_root=cache / "datasets",
        progress=lambda stage, done, total: emitter.progress(done, total, stage),
    )
    if samples.origin == "synthetic":
        return None
    return TrainingSamples(
        key=samples.key,
        description=samples.subset,
        licence=samples.licence,
        inputs=dict(open_arrays(samples)),
        labels=open_labels(samples)["label"],
    )


def _calibration_samples(
    job: PrepareJob, info: ModelInfo, cache: Path, emitter: Emitter
) -> CalibrationSamples:
    """Prepare what activations are measured with: not what numerics are compared on."""
    samples = prepare_samples(
        info.dataset_name,
        specs=info.tensors,
        model=_hints(info),
        cache_dir=cache / "samples",
        data_root=Path(job.data_root) if job.data_root else None,
        max_samples=sample_budget(info),
        # A model must not depend on the run's seed.
        seed=info.seed,
        download_root=cache / "datasets",
        progress=lambda stage, done, total: emitter.progress(done, total, stage),
    )
    return CalibrationSamples(
        key=samples.key,
        inputs={
            # The first are those that a run with this seed compares.
            name: array[-CALIBRATION_SAMPLES * samples.rows_per_sample[name] :]
            for name, array in open_arrays(samples).items()
        },
    )


def _hints(info: ModelInfo) -> ModelHints:
    """Tell the loader what the model json says."""
    raw: dict[str, Any] = {"model": info.model, "framework": info.framework}
    if info.layout:
        raw["layout"] = info.layout
    raw.update(info.preprocess or {})
    try:
        return msgspec.convert(raw, ModelHints)
    except msgspec.ValidationError as error:
        raise ConfigError(f"model {info.model}: $.preprocess: {error}") from error
