"""What every command checks and takes hold of before it measures.

Input: a request. Output: backends and hashes, or the reason why nothing runs.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from bytemlperf.backends import BackendInfo, find_backend
from bytemlperf.errors import ConfigError
from bytemlperf.launch.request import SessionRequest
from bytemlperf.launch.resume import load_request
from bytemlperf.model_zoo import hash_model_info, load_model_info
from bytemlperf.report.hardware_card import read_card
from bytemlperf.report.schema import HardwareCard
from bytemlperf.report.storage import OutFolder

__all__ = [
    "check_models",
    "chosen_card",
    "find_backends",
    "hash_models",
    "locked_folder",
    "runs_on_host",
]

# Backends of the package whose device is the processor that the worker runs on.
ON_HOST = {"CPU", "INDUCTOR", "ONNXRUNTIME", "OPENVINO"}


def hash_models(request: SessionRequest) -> dict[str, str]:
    """Check the description of every task's model, and hash its file.

    Parameters
    ----------
    request : SessionRequest
        Names the tasks.

    Returns
    -------
    dict of str to str
        Task to SHA-256.

    Raises
    ------
    ConfigError
        A model is unknown or malformed.
    """
    return {task.name: _model_sha256(task.workload.model) for task in request.tasks}


def check_models(request: SessionRequest, sha256_by_task: Mapping[str, str]) -> None:
    """Refuse to go on where a model's description is another one now.

    Parameters
    ----------
    request : SessionRequest
        That goes on with its output folder.
    sha256_by_task : mapping of str to str
        As `hash_models` returned it now.

    Raises
    ------
    ConfigError
        A model json has changed.
    """
    _, before = load_request(request.out_dir)
    changed = [
        name for name, sha256 in sha256_by_task.items() if before.get(name) != sha256
    ]
    if changed:
        raise ConfigError(
            f"--resume {request.out_dir}: the model json of {', '.join(changed)} has "
            "changed since the run began",
            hint="measure anew with another --out; what was measured is kept",
        )


def find_backends(request: SessionRequest) -> list[BackendInfo]:
    """Find every hardware type once, under its own spelling.

    Parameters
    ----------
    request : SessionRequest
        Names them.

    Returns
    -------
    list of BackendInfo
        In the order of the request.

    Raises
    ------
    ConfigError
        There is no backend of that name.
    """
    found = (
        find_backend(name, request.backend_path) for name in request.hardware_types
    )
    return list({info.hardware_type: info for info in found}.values())


def chosen_card(asked: str) -> HardwareCard | None:
    """Read the card that was asked for.

    Parameters
    ----------
    asked : str
        A name, a file, ``"auto"``, ``"host"`` or ``"none"``.

    Returns
    -------
    HardwareCard or None
        None where no card is named: the host's own is made by the worker.

    Raises
    ------
    ConfigError
        There is no such card, or it is malformed.
    """
    return None if asked in {"auto", "host", "none"} else read_card(asked)


def runs_on_host(info: BackendInfo, asked: str) -> bool:
    """Tell whether points are held against the peaks of the worker's own processor.

    Parameters
    ----------
    info : BackendInfo
        Which backend.
    asked : str
        As in `chosen_card`.

    Returns
    -------
    bool
        Always with ``"host"``; with ``"auto"`` for the package's own backends that run
        on it.
    """
    is_ours = info.origin == "package" and info.hardware_type in ON_HOST
    return asked == "host" or (asked == "auto" and is_ours)


@contextmanager
def locked_folder(out: OutFolder) -> Iterator[None]:
    """Keep a second command out of the folder; the kernel lets go if we die.

    Parameters
    ----------
    out : OutFolder
        Prepared.

    Yields
    ------
    None
        While the folder is ours.

    Raises
    ------
    ConfigError
        Another command is writing there.
    """
    path = out.path / ".lock"
    try:
        lock_fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise ConfigError(f"cannot open {path}: {error.strerror}") from error
    try:
        try:
            fcntl.flock(lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConfigError(
                f"another run is writing to {out.path}",
                hint="wait for it, or choose another folder with --out",
            ) from error
        yield
    finally:
        os.close(lock_fd)


def _model_sha256(model: str) -> str:
    """Check a model's description, and hash its file."""
    load_model_info(model)
    return hash_model_info(model)
