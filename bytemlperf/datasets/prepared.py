"""What a prepared dataset is, and how a measuring process reads it.

Input: a cache folder that `prepare_samples` made. Output: read-only memory maps.
It refuses to know how samples were made, and needs numpy and msgspec only, so that it
works in any vendor's environment.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from bytemlperf.errors import MALFORMED, PrepareError

__all__ = [
    "MANIFEST_NAME",
    "Metric",
    "ModelHints",
    "Parameter",
    "PreparedSamples",
    "load_prepared",
    "open_arrays",
    "open_labels",
]

MANIFEST_NAME = "prepared.json"

Metric = Literal["top_k", "squad_v1", "criteo", "coco_map", "pair_accuracy"]
Parameter = str | int | float | bool | None


class ModelHints(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a loader must know of a model besides its tensor specs.

    The optional `preprocess` object of a model json has these fields, except the
    first three, which the model json states at its top.

    Parameters
    ----------
    model : str
        The model's name, such as ``"resnet50-torch-fp32"``; used in messages only,
        nothing is guessed from it.
    framework : str
        The model json's `framework`.
    layout : {"NCHW", "NHWC"}, optional
        Order of an image input's dimensions; default is read off its shape.
    transform : str, optional
        Name of an image recipe (`image_transforms.RECIPES`). Default:
        ``"resnet50_torch"`` for NCHW and ``"resnet50_tf"`` for NHWC.
    image_size : int, optional
        Height and width, pixels, where the input's shape leaves them open.
    label_offset : int, default 0
        Added to a dataset's class index: 1 for the 1001-class ImageNet models, whose
        class 0 is "background".
    vocabulary : str, optional
        Name of the vocabulary the model was trained with. ``"bert-base-uncased"`` is
        the one that can be read here. Default: that one, if the token input has
        exactly its 30,522 ids.
    max_seq_length : int, default 384
        Tokens of a sample where the input's shape leaves it open.
    doc_stride : int, default 128
        Tokens between the starts of two windows of one context.
    max_query_length : int, default 64
        A longer question is cut to so many tokens.
    article_stride : int, default 1
        Keep SQuAD articles 0, n, 2n, ... only: for a model trained on the others.
    split : {"held_out", "train", "all"}, default "held_out"
        Which Criteo rows. The first 70 % of the file are the training rows.
    numeric_scale : {"min_max", "log"}, default "min_max"
        What becomes of Criteo's numbers: ByteMLPerf's scaling by the training rows'
        minimum and maximum, or log(1 + x) with negative ones as 0.
    dims : dict of str to int, optional
        Sizes of further named dynamic dimensions.
    output_roles : dict of str to str, optional
        Role to output name, for metrics that cannot tell by themselves: such as
        ``{"start_logits": "output_0", "end_logits": "output_1"}``. Passed on.
    """

    model: str
    framework: str
    layout: Literal["NCHW", "NHWC"] | None = None
    transform: str | None = None
    image_size: int | None = None
    label_offset: int = 0
    vocabulary: str | None = None
    max_seq_length: int = 384
    doc_stride: int = 128
    max_query_length: int = 64
    article_stride: int = 1
    split: Literal["held_out", "train", "all"] = "held_out"
    numeric_scale: Literal["min_max", "log"] = "min_max"
    dims: dict[str, int] = msgspec.field(default_factory=dict)
    output_roles: dict[str, str] = msgspec.field(default_factory=dict)


class PreparedSamples(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True
):
    """A dataset in a cache folder: one ``.npy`` per model input, and its labels.

    Parameters
    ----------
    folder : str
        Absolute path of the folder. Not part of the file: it is filled on loading, so
        that a cache can be moved.
    key : str
        Hash of the data and of every parameter: equal keys, equal samples.
    dataset : str
        The dataset's name, such as ``"open_imagenet"``.
    origin : {"real", "synthetic"}
        Whether the samples are data or were drawn.
    reason : str, optional
        Why the samples are synthetic; None if they are real.
    count : int, > 0
        Number of samples. Sample ids are ``0 .. count - 1``. They stand in random
        order, so that the first n are a fair subset.
    unit : str
        What a sample is: ``"images"``, ``"features"``, ``"rows"``, ``"samples"``.
    files : dict of str to str
        Input name to file name in `folder`; array of shape ``(count * rows, ...)``.
    rows_per_sample : dict of str to int
        Input name to the rows a sample takes on axis 0.
    subset : str
        What was taken of which data, for people.
    transform : str
        What was done to it, for people.
    licence : str
        Licence of the data.
    source_sha256 : dict of str to str
        Data file to its SHA-256; empty for synthetic samples.
    label_files : dict of str to str
        Label column to file name in `folder`; empty if there is nothing to score.
    metric : str, optional
        The metric that `label_files` serve; None if there is nothing to score.
    output_roles : dict of str to str
        The hints' own, for the metric.
    seed : int
        Seed of the draw of synthetic samples, and of the order of real ones.
    parameters : dict of str to (str, int, float, bool or None)
        All that the samples depend on besides the data; part of `key`.
    shared : tuple of str
        Inputs whose rows are the same for every sample (`TensorSpec.shared`).
    """

    folder: str
    key: str
    dataset: str
    origin: Literal["real", "synthetic"]
    reason: str | None
    count: int
    unit: str
    files: dict[str, str]
    rows_per_sample: dict[str, int]
    subset: str
    transform: str
    licence: str
    source_sha256: dict[str, str]
    label_files: dict[str, str]
    metric: Metric | None
    output_roles: dict[str, str]
    seed: int
    parameters: dict[str, Parameter]
    shared: tuple[str, ...] = ()


def load_prepared(folder: Path) -> PreparedSamples:
    """Read the manifest of a cache folder and check its files against it.

    Parameters
    ----------
    folder : Path
        A folder that `prepare_samples` made.

    Returns
    -------
    PreparedSamples
        With `folder` set to where it was found.

    Raises
    ------
    PrepareError
        If the manifest or one of its files is missing, damaged or of another size.
    """
    manifest = folder / MANIFEST_NAME
    try:
        stored = msgspec.json.decode(manifest.read_bytes(), type=PreparedSamples)
    except (OSError, *MALFORMED) as error:
        raise PrepareError(
            f"no readable manifest {MANIFEST_NAME!r} in the sample cache {folder}",
            detail=str(error),
            hint="delete the folder and prepare the samples again",
        ) from error
    prepared = msgspec.structs.replace(stored, folder=str(folder.resolve()))
    open_arrays(prepared)
    open_labels(prepared)
    return prepared


def open_arrays(prepared: PreparedSamples) -> dict[str, npt.NDArray[Any]]:
    """Map every input's samples into memory.

    Parameters
    ----------
    prepared : PreparedSamples
        From `prepare_samples` or `load_prepared`.

    Returns
    -------
    dict of str to numpy.memmap
        Input name to a read-only C-contiguous array of shape
        ``(count * rows_per_sample, ...)``; sample i takes rows
        ``i * rows .. (i + 1) * rows``.

    Raises
    ------
    PrepareError
        If a file is missing, damaged or of another size than the manifest says.
    """
    arrays = {}
    for name, file_name in prepared.files.items():
        array = _open_array(Path(prepared.folder) / file_name)
        expected_rows = prepared.count * prepared.rows_per_sample[name]
        if array.ndim == 0 or array.shape[0] != expected_rows:
            raise PrepareError(
                f"input {name!r} in the sample cache {prepared.folder} should have "
                f"{expected_rows} rows, file {file_name!r} has shape {array.shape}"
            )
        arrays[name] = array
    return arrays


def open_labels(prepared: PreparedSamples) -> dict[str, npt.NDArray[Any]]:
    """Map the label columns into memory.

    Which columns there are depends on `prepared.metric`; docs/datasets.md lists them.
    A text column is two arrays, ``<name>.utf8`` (uint8) and ``<name>.offsets``
    (int64, one more than there are texts).

    Parameters
    ----------
    prepared : PreparedSamples
        From `prepare_samples` or `load_prepared`.

    Returns
    -------
    dict of str to numpy.memmap
        Label column to a read-only array; empty if there is nothing to score.

    Raises
    ------
    PrepareError
        If a file is missing or damaged.
    """
    folder = Path(prepared.folder)
    return {
        column: _open_array(folder / file_name)
        for column, file_name in prepared.label_files.items()
    }


def _open_array(path: Path) -> npt.NDArray[Any]:
    try:
        array: npt.NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise PrepareError(
            f"cannot map {path.name!r} of the sample cache {path.parent}",
            detail=str(error),
            hint="delete the folder and prepare the samples again",
        ) from error
    if not array.flags.c_contiguous:
        raise PrepareError(f"{path} is not in C order")
    return array
