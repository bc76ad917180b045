"""Pictures with one class each, whatever they are kept in, turned into samples.

Input: pictures that can be read by number, and their classes. Output: a draft of the
model's one image input and the column ``label`` (int64, shape (count,): the model's
class index). It refuses to know any one dataset.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np

from bytemlperf.datasets.draft import (
    Draft,
    Progress,
    Request,
    Written,
    file_sha256,
    map_in_order,
)
from bytemlperf.datasets.image_source import ImageSource, decode_rgb, require_pillow
from bytemlperf.datasets.image_transforms import find_recipe, transform_image
from bytemlperf.datasets.sample_cache import SampleWriter
from bytemlperf.errors import PrepareError
from bytemlperf.tensor_spec import TensorSpec

__all__ = [
    "FilePictures",
    "LabelledPictures",
    "Pictures",
    "draft_pictures",
    "image_geometry",
]


class Pictures(Protocol):
    """Pictures by number."""

    path: Path

    def fetch(self, numbers: Sequence[int]) -> Iterator[Callable[[], Any]]:
        """Read pictures in this thread; each result decodes one (PIL, RGB)."""

    def sha256(self, numbers: Sequence[int]) -> dict[str, str]:
        """Hash what the pictures of these numbers are read from."""


@dataclass(frozen=True)
class LabelledPictures:
    """What a dataset found.

    Parameters
    ----------
    dataset : str
        Its name.
    pictures : Pictures
        Where they are.
    labels : list of int
        Class of each picture, in the dataset's own count.
    class_count : int
        Classes there are.
    label_file : Path or None
        Where the classes are from, if that is a file of its own.
    statement : str
        What they are, to follow their number: "validation images".
    licence : str
        Of the data.
    """

    dataset: str
    pictures: Pictures
    labels: list[int]
    class_count: int
    label_file: Path | None
    statement: str
    licence: str

    def check(self, names: Sequence[str]) -> None:
        """Refuse an empty dataset and labels outside the classes.

        Parameters
        ----------
        names : sequence of str
            Of the pictures, for the message.

        Raises
        ------
        PrepareError
            It names the file, and the first picture that is wrong.
        """
        where = self.label_file or self.pictures.path
        if not self.labels:
            raise PrepareError(f"{where} labels no picture: the dataset is empty")
        for name, label in zip(names, self.labels, strict=True):
            if not 0 <= label < self.class_count:
                raise PrepareError(
                    f"{where}: {name!r} has class {label}, outside 0 to "
                    f"{self.class_count - 1}"
                )


class FilePictures:
    """Picture files in a folder or a zip.

    Parameters
    ----------
    path : Path
        The folder or archive.
    names : list of str
        Files in it, by number.
    """

    def __init__(self, path: Path, names: list[str]) -> None:
        self.path = path
        self.names = names

    def fetch(self, numbers: Sequence[int]) -> Iterator[Callable[[], Any]]:
        """Read pictures, one after the other.

        Parameters
        ----------
        numbers : sequence of int
            Which.

        Yields
        ------
        callable
            It decodes a picture (PIL, mode RGB), in any thread.
        """
        source = ImageSource(self.path)
        try:
            for at, number in enumerate(numbers, 1):
                name = self.names[number]
                position = f"picture {at} of {len(numbers)} in {self.path.name}"
                content = source.read(name)
                yield partial(decode_rgb, content, name=name, position=position)
        finally:
            source.close()

    def sha256(self, numbers: Sequence[int]) -> dict[str, str]:
        """Hash the archive, or the files used.

        Parameters
        ----------
        numbers : sequence of int
            Which are used.

        Returns
        -------
        dict of str to str
            See `ImageSource.sha256`.
        """
        source = ImageSource(self.path)
        try:
            return source.sha256([self.names[number] for number in numbers])
        finally:
            source.close()


def draft_pictures(found: LabelledPictures, request: Request) -> Draft:
    """Draft labelled pictures for a model with one image input.

    Parameters
    ----------
    found : LabelledPictures
        Checked.
    request : Request
        What is wanted.

    Returns
    -------
    Draft
        Which the metric ``top_k`` scores.

    Raises
    ------
    PrepareError
        The model has other inputs, or a file cannot be read.
    """
    spec = request.only_spec(found.dataset, "image")
    size, layout = image_geometry(request, spec)
    recipe_name, recipe = find_recipe(request.hints.transform, layout)
    total = len(found.labels)
    chosen = request.choose(total)
    pillow_version = require_pillow()
    hashes = dict(found.pictures.sha256(chosen))
    if found.label_file is not None:
        hashes[found.label_file.name] = file_sha256(found.label_file)

    def write(out: SampleWriter, progress: Progress) -> Written:
        inputs = out.add_input(
            spec.name,
            count=len(chosen),
            dtype=spec.dtype,
            sample_shape=request.shape(spec),
        )

        def store(item: tuple[int, Callable[[], Any]]) -> int:
            index, read = item
            inputs[index, 0] = transform_image(read(), recipe, size=size, layout=layout)
            return index

        for index in map_in_order(store, enumerate(found.pictures.fetch(chosen))):
            progress("transforming pictures", index + 1, len(chosen))
        offset = request.hints.label_offset
        labels = [found.labels[number] + offset for number in chosen]
        out.add_label("label", np.array(labels, np.int64))
        taken = "all" if len(chosen) == total else f"{len(chosen)} evenly of"
        return Written(count=len(chosen), subset=f"{taken} {total} {found.statement}")

    return Draft(
        unit="images",
        transform=recipe.describe(size),
        licence=found.licence,
        write=write,
        metric="top_k",
        source_sha256=hashes,
        parameters={
            "transform": recipe_name,
            "recipe": repr(recipe),
            "layout": layout,
            "label_offset": request.hints.label_offset,
            "pillow": pillow_version,
        },
    )


def image_geometry(
    request: Request, spec: TensorSpec
) -> tuple[int, Literal["NCHW", "NHWC"]]:
    """Read height and layout off an image input.

    Parameters
    ----------
    request : Request
        Its hints may state the layout.
    spec : TensorSpec
        The image input.

    Returns
    -------
    tuple of (int, {"NCHW", "NHWC"})
        Height and width in pixels, and the order of dimensions.

    Raises
    ------
    PrepareError
        If the shape is not that of one square RGB picture.
    """
    shape = request.shape(spec)
    layout: Literal["NCHW", "NHWC"]
    if request.hints.layout is not None:
        layout = request.hints.layout
    else:
        layout = "NHWC" if shape[-1] == 3 else "NCHW"
    if len(shape) == 4:
        rows, *rest = shape
        channels, height, width = rest if layout == "NCHW" else (rest[2], *rest[:2])
        if (rows, channels) == (1, 3) and height == width:
            return height, layout
    raise PrepareError(
        f"{request.hints.model}: image input {spec.name!r} should have shape "
        f"(1, 3, n, n) or (1, n, n, 3), it has {shape} with layout {layout}"
    )
