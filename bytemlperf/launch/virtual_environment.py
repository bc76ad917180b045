"""Make a virtual environment, and say what went wrong if it cannot be made.

Input: a place and what to install. Output: a finished environment with a marker in it,
and a log beside it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from bytemlperf.errors import BackendUnavailableError
from bytemlperf.launch.process import start_guard, stop_guard

__all__ = ["MARKER", "Progress", "is_complete", "make_virtual_environment", "python_of"]

Progress = Callable[[str], None]

MARKER = ".complete"
LOG_TAIL_LINES = 12
# What pip says, and what to do about it; the first that matches counts.
HINTS = (
    (r"No space left on device", "no disk space: free some, or move the cache"),
    (
        (
            r"Temporary failure in name resolution|Connection refused"
            r"|NewConnectionError|Network is unreachable|Max retries exceeded"
        ),
        "no network: install the requirements into this interpreter by other means",
    ),
    (
        r"ResolutionImpossible|conflicting dependencies",
        "the requirements contradict each other, or the package's own dependencies",
    ),
    (
        r"No matching distribution|Could not find a version",
        "no such version for this Python and platform, or no network",
    ),
    (r"Failed building wheel|error: command", "a source package did not compile"),
    (r"ensurepip|No module named venv", "this Python lacks venv: install python3-venv"),
)


def python_of(path: Path) -> Path:
    """Return the interpreter of the environment at `path`."""
    return path / "bin" / "python"


def is_complete(path: Path) -> bool:
    """Tell whether an environment was finished, and its base interpreter still is.

    Parameters
    ----------
    path : Path
        Of the environment.

    Returns
    -------
    bool
        False if it is to be made, or made again.
    """
    return (path / MARKER).is_file() and python_of(path).exists()


def make_virtual_environment(
    path: Path,
    requirements: Path,
    core: list[str],
    offline_wheels: Path | None,
    progress: Progress | None,
) -> None:
    """Make an environment at its final place; the marker comes last.

    It is not made elsewhere and moved, because the scripts inside hold its path. An
    interrupted one has no marker and is made again from nothing. The caller holds a
    lock on `path`.

    Parameters
    ----------
    path : Path
        Where it goes; what is there is removed.
    requirements : Path
        To install; its folder's name is the hardware type.
    core : list of str
        Requirements to install beside them, in the same resolution.
    offline_wheels : Path or None
        Folder of wheels to install from instead of an index.
    progress : callable or None
        Called with a short text for each step.

    Raises
    ------
    BackendUnavailableError
        A step failed; with the tail of the log and a hint.
    OSError
        The place cannot be written.
    """
    if path.exists():
        shutil.rmtree(path)
    log = path.with_suffix(".log")
    log.unlink(missing_ok=True)
    _run(
        [sys.executable, "-m", "venv", str(path)],
        f"making a virtual environment for {requirements.parent.name}",
        log=log,
        folder=path.parent,
        progress=progress,
    )
    offline = (
        ["--no-index", "--find-links", str(offline_wheels.absolute())]
        if offline_wheels is not None
        else []
    )
    _run(
        [
            *(str(python_of(path)), "-m", "pip", "install", "--no-input"),
            *("--disable-pip-version-check", "--progress-bar", "off"),
            *offline,
            *core,
            *("-r", requirements.name),
        ],
        f"installing {requirements}",
        log=log,
        # pip takes a relative path in the file from where it runs.
        folder=requirements.absolute().parent,
        progress=progress,
    )
    (path / MARKER).write_text(json.dumps({"requirements": str(requirements)}))


def _run(
    command: list[str],
    step: str,
    *,
    log: Path,
    folder: Path,
    progress: Progress | None,
) -> None:
    """Run a command with its output in a log; an error shows the log's end."""
    if progress is not None:
        progress(step)
    # A user's settings for his own interpreter do not hold for the new one.
    foreign = {"PYTHONPATH", "PYTHONHOME", "PIP_TARGET", "PIP_PREFIX", "PIP_USER"}
    variables = {name: v for name, v in os.environ.items() if name not in foreign}
    with log.open("a") as file:
        file.write(f"$ {' '.join(command)}\n")
        file.flush()
        with subprocess.Popen(
            command,
            cwd=folder,
            env={**variables, "PIP_USER": "0"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        ) as process:
            guard = start_guard(process.pid)
            try:
                assert process.stdout is not None
                for line in process.stdout:
                    file.write(line)
                    if progress is not None and (news := _news(line)):
                        progress(news)
            except BaseException:
                # Whoever makes the environment next must not meet this pip in it.
                os.killpg(process.pid, signal.SIGKILL)
                raise
            finally:
                stop_guard(guard)
    if process.returncode != 0:
        said = log.read_text(errors="replace")
        hint = next((text for pattern, text in HINTS if re.search(pattern, said)), None)
        tail = "\n".join(said.splitlines()[-LOG_TAIL_LINES:])
        raise BackendUnavailableError(
            f"{step} failed: {Path(command[0]).name} ended with {process.returncode}",
            detail=f"{log}:\n{tail}",
            hint=hint,
        )


def _news(line: str) -> str | None:
    """Return what is worth telling of a line of pip's, such as a download."""
    found = re.match(
        r"\s*(Collecting|Downloading|Building wheels?|Installing)\b.*", line
    )
    return found[0].strip()[:100] if found else None
