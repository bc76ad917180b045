"""From what was typed to what is asked of the launcher, checked before anything runs.

Input: parsed options. Output: a `SessionRequest`.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import msgspec
import platformdirs

from bytemlperf.backends import find_backend, list_backends
from bytemlperf.cli.load_options import LoadOverrides
from bytemlperf.cli.options import DEFAULT_POINT_SECONDS, Overrides, Places, Weights
from bytemlperf.cli.statistics_options import Judgement
from bytemlperf.datasets import find_data_root
from bytemlperf.engine.point_load import check_load, point_seconds
from bytemlperf.errors import ConfigError
from bytemlperf.launch.request import SessionRequest
from bytemlperf.launch.resume import load_request
from bytemlperf.workloads import Workload, WorkloadFile, find_workloads

__all__ = [
    "cache_folder",
    "make_request",
    "resume_request",
    "select_hardware",
    "select_tasks",
]

QUICK_BATCH_SIZES = 2
# They say where a run goes on and what is seen of it, not what is measured.
MAY_GO_WITH_RESUME = ("--resume", "--ui", "--launcher", "--address", "--spread")


def cache_folder(given: Path | None) -> Path:
    """Resolve the cache: as given, else as the environment says, else the user's."""
    return given or Path(
        os.environ.get("BYTEMLPERF_CACHE") or platformdirs.user_cache_dir("bytemlperf")
    )


def select_tasks(
    asked: str,
    overrides: Overrides,
    *,
    quick: bool,
    load: LoadOverrides = LoadOverrides(),
) -> list[WorkloadFile]:
    """Resolve tasks and lay the command line's fields over them."""
    fields = overrides.fields() | load.fields()
    seconds = overrides.default_point_seconds(quick=quick)
    selected = []
    for file in find_workloads(asked):
        merged = msgspec.to_builtins(file.workload) | fields
        if quick and overrides.batch_sizes is None:
            merged["batch_sizes"] = merged["batch_sizes"][:QUICK_BATCH_SIZES]
        try:
            workload = msgspec.convert(merged, Workload)
        except msgspec.ValidationError as error:
            raise ConfigError(
                f"command line: {str(error).replace('$.', '--')}",
                hint="see the workload fields in --help",
            ) from error
        if workload.is_open and overrides.iterations is not None:
            raise ConfigError(
                f"{file.name}: --iterations is about clients, but the scenario "
                f"{workload.scenario} has none",
                hint="use --duration, or --queries with offline",
            )
        if workload.test_perf and not workload.compile_only:
            check_load(workload, point_seconds(workload, seconds), where=file.name)
        selected.append(msgspec.structs.replace(file, workload=workload))
    return selected


def select_hardware(asked: str | None, backend_path: Path | None) -> tuple[str, ...]:
    """Resolve the hardware types; there is no default."""
    names = [name.strip() for name in (asked or "").split(",") if name.strip()]
    if not names:
        known = ", ".join(info.hardware_type for info in list_backends(backend_path))
        raise ConfigError(
            "--hardware_type is required", hint=f"hardware types that exist: {known}"
        )
    found = [find_backend(name, backend_path).hardware_type for name in names]
    return tuple(dict.fromkeys(found))


def resume_request(folder: Path) -> SessionRequest:
    """Ask again for what a run that was cut off was asked for, and for nothing else."""
    others = [
        word
        for word in sys.argv[1:]
        if word.startswith("-") and word.partition("=")[0] not in MAY_GO_WITH_RESUME
    ]
    if others:
        raise ConfigError(
            f"--resume goes on with what the run was asked for, but {others[0]} was "
            "given",
            hint="leave it out, or measure anew without --resume",
        )
    return load_request(folder)[0]


def make_request(
    selected: list[WorkloadFile],
    places: Places,
    *,
    hardware_types: tuple[str, ...],
    weights: Weights,
    seed: int,
    point_seconds: float | None = DEFAULT_POINT_SECONDS,
    keep_timeline: bool = False,
    answers: Path | None = None,
    hardware_card: str = "auto",
    judgement: Judgement = Judgement(),
    silence_seconds: float | None = None,
) -> SessionRequest:
    """Put everything that was asked for into one value."""
    if places.model_path is not None and len(selected) != 1:
        raise ConfigError(
            f"--model_path replaces one task's model, but {len(selected)} are selected",
            hint="name one task with --tasks",
        )
    for option, path in (
        ("--model_path", places.model_path),
        ("--data_path", places.data_path),
        ("--answers", answers),
        ("--wheels", places.wheels),
    ):
        if path is not None and not path.exists():
            raise ConfigError(f"{option} {path}: there is no such file or folder")
    if silence_seconds is not None and not 0 < silence_seconds < float("inf"):
        raise ConfigError(
            f"--silence_seconds {silence_seconds:g}: expected more than 0 seconds"
        )
    return SessionRequest(
        tasks=tuple(selected),
        hardware_types=hardware_types,
        backend_path=places.backend_path,
        out_dir=places.out,
        cache_dir=cache_folder(places.cache),
        data_root=places.data_path or find_data_root(),
        model_path=places.model_path,
        weights=weights,
        download_data=places.download_data,
        seed=seed,
        point_seconds=point_seconds,
        keep_timeline=keep_timeline,
        answers=answers,
        hardware_card=hardware_card,
        percentiles=judgement.parsed_percentiles(),
        slos=judgement.parsed_slos(),
        silence_seconds=silence_seconds,
        wheels=places.wheels,
        command_line=("bytemlperf", *sys.argv[1:]),
    )
