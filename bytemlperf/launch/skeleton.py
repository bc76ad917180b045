"""Write a new backend's folder: it runs as it is, and shows where yours goes.

Input: a hardware type's name. Output: files. The texts are in
``bytemlperf/backends/skeleton``, with the name as ``@HW@`` and ``@hw@``.
"""

from __future__ import annotations

import re
from pathlib import Path

from bytemlperf import backends
from bytemlperf.errors import ConfigError
from bytemlperf.report.storage import storage_error

__all__ = ["write_skeleton"]

TEXTS = Path(backends.__file__).parent / "skeleton"
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
FILES = {
    "backend_@hw@.py": "backend.py.txt",
    "@hw@.json": "profile.json.txt",
    "requirements.txt": "requirements.txt",
    "test_@hw@.py": "test.py.txt",
}


def write_skeleton(name: str, parent: Path) -> Path:
    """Write a folder with a backend that works.

    Parameters
    ----------
    name : str
        The hardware type; the folder has it in upper case.
    parent : Path
        Folder to make it in; made if absent.

    Returns
    -------
    Path
        The new folder.

    Raises
    ------
    ConfigError
        The name cannot be a Python name, or the folder exists.
    StorageError
        It cannot be written.
    """
    if not NAME.fullmatch(name):
        raise ConfigError(
            f"{name!r} cannot name a backend: expected letters, digits and "
            "underscores, a letter first",
            hint="for example: backend init GOYA",
        )
    folder = parent / name.upper()
    try:
        folder.mkdir(parents=True)
    except FileExistsError as error:
        raise ConfigError(
            f"{folder} exists: nothing was written",
            hint="choose another name, or another folder with --out",
        ) from error
    except OSError as error:
        raise storage_error("make the folder", folder, error) from error
    for target, source in FILES.items():
        path = folder / _named(target, name)
        try:
            path.write_text(_named((TEXTS / source).read_text(), name))
        except OSError as error:
            raise storage_error("write", path, error) from error
    return folder


def _named(text: str, name: str) -> str:
    return text.replace("@HW@", name.upper()).replace("@hw@", name.lower())
