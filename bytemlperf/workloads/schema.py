"""What a workload file says, checked field by field.

Input: JSON bytes. Output: a frozen `Workload`. The first nine fields keep their meaning
from the original benchmark, so that old files load as they are.
"""

from __future__ import annotations

import difflib
import hashlib
from pathlib import Path
from typing import Annotated

import msgspec

from bytemlperf.errors import MALFORMED, ConfigError
from bytemlperf.workloads.load import Load

__all__ = ["Workload", "WorkloadFile", "parse_workload", "read_workload"]

Positive = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]


class Workload(Load, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What to measure; how load arrives is said by the fields of `Load`.

    Parameters
    ----------
    model : str
        Name in the model zoo, such as ``"bert-torch-fp32"``.
    test_perf, test_accuracy, test_numeric : bool, default True
        Which evaluations run.
    clients : int, default 3
        Client coroutines that submit queries, >= 1.
    iterations : int, default 100
        Queries submitted by each client, >= 1.
    batch_sizes : tuple of int
        Samples per query, each >= 1; one point is measured for each.
    data_percent : float, default 100
        Share of the dataset that accuracy is scored on, (0, 100].
    compile_only : bool, default False
        Compile, report, and stop.
    point_seconds : float or None, default None
        A point ends after so many seconds even if iterations are left; None takes
        the command line's ``--point_seconds``.
    processes : int, default 1
        Processes that share the clients, or an open loop's schedule, out among
        themselves, each with its own event loop and its own instance of the model, >= 1
        and at most `clients`.
    accuracy_target : float, default 0.99
        Share of a reference score that a score must reach, (0, 1].
    min_snr_db : float or None, default None
        Signal-to-noise ratio that each output must have against the reference; None
        takes the one that goes with the precision.
    perf_seconds : float or None, default None
        Wall time that all points together may take, loading and warming up included. A
        batch size that is predicted not to fit is skipped and reported with the
        prediction; the first one is always measured. None: no limit.
    """

    model: Annotated[str, msgspec.Meta(min_length=1)]
    test_perf: bool = True
    test_accuracy: bool = True
    test_numeric: bool = True
    clients: Positive = 3
    iterations: Positive = 100
    batch_sizes: Annotated[tuple[Positive, ...], msgspec.Meta(min_length=1)] = (1,)
    data_percent: Annotated[float, msgspec.Meta(gt=0, le=100)] = 100
    compile_only: bool = False
    point_seconds: Annotated[float, msgspec.Meta(gt=0)] | None = None
    processes: Positive = 1
    accuracy_target: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.99
    min_snr_db: float | None = None
    perf_seconds: Annotated[float, msgspec.Meta(gt=0)] | None = None

    def __post_init__(self) -> None:
        self.check()
        if self.affinity is not None and self.processes > 1:
            raise ValueError(
                f"affinity = {self.affinity!r} is about the threads of one process, "
                f"but there are processes = {self.processes}, each of which is held to "
                "processors of its own"
            )
        if not self.is_open and self.processes > self.clients:
            raise ValueError(
                f"expected processes of at most clients = {self.clients}, got "
                f"{self.processes}"
            )


class WorkloadFile(msgspec.Struct, frozen=True):
    """A workload with its name and origin.

    Parameters
    ----------
    name : str
        The file's stem: the task's name.
    path : Path
        Where it was read.
    sha256 : str
        Hash of the file's bytes.
    workload : Workload
        Its content.
    """

    name: str
    path: Path
    sha256: str
    workload: Workload


def parse_workload(body: bytes, where: str) -> Workload:
    """Check the bytes of a workload file.

    Parameters
    ----------
    body : bytes
        JSON text.
    where : str
        Named in the error.

    Returns
    -------
    Workload
        The checked value.

    Raises
    ------
    ConfigError
        Not JSON, a key that does not exist (with the nearest one), a missing key,
        or a value of the wrong type or range (with its path).
    """
    try:
        raw = msgspec.json.decode(body)
    except MALFORMED as error:
        raise ConfigError(f"{where}: expected JSON: {error}") from error
    if isinstance(raw, dict):
        unknown = sorted(set(raw) - set(Workload.__struct_fields__))
        if unknown:
            near = difflib.get_close_matches(
                unknown[0], Workload.__struct_fields__, n=1, cutoff=0.5
            )
            guess = f"did you mean {near[0]!r}? " if near else ""
            raise ConfigError(
                f"{where}: unknown field $.{unknown[0]}",
                hint=f"{guess}fields: {', '.join(Workload.__struct_fields__)}",
            )
    try:
        workload = msgspec.convert(raw, Workload)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{where}: {error}") from error
    repeated = {n for n in workload.batch_sizes if workload.batch_sizes.count(n) > 1}
    if repeated:
        raise ConfigError(
            f"{where}: $.batch_sizes names {sorted(repeated)} more than once"
        )
    return workload


def read_workload(path: Path) -> WorkloadFile:
    """Read a workload file.

    Parameters
    ----------
    path : Path
        A ``.json`` file.

    Returns
    -------
    WorkloadFile
        The workload under the file's stem.

    Raises
    ------
    ConfigError
        The file cannot be read, or `parse_workload` refuses it.
    """
    try:
        body = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot read workload {path}: {error.strerror}") from error
    workload = parse_workload(body, str(path))
    if workload.trace is not None:
        trace = path.absolute().parent / workload.trace
        workload = msgspec.structs.replace(workload, trace=str(trace))
    return WorkloadFile(
        name=path.stem,
        path=path,
        sha256=hashlib.sha256(body).hexdigest(),
        workload=workload,
    )
