"""Pictures in a zip file or a folder, read by name and decoded, with errors that point.

Input: a path. Output: RGB pictures. It refuses to know classes or models.
"""

from __future__ import annotations

import hashlib
import io
import warnings
import zipfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any

from bytemlperf.datasets.draft import file_sha256
from bytemlperf.errors import PrepareError

__all__ = ["ImageSource", "decode_rgb", "require_pillow"]

MAX_IMAGE_BYTES = 64 << 20
_IMAGE_SUFFIXES = (".jpeg", ".jpg", ".png")


class ImageSource:
    """The files of a zip archive or of a folder, under one face.

    Parameters
    ----------
    path : Path
        A ``.zip`` file or a folder.

    Raises
    ------
    PrepareError
        If it is neither, or not intact.

    Notes
    -----
    Thread-safety: `read` may be called from one thread at a time.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._archive: zipfile.ZipFile | None = None
        if not path.is_dir():
            try:
                self._archive = zipfile.ZipFile(path)
            except (OSError, zipfile.BadZipFile) as error:
                raise PrepareError(
                    f"{path} is neither a folder nor a readable zip file",
                    detail=str(error),
                ) from error

    def close(self) -> None:
        """Close the archive."""
        if self._archive is not None:
            self._archive.close()

    def names(self, *, suffixes: tuple[str, ...] = _IMAGE_SUFFIXES) -> list[str]:
        """List files by suffix.

        Parameters
        ----------
        suffixes : tuple of str
            In lower case; compared without regard to case.

        Returns
        -------
        list of str
            Names relative to the source, with ``/``, sorted.
        """
        if self._archive is not None:
            every: Iterable[str] = self._archive.namelist()
        else:
            every = (
                found.relative_to(self.path).as_posix()
                for found in self.path.rglob("*")
                if found.is_file()
            )
        return sorted(name for name in every if name.lower().endswith(suffixes))

    def read(self, name: str) -> bytes:
        """Read a file whole.

        Parameters
        ----------
        name : str
            As from `names`.

        Returns
        -------
        bytes
            Its content.

        Raises
        ------
        PrepareError
            If it is absent, damaged, outside the source or above 64 MiB.
        """
        try:
            if self._archive is not None:
                size = self._archive.getinfo(name).file_size
                content = self._archive.read(name) if size <= MAX_IMAGE_BYTES else b""
            else:
                if (
                    ".." in PurePosixPath(name).parts
                    or PurePosixPath(name).is_absolute()
                ):
                    raise PrepareError(f"{self.path}: {name!r} leads out of the folder")
                size = (self.path / name).stat().st_size
                content = (
                    (self.path / name).read_bytes() if size <= MAX_IMAGE_BYTES else b""
                )
        except (OSError, KeyError, zipfile.BadZipFile, RuntimeError) as error:
            raise PrepareError(
                f"cannot read {name!r} in {self.path}", detail=str(error)
            ) from error
        if size > MAX_IMAGE_BYTES:
            raise PrepareError(
                f"{name!r} in {self.path} has {size} bytes, more than the "
                f"{MAX_IMAGE_BYTES} that a sample may have"
            )
        return content

    def sha256(self, names: Iterable[str]) -> dict[str, str]:
        """Hash the source.

        Parameters
        ----------
        names : iterable of str
            The files that are used; of an archive the whole is hashed.

        Returns
        -------
        dict of str to str
            One entry: the file or folder name, and its SHA-256 in hexadecimal. That
            of a folder is over the names and SHA-256 of the files used.
        """
        if self._archive is not None:
            return {self.path.name: file_sha256(self.path)}
        digest = hashlib.sha256()
        for name in names:
            digest.update(f"{name}\0{file_sha256(self.path / name)}\n".encode())
        return {f"{self.path.name}/": digest.hexdigest()}


def require_pillow() -> str:
    """Return Pillow's version, which decides the pixels a JPEG decodes to.

    Returns
    -------
    str
        Such as ``"12.0.0"``.

    Raises
    ------
    PrepareError
        If it is not installed.
    """
    try:
        import PIL
    except ImportError as error:
        raise PrepareError(
            "pictures cannot be decoded: Pillow is not installed",
            hint="pip install pillow in the environment that prepares samples",
        ) from error
    version: str = PIL.__version__
    return version


def decode_rgb(content: bytes, *, name: str, position: str) -> Any:
    """Decode a picture to RGB.

    Parameters
    ----------
    content : bytes
        A JPEG or PNG file.
    name : str
        Its name, for the message.
    position : str
        Where it stands, such as ``"picture 17 of 1000 in samples.zip"``.

    Returns
    -------
    PIL.Image.Image
        Mode ``"RGB"``, loaded.

    Raises
    ------
    PrepareError
        If it is not a whole picture.
    """
    from PIL import Image

    try:
        with warnings.catch_warnings():
            # A picture above 89 million pixels is a bomb or a mistake, not a sample.
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(content)) as image:
                return image.convert("RGB")
    except (
        OSError,
        SyntaxError,
        ValueError,
        Image.DecompressionBombError,
        Image.DecompressionBombWarning,
    ) as error:
        raise PrepareError(
            f"cannot decode {name!r}, {position}", detail=str(error)
        ) from error
