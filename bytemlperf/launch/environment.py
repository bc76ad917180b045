"""Which interpreter a backend's worker runs in: this one, or a venv of its own.

Input: a backend's ``requirements.txt``. Output: an `Environment`. The rule: if this
interpreter satisfies the file, use it; else make a virtual environment, once, under a
key of everything that decides what is in it. Nothing is ever installed into the
interpreter that the command runs in.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import platform
import sys
import sysconfig
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Literal

import msgspec
from packaging.requirements import Requirement

import bytemlperf
from bytemlperf.errors import InternalError, StorageError
from bytemlperf.launch.requirements_file import (
    RequirementsFile,
    read_requirements,
    unmet_requirements,
)
from bytemlperf.launch.virtual_environment import (
    Progress,
    is_complete,
    make_virtual_environment,
    python_of,
)

__all__ = ["Environment", "resolve_environment"]


class Environment(msgspec.Struct, frozen=True):
    """Where a worker runs.

    Parameters
    ----------
    python : Path
        Interpreter; the worker is ``[python, "-m", "bytemlperf.engine", ...]``.
    kind : {"current", "venv"}
        The interpreter of this process, or an environment of the backend's own.
    key : str
        ``"current"``, or the name of the environment's folder.
    path : Path
        Prefix of the environment.
    variables : dict of str to str
        To add to the worker's environment variables.
    """

    python: Path
    kind: Literal["current", "venv"]
    key: str
    path: Path
    variables: dict[str, str]


def resolve_environment(
    requirements: Path | None,
    *,
    cache_dir: Path,
    offline_wheels: Path | None = None,
    progress: Progress | None = None,
) -> Environment:
    """Find the environment for a backend; make it if there is none yet.

    Parameters
    ----------
    requirements : Path or None
        The backend's ``requirements.txt``; its folder's name is the hardware type.
        None, or a file that asks for nothing, means the current interpreter.
    cache_dir : Path
        Environments go to ``envs`` below it. It may be shared: a lock lets one process
        make an environment while others wait for it.
    offline_wheels : Path, optional
        Folder of wheels to install from instead of an index.
    progress : callable, optional
        Called with a short text for each step of an installation; never called when
        there is nothing to do.

    Returns
    -------
    Environment
        Complete and usable.

    Raises
    ------
    ConfigError
        The requirements file cannot be read or understood.
    BackendUnavailableError
        The environment cannot be made; with the tail of the log and a hint.
    StorageError
        The cache cannot be written.
    """
    wanted = None if requirements is None else read_requirements(requirements)
    if requirements is None or wanted is None or not unmet_requirements(wanted):
        return _current()
    core = _core_dependencies()
    key = f"{requirements.parent.name}-{_digest(wanted, core)}"
    path = cache_dir.absolute() / "envs" / key
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        package_link = _link_package(cache_dir.absolute())
        if not is_complete(path):
            with _locked(path.with_suffix(".lock"), progress):
                if not is_complete(path):
                    make_virtual_environment(
                        path, requirements, core, offline_wheels, progress
                    )
    except OSError as error:
        if isinstance(error, StorageError):
            raise
        raise StorageError(f"cannot keep environment {path}: {error}") from error
    return Environment(
        python=python_of(path),
        kind="venv",
        key=key,
        path=path,
        variables={
            # Only the package itself: the parent's site-packages must not leak in.
            "PYTHONPATH": str(package_link),
            "PYTHONNOUSERSITE": "1",
            "VIRTUAL_ENV": str(path),
            "PATH": os.pathsep.join([str(path / "bin"), os.environ.get("PATH", "")]),
        },
    )


def _current() -> Environment:
    """Describe this interpreter; a bare checkout is made importable from anywhere."""
    parent = _package_folder().parent
    variables = {}
    if str(parent) not in {
        sysconfig.get_path("purelib"),
        sysconfig.get_path("platlib"),
    }:
        inherited = os.environ.get("PYTHONPATH")
        places = [str(parent), *([inherited] if inherited else [])]
        variables["PYTHONPATH"] = os.pathsep.join(places)
    return Environment(
        python=Path(sys.executable),
        kind="current",
        key="current",
        path=Path(sys.prefix),
        variables=variables,
    )


def _package_folder() -> Path:
    return Path(bytemlperf.__file__).resolve().parent


def _core_dependencies() -> list[str]:
    """Return what this package itself needs, as installed or as in its checkout."""
    try:
        declared = metadata.requires("bytemlperf") or []
    except metadata.PackageNotFoundError:
        project = _package_folder().parent / "pyproject.toml"
        if not project.is_file():
            raise InternalError(
                f"bytemlperf in {_package_folder()} is neither installed nor a checkout"
            ) from None
        declared = tomllib.loads(project.read_text())["project"]["dependencies"]
    wanted = [Requirement(text) for text in declared]
    return sorted(
        str(requirement)
        for requirement in wanted
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""})
    )


def _digest(wanted: RequirementsFile, core: list[str]) -> str:
    """Hash everything that decides what an environment holds."""
    parts = [
        wanted.text,
        *(hashlib.sha256(file.read_bytes()).hexdigest() for file in wanted.files),
        *core,
        platform.python_version(),
        str(sysconfig.get_config_var("SOABI")),
        sysconfig.get_platform(),
    ]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def _link_package(cache_dir: Path) -> Path:
    """Return a folder that holds only a link to this package."""
    package = _package_folder()
    digest = hashlib.sha256(str(package).encode()).hexdigest()[:16]
    folder = cache_dir / "package" / digest
    link = folder / package.name
    if not link.is_symlink() or link.readlink() != package:
        folder.mkdir(parents=True, exist_ok=True)
        fresh = folder / f".{package.name}.{os.getpid()}"
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(package)
        fresh.replace(link)
    return folder


@contextmanager
def _locked(lock: Path, progress: Progress | None) -> Iterator[None]:
    """Hold a file's lock; say so if somebody else does."""
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if progress is not None:
                progress("waiting for another process to make the environment")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
