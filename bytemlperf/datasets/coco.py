"""COCO detection, as YOLOv5 sees it: pictures letterboxed to a square.

Input: a model with one image input in [0, 1]. Output: its pictures, and the columns

``box`` (float32, (boxes, 4)): left, top, right, bottom, pixels of the input;
``box_class`` (int32, (boxes,)): 0 to 79;
``image_boxes`` (int64, (count + 1,)): where each picture's boxes begin;
``picture`` (float32, (count, 4)): the part of the input that is no padding.
"""

from __future__ import annotations

from pathlib import PurePosixPath

import numpy as np
import numpy.typing as npt

from bytemlperf.datasets.draft import (
    Draft,
    Progress,
    Request,
    Unavailable,
    Written,
    map_in_order,
)
from bytemlperf.datasets.image_source import ImageSource, decode_rgb, require_pillow
from bytemlperf.datasets.image_transforms import letterbox
from bytemlperf.datasets.labelled_pictures import image_geometry
from bytemlperf.datasets.sample_cache import SampleWriter
from bytemlperf.errors import PrepareError

__all__ = ["draft"]

CLASS_COUNT = 80
LICENCE = "COCO annotations CC BY 4.0; pictures under Flickr terms (various CC)"

_SOURCES = ("open_coco", "coco128/coco128_val2017.zip")

Boxes = npt.NDArray[np.float32]


def draft(request: Request) -> Draft | Unavailable:
    """Draft COCO pictures with boxes.

    Parameters
    ----------
    request : Request
        With one image input.

    Returns
    -------
    Draft or Unavailable
        Unavailable if no source is under the data root.

    Raises
    ------
    PrepareError
        If a source is there but damaged, empty or malformed.
    """
    path = request.find(*_SOURCES)
    if path is None:
        return Unavailable(request.missing(*_SOURCES))
    spec = request.only_spec("open_coco", "image")
    size, layout = image_geometry(request, spec)
    pillow_version = require_pillow()
    source = ImageSource(path)
    try:
        names = source.names()
        label_names = {
            PurePosixPath(name).stem: name for name in source.names(suffixes=(".txt",))
        }
        if not names or not label_names:
            raise PrepareError(
                f"{path} has {len(names)} pictures and {len(label_names)} box files: "
                "the dataset is empty"
            )
        chosen = [names[at] for at in request.choose(len(names))]
        box_files = [label_names.get(PurePosixPath(name).stem) for name in chosen]
        hashes = source.sha256([*chosen, *filter(None, box_files)])
    finally:
        source.close()

    def write(out: SampleWriter, progress: Progress) -> Written:
        inputs = out.add_input(
            spec.name,
            count=len(chosen),
            dtype=spec.dtype,
            sample_shape=request.shape(spec),
        )
        source = ImageSource(path)

        def store(item: tuple[int, bytes]) -> tuple[int, Boxes]:
            index, content = item
            position = f"picture {index + 1} of {len(chosen)} in {path.name}"
            image = decode_rgb(content, name=chosen[index], position=position)
            pixels, rectangle = letterbox(image, size)
            values = pixels.astype(np.float32) / np.float32(255)
            inputs[index, 0] = values.transpose(2, 0, 1) if layout == "NCHW" else values
            return index, np.array(rectangle, np.float32)

        pictures = np.zeros((len(chosen), 4), np.float32)
        try:
            contents = ((i, source.read(name)) for i, name in enumerate(chosen))
            for index, rectangle in map_in_order(store, contents):
                pictures[index] = rectangle
                progress("letterboxing pictures", index + 1, len(chosen))
            rows = [
                _read_boxes(source.read(name), f"{path}, {name}") if name else _NONE
                for name in box_files
            ]
        finally:
            source.close()
        box_count = _write_labels(out, rows, pictures)
        taken = "all" if len(chosen) == len(names) else f"{len(chosen)} evenly of"
        return Written(
            count=len(chosen),
            subset=(
                f"{taken} {len(names)} COCO val2017 images of {path.name}, "
                f"{box_count} boxes"
            ),
        )

    return Draft(
        unit="images",
        transform=(
            f"RGB, long side to {size} (area), padded with grey 114 to {size}x{size}, "
            "x / 255"
        ),
        licence=LICENCE,
        write=write,
        metric="coco_map",
        source_sha256=hashes,
        parameters={"layout": layout, "pillow": pillow_version},
    )


_NONE = np.zeros((0, 5), np.float64)


def _write_labels(
    out: SampleWriter, rows: list[npt.NDArray[np.float64]], pictures: Boxes
) -> int:
    """Turn shares of the picture into pixels of the input, and write the columns."""
    boxes = []
    for (left, top, right, bottom), row in zip(pictures, rows, strict=True):
        scale = np.array([right - left, bottom - top] * 2)
        centre, half = row[:, 1:3], row[:, 3:5] / 2
        corners = np.concatenate([centre - half, centre + half], axis=1)
        boxes.append(corners * scale + np.array([left, top] * 2))
    every = np.concatenate(boxes)
    ends = np.cumsum([0, *(len(row) for row in rows)])
    out.add_label("box", every.astype(np.float32))
    out.add_label("box_class", np.concatenate(rows)[:, 0].astype(np.int32))
    out.add_label("image_boxes", ends.astype(np.int64))
    out.add_label("picture", pictures)
    return len(every)


def _read_boxes(content: bytes, where: str) -> npt.NDArray[np.float64]:
    """Read lines of class, centre and size; shape (boxes, 5)."""
    rows = []
    for number, line in enumerate(content.decode("utf-8", "replace").splitlines(), 1):
        if not line.strip():
            continue
        try:
            values = [float(field) for field in line.split()]
        except ValueError:
            values = []
        if len(values) != 5 or not np.isfinite(values).all():
            raise PrepareError(
                f"{where}, line {number}: expected class, centre x and y, width and "
                f"height, got {line!r}"
            )
        if values[0] not in range(CLASS_COUNT):
            raise PrepareError(
                f"{where}, line {number}: class {values[0]:g} is outside 0 to "
                f"{CLASS_COUNT - 1}"
            )
        if min(values[1:]) < 0 or max(values[1:]) > 1:
            raise PrepareError(
                f"{where}, line {number}: a box should be in shares of the picture, "
                f"got {line!r}"
            )
        rows.append(values)
    return np.array(rows) if rows else _NONE
