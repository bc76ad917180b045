"""Sessions over the faulty worker: requests, faults, and what came of them."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from support import fake_worker
from support.recording_observer import RecordingObserver

from bytemlperf.launch.request import SessionRequest
from bytemlperf.launch.session import run_session
from bytemlperf.launch.task_run import WorkerCommand
from bytemlperf.report.schema import InvocationIndex, TaskResult
from bytemlperf.report.storage import read_result
from bytemlperf.workloads import Workload, WorkloadFile

TESTS = Path(fake_worker.__file__).parents[1]
MODEL = "resnet50-torch-fp32"


def make_task(name: str = "first", **fields: Any) -> WorkloadFile:
    workload = Workload(**({"model": MODEL, "batch_sizes": (1, 4, 8)} | fields))
    return WorkloadFile(name, Path(f"{name}.json"), "f" * 64, workload)


def make_request(tmp_path: Path, *tasks: WorkloadFile, **fields: Any) -> SessionRequest:
    return SessionRequest(
        tasks=tasks or (make_task(),),
        hardware_types=fields.pop("hardware_types", ("CPU",)),
        out_dir=tmp_path / "out",
        cache_dir=tmp_path / "cache",
        command_line=("bytemlperf", "--tasks", "first"),
        **fields,
    )


def finder(
    faults: dict[str, str] | None = None, **more: str
) -> Callable[[Path | None], WorkerCommand]:
    paths = [str(TESTS.parent), str(TESTS), os.environ.get("PYTHONPATH", "")]
    env = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path for path in paths if path),
        "FAKE_FAULTS": json.dumps(faults or {}),
        **more,
    }
    argv = (sys.executable, fake_worker.__file__)
    return lambda requirements: WorkerCommand(argv, env, "current")


def run(
    request: SessionRequest, faults: dict[str, str] | None = None, **more: str
) -> tuple[InvocationIndex, TaskResult, RecordingObserver]:
    observer = RecordingObserver()
    index = run_session(request, observer, find_command=finder(faults, **more))
    first = read_result(request.out_dir / "CPU" / "first" / "result.json")
    return index, first, observer


def sizes(result: TaskResult) -> list[int]:
    return [point.batch_size for point in result.points]
