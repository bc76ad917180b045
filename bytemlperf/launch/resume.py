"""Going on with a command that was cut off: what was asked, and what has changed since.

Input: the output folder of an earlier command. Output: the same `SessionRequest`, and
for each task what must be said about it. What was measured stays as it is on disk.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import platformdirs

from bytemlperf.engine.messages import PreparedTask, TaskDescribed
from bytemlperf.errors import MALFORMED, ConfigError
from bytemlperf.launch.request import SessionRequest
from bytemlperf.report.storage import OutFolder, write_json_atomic
from bytemlperf.workloads import WorkloadFile

__all__ = [
    "REQUEST_NAME",
    "changed_artefact",
    "changed_environment",
    "changed_workload",
    "load_request",
    "relocated",
    "save_request",
    "stored_request",
]

REQUEST_NAME = "request.json"
REQUEST_VERSION = 1
MAX_NAMED_PACKAGES = 8
PATH_FIELDS = ("cache_dir", "data_root", "backend_path", "model_path", "answers")


class _StoredRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A request on disk.

    Parameters
    ----------
    request_version : int
        Of the file format.
    model_sha256 : dict of str to str
        Task to the hash of its model's json.
    request : dict
        The fields of `SessionRequest`, paths absolute.
    """

    request_version: int
    model_sha256: dict[str, str]
    request: dict[str, Any]


def stored_request(
    request: SessionRequest, model_sha256: dict[str, str]
) -> msgspec.Struct:
    """Put a request into the form it has on disk and on the wire.

    Parameters
    ----------
    request : SessionRequest
        Of the command that begins.
    model_sha256 : dict of str to str
        Task to the hash of its model's json.

    Returns
    -------
    Struct
        To be encoded as JSON; paths are absolute.
    """
    here = {
        name: Path(os.path.abspath(path.expanduser()))
        for name in PATH_FIELDS
        if (path := getattr(request, name)) is not None
    }
    tasks = tuple(
        msgspec.structs.replace(task, path=Path(os.path.abspath(task.path)))
        for task in request.tasks
    )
    whole = msgspec.structs.replace(request, tasks=tasks, **here)
    fields = msgspec.to_builtins(whole, enc_hook=str)
    return _StoredRequest(REQUEST_VERSION, model_sha256, fields)


def relocated(body: bytes, *, answers: Path | None, start_gate: str | None) -> bytes:
    """Make a stored request one of the machine it has been sent to.

    Parameters
    ----------
    body : bytes
        ``request.json``.
    answers : Path or None
        Where the answers are on this machine.
    start_gate : str or None
        Where its points ask when to begin.

    Returns
    -------
    bytes
        ``request.json``. A cache folder that does not exist here becomes this user's.
    """
    stored = msgspec.json.decode(body, type=_StoredRequest)
    fields = dict(stored.request)
    fields["answers"] = None if answers is None else str(answers)
    fields["start_gate"] = start_gate
    if not Path(fields["cache_dir"]).is_dir():
        fields["cache_dir"] = os.environ.get(
            "BYTEMLPERF_CACHE"
        ) or platformdirs.user_cache_dir("bytemlperf")
    return msgspec.json.encode(msgspec.structs.replace(stored, request=fields))


def save_request(
    request: SessionRequest, out: OutFolder, model_sha256: dict[str, str]
) -> None:
    """Write what is asked for, so that `load_request` can ask for it again.

    Parameters
    ----------
    request : SessionRequest
        Of the command that begins.
    out : OutFolder
        Its output folder.
    model_sha256 : dict of str to str
        Task to the hash of its model's json.

    Raises
    ------
    StorageError
        It cannot be written.
    """
    write_json_atomic(out.path / REQUEST_NAME, stored_request(request, model_sha256))


def load_request(folder: Path) -> tuple[SessionRequest, dict[str, str]]:
    """Read what an earlier command was asked for.

    Parameters
    ----------
    folder : Path
        Its output folder, which may have been moved.

    Returns
    -------
    request : SessionRequest
        As it was, with `folder` as its output folder.
    model_sha256 : dict of str to str
        Task to the hash of its model's json at that time.

    Raises
    ------
    ConfigError
        The folder holds no request, or one that cannot be read.
    """
    path = folder / REQUEST_NAME
    try:
        body = path.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"--resume {folder}: cannot read {REQUEST_NAME}: {error.strerror}",
            hint="name the --out folder of a run that was cut off",
        ) from error
    try:
        stored = msgspec.json.decode(body, type=_StoredRequest)
        if stored.request_version != REQUEST_VERSION:
            raise ConfigError(
                f"{path}: $.request_version: expected {REQUEST_VERSION}, got "
                f"{stored.request_version}",
                hint="another version of bytemlperf wrote it; measure anew",
            )
        request = msgspec.convert(stored.request, SessionRequest, dec_hook=_to_path)
    except MALFORMED as error:
        raise ConfigError(f"{path}: {error}") from error
    return (
        msgspec.structs.replace(request, out_dir=folder, resume=True),
        stored.model_sha256,
    )


def _to_path(wanted: type, value: Any) -> Any:
    if wanted is Path and isinstance(value, str):
        return Path(value)
    raise msgspec.ValidationError(f"expected a path, got {type(value).__name__}")


def changed_workload(task: WorkloadFile) -> str | None:
    """Say that a workload's file is another one now.

    Parameters
    ----------
    task : WorkloadFile
        As it was when the command began.

    Returns
    -------
    str or None
        A warning; None if the file is the same, or no longer there to be asked.
    """
    try:
        body = task.path.read_bytes()
    except OSError:
        return None
    if hashlib.sha256(body).hexdigest() == task.sha256:
        return None
    return (
        f"{task.path} has changed since this run began; the run goes on with the "
        "workload it began with"
    )


def changed_artefact(
    described: TaskDescribed | None, prepared: PreparedTask
) -> str | None:
    """Say that the points on disk were measured with another model or other samples.

    Parameters
    ----------
    described : TaskDescribed or None
        What the points on disk were measured with.
    prepared : PreparedTask
        What further points would be measured with.

    Returns
    -------
    str or None
        What differs.
    """
    if described is None:
        return None
    if described.model is not None and prepared.model is not None:
        before, now = described.model.sha256, prepared.model.sha256
        if before != now:
            return f"the model file was {before[:12]}... and is {now[:12]}... (sha256)"
    before, now = described.dataset.sha256, prepared.samples.key
    if before != now:
        return f"the samples were {before[:12]}... and are {now[:12]}... (their key)"
    return None


def changed_environment(before: TaskDescribed, now: TaskDescribed) -> str | None:
    """Say what is different on the machine that goes on with a task.

    Parameters
    ----------
    before, now : TaskDescribed
        Of the first worker and of the one that goes on.

    Returns
    -------
    str or None
        A warning that names each difference; None if there is none.
    """
    first, second = before.provenance, now.provenance
    pairs = [
        ("bytemlperf", first.bytemlperf_version, second.bytemlperf_version),
        ("commit", first.source_commit, second.source_commit),
        ("Python", first.python_version, second.python_version),
        ("backend", before.backend_version, now.backend_version),
        ("CPU", first.host.cpu_model, second.host.cpu_model),
        ("usable cores", first.host.usable_cores, second.host.usable_cores),
        ("kernel", first.host.kernel, second.host.kernel),
    ]
    names = sorted(first.packages.keys() | second.packages.keys())
    pairs += [
        (name, first.packages.get(name), second.packages.get(name)) for name in names
    ]
    pairs += [
        (name, first.environment.get(name), second.environment.get(name))
        for name in sorted(first.environment.keys() | second.environment.keys())
    ]
    different = [f"{name} {old} -> {new}" for name, old, new in pairs if old != new]
    if not different:
        return None
    return (
        "points before and after the resume were measured under different conditions: "
        + _some(different)
    )


def _some(texts: Iterable[str]) -> str:
    """Join texts, but not a whole page of them."""
    known = list(texts)
    more = len(known) - MAX_NAMED_PACKAGES
    tail = [f"and {more} more"] if more > 0 else []
    return ", ".join(known[:MAX_NAMED_PACKAGES] + tail)
