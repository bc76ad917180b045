"""Which files of a dataset can be downloaded, and what they must be.

Input: a dataset's name. Output: URLs, sizes and hashes, from ``downloads.json``.
Nothing is fetched here.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Annotated

import msgspec

from bytemlperf.errors import MALFORMED, InternalError

__all__ = ["DataFile", "data_files", "missing_files"]

TABLE = Path(__file__).with_name("downloads.json")


class DataFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A file of a dataset that can be downloaded.

    Parameters
    ----------
    path : str
        Where it belongs, relative to the folder of downloaded data.
    url : str
        Where it is.
    bytes : int
        Its size.
    sha256 : str
        Its hash, 64 hexadecimal digits.
    licence : str
        Of the data.
    """

    path: Annotated[str, msgspec.Meta(min_length=1)]
    url: Annotated[str, msgspec.Meta(pattern="^https?://")]
    bytes: Annotated[int, msgspec.Meta(ge=1)]
    sha256: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
    licence: Annotated[str, msgspec.Meta(min_length=1)]

    def __post_init__(self) -> None:
        parts = PurePosixPath(self.path)
        if parts.is_absolute() or ".." in parts.parts:
            raise ValueError(f"path {self.path!r} leads out of the folder")


def data_files(dataset: str | None, table: Path = TABLE) -> tuple[DataFile, ...]:
    """Return the files of a dataset.

    Parameters
    ----------
    dataset : str, optional
        Its name.
    table : Path
        Where they are listed.

    Returns
    -------
    tuple of DataFile
        Empty if nothing of it can be downloaded.

    Raises
    ------
    InternalError
        The table is not what it should be.
    """
    try:
        listed = msgspec.json.decode(
            table.read_bytes(), type=dict[str, tuple[DataFile, ...]]
        )
    except (OSError, *MALFORMED) as error:
        raise InternalError(f"{table}: {error}") from error
    return listed.get(dataset or "", ())


def missing_files(
    files: tuple[DataFile, ...], roots: tuple[Path | None, ...]
) -> list[DataFile]:
    """Return the files that are in none of several folders.

    Parameters
    ----------
    files : tuple of DataFile
        Wanted.
    roots : tuple of (Path or None)
        Folders of data.

    Returns
    -------
    list of DataFile
        A file of another size is missing: it was not downloaded to its end, or is
        something else.
    """

    def is_here(file: DataFile) -> bool:
        places = [root / file.path for root in roots if root is not None]
        return any(
            place.is_file() and place.stat().st_size == file.bytes for place in places
        )

    return [file for file in files if not is_here(file)]
