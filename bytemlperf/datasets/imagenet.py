"""ImageNet: the validation folder with ``val_map.txt``, or the one-per-class sample.

Input: a model with one image input. Output: its pictures, transformed, and the column
``label`` (int64, shape (count,): the model's class index).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np

from bytemlperf.datasets.draft import (
    Draft,
    Progress,
    Request,
    Unavailable,
    Written,
    file_sha256,
    map_in_order,
)
from bytemlperf.datasets.image_source import ImageSource, decode_rgb, require_pillow
from bytemlperf.datasets.image_transforms import find_recipe, transform_image
from bytemlperf.datasets.sample_cache import SampleWriter
from bytemlperf.errors import MALFORMED, PrepareError
from bytemlperf.tensor_spec import TensorSpec

__all__ = ["draft", "image_geometry"]

CLASS_COUNT = 1000
FOLDER_MAP = "open_imagenet/val_map.txt"
SAMPLE_ZIP = "imagenet_sample/imagenet_1per_class_s256.zip"
LICENCE = "ImageNet: non-commercial research only"


class _LabelRow(msgspec.Struct):
    index: int
    wnid: str


@dataclass(frozen=True)
class _Found:
    """Where the pictures are, and which class each has."""

    images: Path
    label_file: Path
    classes: dict[str, int]
    statement: str


def draft(request: Request) -> Draft | Unavailable:
    """Draft ImageNet samples.

    Parameters
    ----------
    request : Request
        With one image input.

    Returns
    -------
    Draft or Unavailable
        Unavailable if neither form of the data is under the data root.

    Raises
    ------
    PrepareError
        If the data is there but damaged, empty, or labelled outside the classes.
    """
    found = _find(request.data_root)
    if isinstance(found, Unavailable):
        return found
    spec = request.only_spec("open_imagenet", "image")
    size, layout = image_geometry(request, spec)
    recipe_name, recipe = find_recipe(request.hints.transform, layout)
    names = sorted(found.classes)
    chosen = [names[position] for position in request.choose(len(names))]
    pillow_version = require_pillow()
    source = ImageSource(found.images)
    try:
        hashes = source.sha256(chosen)
    finally:
        source.close()
    hashes[found.label_file.name] = file_sha256(found.label_file)

    def write(out: SampleWriter, progress: Progress) -> Written:
        inputs = out.add_input(
            spec.name,
            count=len(chosen),
            dtype=spec.dtype,
            sample_shape=request.shape(spec),
        )
        source = ImageSource(found.images)

        def store(item: tuple[int, bytes]) -> int:
            index, content = item
            position = f"picture {index + 1} of {len(chosen)} in {found.images.name}"
            image = decode_rgb(content, name=chosen[index], position=position)
            inputs[index, 0] = transform_image(image, recipe, size=size, layout=layout)
            return index

        try:
            contents = ((i, source.read(name)) for i, name in enumerate(chosen))
            for index in map_in_order(store, contents):
                progress("transforming pictures", index + 1, len(chosen))
        finally:
            source.close()
        offset = request.hints.label_offset
        labels = [found.classes[name] + offset for name in chosen]
        out.add_label("label", np.array(labels, np.int64))
        taken = "all" if len(chosen) == len(names) else f"{len(chosen)} evenly of"
        return Written(
            count=len(chosen), subset=f"{taken} {len(names)} {found.statement}"
        )

    return Draft(
        unit="images",
        transform=recipe.describe(size),
        licence=LICENCE,
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


def _find(data_root: Path | None) -> _Found | Unavailable:
    if data_root is not None:
        map_file = data_root / FOLDER_MAP
        if map_file.is_file():
            return _find_folder(map_file)
        archive = data_root / SAMPLE_ZIP
        if archive.is_file():
            return _find_sample(archive)
    return Unavailable(
        f"neither {FOLDER_MAP} nor {SAMPLE_ZIP} under the data folder {data_root}"
    )


def _find_folder(map_file: Path) -> _Found:
    images = map_file.parent / "ILSVRC2012_img_val"
    images = images if images.is_dir() else map_file.parent
    classes = {}
    try:
        lines = map_file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise PrepareError(f"cannot read {map_file}", detail=str(error)) from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        name, _, label = line.strip().rpartition(" ")
        if not name or not (label.isascii() and label.isdigit()):
            raise PrepareError(
                f"{map_file}, line {number}: expected '<file> <class>', got {line!r}"
            )
        classes[name.strip()] = int(label)
    _check_classes(classes, map_file)
    # The file published with ByteMLPerf maps 50,000 names and ships 5,000 of them.
    there = {name: index for name, index in classes.items() if (images / name).exists()}
    if not there:
        raise PrepareError(f"none of the {len(classes)} files of {map_file} exists")
    return _Found(
        images=images,
        label_file=map_file,
        classes=there,
        statement=f"validation images present ({len(classes)} in val_map.txt)",
    )


def _find_sample(archive: Path) -> _Found:
    label_file = archive.with_name("labels.json")
    try:
        rows = msgspec.json.decode(label_file.read_bytes(), type=list[_LabelRow])
    except (OSError, *MALFORMED) as error:
        raise PrepareError(
            f"{label_file} should be a list of objects with index and wnid",
            detail=str(error),
        ) from error
    index_of = {row.wnid: row.index for row in rows}
    source = ImageSource(archive)
    try:
        names = source.names()
    finally:
        source.close()
    classes = {}
    for name in names:
        wnid = name.rpartition("/")[2].partition("_")[0]
        if wnid not in index_of:
            raise PrepareError(
                f"{archive}: the class {wnid!r} of {name!r} is not in {label_file.name}"
            )
        classes[name] = index_of[wnid]
    _check_classes(classes, label_file)
    return _Found(
        images=archive,
        label_file=label_file,
        classes=classes,
        statement=(
            "training-set-like images, one a class: "
            "scores are optimistic against the validation set"
        ),
    )


def _check_classes(classes: dict[str, int], where: Path) -> None:
    if not classes:
        raise PrepareError(f"{where} labels no picture: the dataset is empty")
    for name, index in classes.items():
        if not 0 <= index < CLASS_COUNT:
            raise PrepareError(
                f"{where}: {name!r} has class {index}, outside 0 to {CLASS_COUNT - 1}"
            )
