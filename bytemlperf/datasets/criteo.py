"""Criteo display advertising: real rows for wide and deep models.

Input: a model with one numeric input ``[1, 13]`` and one of category pairs ``[26, 2]``.
Output: both, and the column ``label`` (int8, shape (count,), 1 for a click).

Order and hash are those ByteMLPerf's wide and deep model was trained for: columns
sorted by name as text (I1, I10, I11, ...), FarmHash Fingerprint64 modulo the number of
buckets. Numbers are scaled by the minimum and maximum of the *training* rows, or, for
models trained here, taken as log(1 + x): counts have long tails.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from bytemlperf.datasets.criteo_rows import CATEGORY_COUNT, NUMERIC_COUNT, read_rows
from bytemlperf.datasets.draft import (
    Draft,
    Progress,
    Request,
    Unavailable,
    Written,
    file_sha256,
)
from bytemlperf.datasets.farmhash import hash_bucket
from bytemlperf.datasets.sample_cache import SampleWriter
from bytemlperf.errors import PrepareError
from bytemlperf.tensor_spec import TensorSpec

__all__ = ["draft"]

BUCKETS = 1000
LICENCE = "Criteo Display Advertising Challenge data, CC BY-NC-SA 4.0: non-commercial"

_FILES = (
    "open_criteo_kaggle/train.txt",
    "open_criteo_kaggle/eval.csv",
    "criteo_sample/train.tiny.csv",
)
_NUMERIC_ORDER = sorted(range(NUMERIC_COUNT), key=lambda column: f"I{column + 1}")
_CATEGORY_ORDER = sorted(range(CATEGORY_COUNT), key=lambda column: f"C{column + 1}")
_PROGRESS_ROWS = 1000
_SCALES = {
    "min_max": "min-max scaled by the training rows",
    "log": "as log(1 + x), negative ones 0",
}


def draft(request: Request) -> Draft | Unavailable:
    """Draft Criteo rows.

    Parameters
    ----------
    request : Request
        `hints.split` says which rows: the first 70 % of the file are for training.

    Returns
    -------
    Draft or Unavailable
        Unavailable if no file is under the data root.

    Raises
    ------
    PrepareError
        If the inputs are others, or the file cannot be read.
    """
    numeric_spec, category_spec = _specs(request)
    path = request.find(*_FILES)
    if path is None:
        return Unavailable(request.missing(*_FILES))
    buckets = BUCKETS if category_spec.high is None else int(category_spec.high)

    def write(out: SampleWriter, progress: Progress) -> Written:
        total, low, high = _survey(path, progress)
        first, stop = _split_rows(request, total, path)
        chosen = request.choose(stop - first)
        slots = {first + position: slot for slot, position in enumerate(chosen)}
        numeric = out.add_input(
            numeric_spec.name,
            count=len(chosen),
            dtype=numeric_spec.dtype,
            sample_shape=request.shape(numeric_spec),
        )
        categories = out.add_input(
            category_spec.name,
            count=len(chosen),
            dtype=category_spec.dtype,
            sample_shape=request.shape(category_spec),
        )
        categories[:, :, 0] = np.arange(CATEGORY_COUNT)
        span = np.where(high > low, high - low, 1.0)
        is_log = request.hints.numeric_scale == "log"
        labels = np.zeros(len(chosen), np.int8)
        done = 0
        for number, row in enumerate(read_rows(path)):
            if number not in slots:
                continue
            at = slots[number]
            numbers = np.array(row.numeric)
            scaled = (
                np.log1p(np.maximum(numbers, 0)) if is_log else (numbers - low) / span
            )
            numeric[at, 0] = scaled[_NUMERIC_ORDER]
            for field, column in enumerate(_CATEGORY_ORDER):
                categories[at, field, 1] = hash_bucket(row.categories[column], buckets)
            labels[at] = row.clicked
            done += 1
            if done % _PROGRESS_ROWS == 0 or done == len(chosen):
                progress("hashing rows", done, len(chosen))
            if done == len(chosen):
                break
        out.add_label("label", labels)
        taken = "all" if len(chosen) == stop - first else f"{len(chosen)} evenly of"
        return Written(
            count=len(chosen),
            subset=(
                f"{taken} {stop - first} {request.hints.split} rows "
                f"({int(labels.sum())} clicks) of the {total} of {path.name}"
            ),
        )

    return Draft(
        unit="rows",
        transform=(
            f"numbers {_SCALES[request.hints.numeric_scale]}, missing ones 0; "
            f"categories FarmHash64 modulo {buckets}; columns sorted by name as text"
        ),
        licence=LICENCE,
        write=write,
        metric="criteo",
        source_sha256={path.name: file_sha256(path)},
        parameters={
            "split": request.hints.split,
            "buckets": buckets,
            "numeric_scale": request.hints.numeric_scale,
        },
    )


def _specs(request: Request) -> tuple[TensorSpec, TensorSpec]:
    wanted = {(1, NUMERIC_COUNT), (CATEGORY_COUNT, 2)}
    by_shape = {request.shape(spec): spec for spec in request.specs}
    if len(request.specs) != 2 or by_shape.keys() != wanted:
        raise PrepareError(
            f"{request.hints.model}: open_criteo_kaggle fills inputs of shape "
            f"{sorted(wanted)}; the model has {[s.shape for s in request.specs]}"
        )
    return by_shape[1, NUMERIC_COUNT], by_shape[CATEGORY_COUNT, 2]


def _survey(
    path: Path, progress: Progress
) -> tuple[int, npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Count the rows, and find minimum and maximum of each number in training rows."""
    total = 0
    for _ in read_rows(path):
        total += 1
        if total % _PROGRESS_ROWS == 0:
            progress("counting rows", total, total)
    low, high = np.full(NUMERIC_COUNT, np.inf), np.full(NUMERIC_COUNT, -np.inf)
    for number, row in enumerate(read_rows(path)):
        if number >= _training_count(total):
            break
        low, high = np.minimum(low, row.numeric), np.maximum(high, row.numeric)
    return total, low, high


def _training_count(total: int) -> int:
    return total * 7 // 10


def _split_rows(request: Request, total: int, path: Path) -> tuple[int, int]:
    if total < 2:
        raise PrepareError(f"{path} has {total} rows: too few to train and hold out")
    boundary = _training_count(total)
    ranges = {
        "train": (0, boundary),
        "held_out": (boundary, total),
        "all": (0, total),
    }
    return ranges[request.hints.split]
