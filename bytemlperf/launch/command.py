"""How a worker is started: an interpreter of some environment, and its variables.

Input: a requirements file. Output: a `WorkerCommand`. What an environment is, is
`bytemlperf.launch.environment`'s business.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from bytemlperf.errors import ConfigError
from bytemlperf.launch.environment import resolve_environment
from bytemlperf.launch.hardware import CommandFinder
from bytemlperf.launch.task_run import WorkerCommand
from bytemlperf.launch.worker_variables import without_secrets

__all__ = ["command_finder"]

ENGINE = "bytemlperf.engine"


def command_finder(
    cache_dir: Path, progress: Callable[[str], None], wheels: Path | None = None
) -> CommandFinder:
    """Return what finds, or makes, the environment for a requirements file.

    Parameters
    ----------
    cache_dir : Path
        Environments are below it.
    progress : callable
        Told of the steps of an installation.
    wheels : Path, optional
        Folder that environments are installed from, and nothing else; None takes
        ``BYTEMLPERF_WHEELS``, and if that is not set, the package index.

    Returns
    -------
    callable
        From a requirements file, or None, to a `WorkerCommand`. It raises what
        `resolve_environment` raises, and `ConfigError` if what is named is no folder.
    """

    def find(requirements: Path | None) -> WorkerCommand:
        environment = resolve_environment(
            requirements,
            cache_dir=cache_dir,
            offline_wheels=_wheels(wheels),
            progress=progress,
        )
        return WorkerCommand(
            argv=(str(environment.python), "-m", ENGINE),
            # Unbuffered: the last words of a worker that is killed are in its log.
            env={
                **without_secrets(os.environ),
                "PYTHONUNBUFFERED": "1",
                **environment.variables,
            },
            kind=environment.kind,
        )

    return find


def _wheels(asked: Path | None) -> Path | None:
    """Return the folder of wheels to install from, if there is to be one."""
    given = os.environ.get("BYTEMLPERF_WHEELS") if asked is None else str(asked)
    if not given:
        return None
    folder = Path(given).expanduser()
    if not folder.is_dir():
        name = "BYTEMLPERF_WHEELS" if asked is None else "--wheels"
        raise ConfigError(
            f"{name} is {given!r}: expected a folder of wheels",
            hint="pip download -r requirements.txt -d FOLDER fills one",
        )
    return folder
