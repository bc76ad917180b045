"""CIFAR-10 and CIFAR-100: 10,000 test pictures of 32 x 32 pixels.

Input: a model with one image input. Output: a draft of labelled pictures. Read are a
folder or zip of pictures, one folder a class, and the binary version of the original,
as a file or still in its archive. The pickled version is not: a pickle is a program.
"""

from __future__ import annotations

import tarfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from bytemlperf.datasets.draft import Draft, Request, Unavailable, file_sha256
from bytemlperf.datasets.image_source import ImageSource
from bytemlperf.datasets.labelled_pictures import (
    FilePictures,
    LabelledPictures,
    draft_pictures,
)
from bytemlperf.errors import PrepareError

__all__ = ["draft_cifar10", "draft_cifar100"]

SIDE = 32
PIXEL_BYTES = 3 * SIDE * SIDE
LICENCE = "Krizhevsky 2009, published for research without a formal licence"
MAX_MEMBER_BYTES = 1 << 26

CLASSES_10 = (
    "airplane", "automobile", "bird", "cat", "deer",
    "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip


class _Variant(NamedTuple):
    """What differs between the two."""

    dataset: str
    class_count: int
    label_bytes: int
    picture_sources: tuple[str, ...]
    binary: str
    archive: str
    member: str


_CIFAR10 = _Variant(
    dataset="open_cifar10",
    class_count=10,
    label_bytes=1,
    picture_sources=("open_cifar10/test", "cifar10/cifar10_test_jpg.zip"),
    binary="open_cifar10/cifar-10-batches-bin/test_batch.bin",
    archive="open_cifar10/cifar-10-binary.tar.gz",
    member="cifar-10-batches-bin/test_batch.bin",
)
_CIFAR100 = _Variant(
    dataset="open_cifar100",
    class_count=100,
    # The coarse class, then the fine one, which is the label.
    label_bytes=2,
    picture_sources=(),
    binary="open_cifar100/cifar-100-binary/test.bin",
    archive="open_cifar100/cifar-100-binary.tar.gz",
    member="cifar-100-binary/test.bin",
)


def draft_cifar10(request: Request) -> Draft | Unavailable:
    """Draft CIFAR-10's test pictures.

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
    return _draft(_CIFAR10, request)


def draft_cifar100(request: Request) -> Draft | Unavailable:
    """Draft CIFAR-100's test pictures, labelled with the hundred fine classes.

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
    return _draft(_CIFAR100, request)


def _draft(variant: _Variant, request: Request) -> Draft | Unavailable:
    originals = (variant.binary, variant.archive)
    if (path := request.find(*originals)) is not None:
        return draft_pictures(_find_binary(path, variant), request)
    if (path := request.find(*variant.picture_sources)) is not None:
        return draft_pictures(_find_pictures(path, variant), request)
    return Unavailable(request.missing(*originals, *variant.picture_sources))


def _find_pictures(path: Path, variant: _Variant) -> LabelledPictures:
    source = ImageSource(path)
    try:
        names = source.names()
    finally:
        source.close()
    labels = []
    for name in names:
        folder = name.rpartition("/")[0].rpartition("/")[2]
        if folder not in CLASSES_10:
            raise PrepareError(
                f"{path}: {name!r} is in folder {folder!r}, expected one of "
                f"{', '.join(CLASSES_10)}"
            )
        labels.append(CLASSES_10.index(folder))
    lossy = any(name.lower().endswith((".jpg", ".jpeg")) for name in names)
    found = LabelledPictures(
        dataset=variant.dataset,
        pictures=FilePictures(path, names),
        labels=labels,
        class_count=variant.class_count,
        label_file=None,
        statement=(
            "CIFAR-10 test images, JPEG: scores are below those of the lossless ones"
            if lossy
            else "CIFAR-10 test images"
        ),
        licence=LICENCE,
    )
    found.check(names)
    return found


def _find_binary(path: Path, variant: _Variant) -> LabelledPictures:
    pictures = _BinaryPictures(path, variant)
    labels = pictures.rows[:, variant.label_bytes - 1].tolist()
    found = LabelledPictures(
        dataset=variant.dataset,
        pictures=pictures,
        labels=labels,
        class_count=variant.class_count,
        label_file=None,
        statement=f"CIFAR-{variant.class_count} test images",
        licence=LICENCE,
    )
    found.check([f"record {number}" for number in range(1, len(labels) + 1)])
    return found


class _BinaryPictures:
    """The records of the binary version: labels, then red, green and blue planes."""

    def __init__(self, path: Path, variant: _Variant) -> None:
        self.path = path
        self._variant = variant

    @cached_property
    def rows(self) -> npt.NDArray[np.uint8]:
        """All records, uint8 (count, label bytes + 3072)."""
        body = self._body()
        width = self._variant.label_bytes + PIXEL_BYTES
        if not body or len(body) % width:
            raise PrepareError(
                f"{self.path}: expected records of {width} bytes, got {len(body)} "
                f"bytes in all: record {len(body) // width + 1} is cut short"
            )
        return np.frombuffer(body, np.uint8).reshape(-1, width)

    def _body(self) -> bytes:
        try:
            if self.path.suffix != ".gz":
                return self.path.read_bytes()
            # Read in place: nothing of the archive touches the disk.
            with tarfile.open(self.path, "r:gz") as archive:
                member = archive.getmember(self._variant.member)
                if not member.isreg() or member.size > MAX_MEMBER_BYTES:
                    raise PrepareError(
                        f"{self.path}: {member.name} is no plain file of at most "
                        f"{MAX_MEMBER_BYTES:,} bytes"
                    )
                content = archive.extractfile(member)
                assert content is not None  # a regular file
                return content.read()
        except (OSError, EOFError, KeyError, tarfile.TarError, zlib.error) as error:
            raise PrepareError(f"cannot read {self.path}", detail=str(error)) from error

    def fetch(self, numbers: Sequence[int]) -> Iterator[Callable[[], Any]]:
        """Make pictures from their planes.

        Parameters
        ----------
        numbers : sequence of int
            Which records.

        Yields
        ------
        callable
            It makes a picture (PIL, mode RGB).
        """
        for number in numbers:
            planes = self.rows[number, self._variant.label_bytes :]
            yield partial(_picture, planes)

    def sha256(self, numbers: Sequence[int]) -> dict[str, str]:
        """Hash the whole file."""
        del numbers
        return {self.path.name: file_sha256(self.path)}


def _picture(planes: npt.NDArray[np.uint8]) -> Any:
    from PIL import Image

    pixels = planes.reshape(3, SIDE, SIDE).transpose(1, 2, 0)
    return Image.fromarray(np.ascontiguousarray(pixels))
