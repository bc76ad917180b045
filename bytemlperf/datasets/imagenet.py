"""ImageNet: a validation folder in a usual layout, or the one-per-class sample.

Input: a model with one image input. Output: a draft of labelled pictures.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from bytemlperf.datasets.draft import Draft, Request, Unavailable
from bytemlperf.datasets.image_source import ImageSource
from bytemlperf.datasets.labelled_pictures import (
    FilePictures,
    LabelledPictures,
    draft_pictures,
)
from bytemlperf.errors import MALFORMED, PrepareError

__all__ = ["draft"]

CLASS_COUNT = 1000
DATASET = "open_imagenet"
FOLDER_MAP = "open_imagenet/val_map.txt"
CLASS_FOLDERS = "open_imagenet/val"
SAMPLE_ZIP = "imagenet_sample/imagenet_1per_class_s256.zip"
LICENCE = "ImageNet: non-commercial research only"
# Lines of "wnid ..." in the order of the classes, as ImageNet's own kit has them.
SYNSET_FILES = ("synset_words.txt", "LOC_synset_mapping.txt")


class _LabelRow(msgspec.Struct):
    index: int
    wnid: str


def draft(request: Request) -> Draft | Unavailable:
    """Draft ImageNet samples.

    Parameters
    ----------
    request : Request
        With one image input.

    Returns
    -------
    Draft or Unavailable
        Unavailable if the data is there in no form.

    Raises
    ------
    PrepareError
        If the data is there but damaged, empty, or labelled outside the classes.
    """
    readers = {
        FOLDER_MAP: _find_folder,
        CLASS_FOLDERS: _find_class_folders,
        SAMPLE_ZIP: _find_sample,
    }
    for name, read in readers.items():
        if (path := request.find(name)) is not None:
            return draft_pictures(read(path), request)
    return Unavailable(request.missing(*readers))


def _find_folder(map_file: Path) -> LabelledPictures:
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
    _labelled(classes, images, map_file, "")
    # The file published with ByteMLPerf maps 50,000 names and ships 5,000 of them.
    there = {name: index for name, index in classes.items() if (images / name).exists()}
    if not there:
        raise PrepareError(f"none of the {len(classes)} files of {map_file} exists")
    return _labelled(
        there,
        images,
        map_file,
        f"validation images present ({len(classes)} in val_map.txt)",
    )


def _find_class_folders(folder: Path) -> LabelledPictures:
    if not folder.is_dir():
        raise PrepareError(f"{folder} should be a folder with one folder a class")
    wnids = sorted(entry.name for entry in folder.iterdir() if entry.is_dir())
    order_file = next(
        (
            folder.parent / name
            for name in SYNSET_FILES
            if (folder.parent / name).is_file()
        ),
        None,
    )
    if order_file is not None:
        lines = order_file.read_text(encoding="utf-8").splitlines()
        order = [line.split()[0] for line in lines if line.strip()]
    else:
        order = wnids
    if len(order) != CLASS_COUNT:
        # With some classes left out, a folder's rank would be another class.
        raise PrepareError(
            f"{order_file or folder}: expected {CLASS_COUNT} classes, got {len(order)}",
            hint=f"put {SYNSET_FILES[0]} beside the folder if it has a part of them",
        )
    index_of = {wnid: index for index, wnid in enumerate(order)}
    classes = {}
    for name in ImageSource(folder).names():
        wnid = name.partition("/")[0]
        if wnid not in index_of:
            raise PrepareError(f"{folder / name}: {wnid!r} is none of the classes")
        classes[name] = index_of[wnid]
    statement = f"validation images in {len(wnids)} class folders"
    return _labelled(classes, folder, order_file, statement)


def _find_sample(archive: Path) -> LabelledPictures:
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
    return _labelled(
        classes,
        archive,
        label_file,
        "training-set-like images, one a class: "
        "scores are optimistic against the validation set",
    )


def _labelled(
    classes: dict[str, int], images: Path, label_file: Path | None, statement: str
) -> LabelledPictures:
    """Put what was found in the order of the names, and check it."""
    names = sorted(classes)
    found = LabelledPictures(
        dataset=DATASET,
        pictures=FilePictures(images, names),
        labels=[classes[name] for name in names],
        class_count=CLASS_COUNT,
        label_file=label_file,
        statement=statement,
        licence=LICENCE,
    )
    found.check(names)
    return found
