"""Which files are whose, and what they are as results.

Input: paths. Output: results.
"""

from __future__ import annotations

import re
from pathlib import Path

from bytemlperf.errors import ConfigError
from bytemlperf.report.formats.byte_mlperf import read_byte_mlperf
from bytemlperf.report.formats.loadgen import DETAIL, SUMMARY, read_loadgen
from bytemlperf.report.schema import TaskResult

__all__ = ["folder_name", "import_path"]

UNSAFE_IN_NAMES = re.compile(r"[^\w.+-]+")
MAX_NAME = 100


def import_path(path: Path) -> list[TaskResult]:
    """Read other tools' results.

    Parameters
    ----------
    path : Path
        ByteMLPerf's ``result*.json``, one of LoadGen's two logs, or a folder with such
        files anywhere below it.

    Returns
    -------
    list of TaskResult
        At least one; LoadGen's two logs of one test are one result.

    Raises
    ------
    ConfigError
        There is nothing of that kind, or a file is malformed.
    """
    if not path.exists():
        raise ConfigError(f"{path}: there is no such file or folder")
    if path.is_file():
        is_log = path.name in {SUMMARY, DETAIL}
        return [read_loadgen(path) if is_log else read_byte_mlperf(path)]
    tests = sorted({file.parent for name in (SUMMARY, DETAIL)
                    for file in path.rglob(name)})  # fmt: skip
    files = sorted(path.rglob("result*.json"))
    results = [
        *(read_loadgen(test) for test in tests),
        *(read_byte_mlperf(file) for file in files),
    ]
    if not results:
        raise ConfigError(
            f"{path}: expected ByteMLPerf's result*.json or LoadGen's {SUMMARY}"
        )
    return results


def folder_name(name: str) -> str:
    """Return a name that is a folder below another, whatever it was before.

    Parameters
    ----------
    name : str
        From somebody's file.

    Returns
    -------
    str
        Not empty, without separators, and not hidden.
    """
    return UNSAFE_IN_NAMES.sub("_", name).lstrip(".")[:MAX_NAME] or "unnamed"
