"""One request, run several times with other settings, each in a folder of its own.

Input: a request and settings by name. Output: a `Variant` each. A variant is a whole
run with its journal: a crash costs one point, and one that is done is not run again.
A setting is a workload field, where a run comes from (hardware_type, backend_path,
model_path, weights, seed), or the answer to a question of the backend.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from bytemlperf.backends import find_backend
from bytemlperf.errors import ConfigError
from bytemlperf.launch.answers import read_answers
from bytemlperf.launch.index_file import EXIT_CODES
from bytemlperf.launch.observer import Observer
from bytemlperf.launch.request import SessionRequest
from bytemlperf.launch.resume import REQUEST_NAME, load_request
from bytemlperf.launch.session import run_session
from bytemlperf.report.schema import Point, Status, TaskResult
from bytemlperf.report.schema.variants import Variant, VariantPoint
from bytemlperf.report.storage import (
    OutFolder,
    make_folder,
    read_result,
    write_json_atomic,
)
from bytemlperf.workloads import Workload

__all__ = [
    "InterruptedVariantError",
    "run_variant",
    "variant_name",
    "variant_point",
    "with_settings",
]

REQUEST_FIELDS = ("hardware_type", "backend_path", "model_path", "weights", "seed")
# What people call it.
ALIASES = {"batch_size": "batch_sizes", "concurrency": "clients"}
ANSWERS_NAME = "answers.json"


class InterruptedVariantError(KeyboardInterrupt):
    """Somebody asked to stop while a variant ran; what it measured is stored."""


def variant_name(settings: Mapping[str, str]) -> str:
    """Return a folder name that tells settings apart, such as ``max_batch=8``."""
    text = ",".join(f"{name}={value}" for name, value in settings.items())
    return re.sub(r"[^A-Za-z0-9=,._+-]", "_", text) or "default"


def with_settings(
    request: SessionRequest, settings: Mapping[str, str], out: Path
) -> tuple[SessionRequest, dict[str, Any]]:
    """Lay settings over a request.

    Parameters
    ----------
    request : SessionRequest
        What all variants have in common.
    settings : mapping of str to str
        By name, as typed.
    out : Path
        Folder of the variant.

    Returns
    -------
    SessionRequest
        Of the variant.
    dict
        Answers to the backend's questions that are among the settings.

    Raises
    ------
    ConfigError
        A value does not fit its setting.
    """
    fields: dict[str, Any] = {}
    places: dict[str, str] = {}
    answers: dict[str, Any] = {}
    known = {field.name for field in msgspec.structs.fields(Workload)}
    for given, value in settings.items():
        name = ALIASES.get(given, given)
        if name in known:
            fields[name] = [value] if name == "batch_sizes" else value
        elif name in REQUEST_FIELDS:
            places[name] = value
        else:
            answers[name] = _json_or_text(value)
    tasks = []
    for task in request.tasks:
        try:
            workload = msgspec.convert(
                msgspec.to_builtins(task.workload) | fields, Workload, strict=False
            )
        except msgspec.ValidationError as error:
            raise ConfigError(
                f"{', '.join(f'{n}={v}' for n, v in settings.items())}: "
                f"{str(error).replace('$.', '')}",
                hint="see the workload fields in --help",
            ) from error
        tasks.append(msgspec.structs.replace(task, workload=workload))
    changed = msgspec.structs.replace(
        request, tasks=tuple(tasks), out_dir=out, **_placed(request, places)
    )
    return changed, answers


def run_variant(
    request: SessionRequest,
    settings: Mapping[str, str],
    folder: Path,
    observer: Observer,
    *,
    name: str | None = None,
    resume: bool = False,
) -> tuple[Variant, list[TaskResult]]:
    """Run a request with settings laid over it.

    Parameters
    ----------
    request : SessionRequest
        What all variants have in common.
    settings : mapping of str to str
        By name.
    folder : Path
        Of all variants.
    observer : Observer
        Told.
    name : str, optional
        Folder of this one below `folder`; default: made of the settings.
    resume : bool, default False
        Whether to go on with what an earlier command left there.

    Returns
    -------
    Variant
        Its figures.
    list of TaskResult
        Its results.

    Raises
    ------
    InterruptedVariantError
        Somebody asked to stop.
    ConfigError
        The request is wrong, or what is there was asked for with other settings.
    StorageError
        A result cannot be written.
    """
    name = name or variant_name(settings)
    out = folder / name
    asked, answers = with_settings(request, settings, out)
    if answers:
        make_folder(out)
        path = out / ANSWERS_NAME
        write_json_atomic(path, {**read_answers(request.answers), **answers})
        asked = msgspec.structs.replace(asked, answers=path)
    if resume and (out / REQUEST_NAME).exists():
        before, _ = load_request(out)
        if before.tasks != asked.tasks or before.hardware_types != asked.hardware_types:
            raise ConfigError(
                f"{out} was measured with another request",
                hint="give the options of the run that was cut off, or another --out",
            )
        asked = before
    observer.message(f"variant {name}")
    index = run_session(asked, observer)
    if index.exit_code == EXIT_CODES["interrupted"]:
        raise InterruptedVariantError
    results = [
        read_result(OutFolder(out).path / entry.result_file)
        for entry in index.tasks
        if entry.result_file is not None
    ]
    status: Status = index.status
    points = [
        variant_point(result, point) for result in results for point in result.points
    ]
    return Variant(name, dict(settings), status, points), results


def variant_point(result: TaskResult, point: Point) -> VariantPoint:
    """Put a point's figures into a row.

    Parameters
    ----------
    result : TaskResult
        Whose point.
    point : Point
        Measured.

    Returns
    -------
    VariantPoint
        Its row.
    """
    statistics = point.statistics
    rate = statistics.throughput_samples_per_s if statistics else None
    shown = [
        each
        for each in (statistics.percentiles if statistics else [])
        if each.value_ns is not None
    ]
    return VariantPoint(
        task=result.task,
        hardware_type=result.hardware_type,
        batch_size=point.batch_size,
        offered_qps=point.load.offered_qps if point.load else None,
        throughput_samples_per_s=point.throughput_samples_per_s,
        low=rate.low if rate else None,
        high=rate.high if rate else None,
        mean_ns=point.latency.mean_ns,
        percentiles_ns={
            f"p{each.percentile:g}": each.value_ns
            for each in shown
            if each.value_ns is not None
        },
        intervals_ns={
            f"p{each.percentile:g}": (each.low_ns, each.high_ns) for each in shown
        },
        cpu_percent=point.cpu_percent,
        unmet_slos=[
            f"{judgement.slo.text}: {judgement.verdict}"
            for judgement in (statistics.slos if statistics else [])
            if judgement.verdict != "met"
        ],
        invalid_reasons=list(point.invalid_reasons),
    )


def _placed(request: SessionRequest, places: Mapping[str, str]) -> dict[str, Any]:
    """Turn settings about where a run comes from into fields of the request."""
    found: dict[str, Any] = {}
    for name in ("backend_path", "model_path"):
        if name in places:
            found[name] = Path(places[name])
            if not found[name].exists():
                raise ConfigError(
                    f"{name}={places[name]}: there is no such file or folder"
                )
    if "hardware_type" in places:
        info = find_backend(
            places["hardware_type"], found.get("backend_path", request.backend_path)
        )
        found["hardware_types"] = (info.hardware_type,)
    if "weights" in places:
        found["weights"] = places["weights"]
    if "seed" in places:
        if not places["seed"].isdecimal():
            raise ConfigError(f"seed={places['seed']}: expected a whole number >= 0")
        found["seed"] = int(places["seed"])
    return found


def _json_or_text(value: str) -> Any:
    """Read an answer: a number, true or false, or words."""
    try:
        return msgspec.json.decode(value)
    except msgspec.DecodeError:
        return value
