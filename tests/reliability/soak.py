"""Run for long and watch what grows: ``python tests/reliability/soak.py load``.

``load``: null queries for some minutes. ``model TASK``: the same with a real model.
``clients``: very many clients at once.
``cycles TASK``: create, compile, load, predict and drop a real backend, repeatedly.
Each prints a table of resident memory, threads and descriptors; a growth beyond the
bound of docs/reliability.md ends it with exit code 1.
"""

from __future__ import annotations

import argparse
import gc
import io
import statistics
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import psutil

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))

from bytemlperf.backends import create_backend, find_backend
from bytemlperf.datasets import open_arrays
from bytemlperf.engine.compilation import compile_model
from bytemlperf.engine.emitter import Emitter
from bytemlperf.engine.feeding import output_names
from bytemlperf.engine.loading import Loaded, load_batch_size
from bytemlperf.engine.messages import Event, PreparedTask, PrepareJob, TaskPrepared
from bytemlperf.engine.messages import read_frame as read_event
from bytemlperf.engine.prepare import prepare_task
from bytemlperf.runtime import (
    ArraySamples,
    Batching,
    ClosedLoop,
    Limits,
    Progress,
    WarmUp,
    run_sync,
)
from bytemlperf.workloads import find_workloads

MIB = 1 << 20
MAX_GROWTH_BYTES = 16 * MIB
CYCLE_BATCH_SIZE = 4
SKIPPED_CYCLES = 10


@dataclass(frozen=True)
class State:
    """What a process holds at a moment."""

    done: int
    rss_bytes: int
    threads: int
    descriptors: int

    @classmethod
    def now(cls, done: int) -> State:
        """Read it."""
        process = psutil.Process()
        return cls(
            done, process.memory_info().rss, process.num_threads(), process.num_fds()
        )

    def row(self) -> str:
        """Write it as a line of a table."""
        return (
            f"| {self.done:,} | {self.rss_bytes / MIB:.1f} | {self.threads} | "
            f"{self.descriptors} |"
        )


def answer(feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Answer at once."""
    return {"y": feeds["x"]}


def samples() -> ArraySamples:
    """Make a few small samples."""
    return ArraySamples({"x": np.zeros((64, 4), np.float32)}, {"x": 1})


def soak_load(seconds: float, say: Callable[[str], None] = print) -> int:
    """Answer null queries; nothing may grow after the first second.

    Parameters
    ----------
    seconds : float
        Of the measured part.
    say : callable
        Takes lines.

    Returns
    -------
    int
        Growth of resident memory from the second second on, bytes.
    """
    return _soaked(
        answer,
        samples(),
        ClosedLoop(clients=256, iterations=2**31 - 1),
        Batching(max_batch=64),
        seconds,
        say,
    )


def soak_model(
    task: str, seconds: float, cache: Path, say: Callable[[str], None] = print
) -> int:
    """Answer with a real model on the CPU backend, from two predict threads.

    Returns
    -------
    int
        As for `soak_load`.
    """
    model, workload = prepared(task, cache)
    arrays = dict(open_arrays(model.samples))
    loaded = load_cpu(model, workload, arrays)
    return _soaked(
        loaded.predict,
        ArraySamples(arrays, model.samples.rows_per_sample),
        ClosedLoop(clients=16, iterations=2**31 - 1),
        Batching(max_batch=CYCLE_BATCH_SIZE, predict_threads=2),
        seconds,
        say,
    )


def _soaked(
    predict: Callable[..., object],
    library: ArraySamples,
    scenario: ClosedLoop,
    batching: Batching,
    seconds: float,
    say: Callable[[str], None],
) -> int:
    """Run and look twelve times at what the process holds."""
    states: list[State] = []
    step_ns = seconds * 1e9 / 12

    def look(progress: Progress) -> None:
        if progress.is_warm_up or progress.elapsed_ns < 1e9:
            return
        if progress.elapsed_ns >= 1e9 + len(states) * step_ns:
            states.append(State.now(progress.done_queries))

    recording = run_sync(
        predict,
        library,
        scenario=scenario,
        batching=batching,
        limits=Limits(max_seconds=seconds),
        on_progress=look,
    )
    say("| queries | RSS, MiB | threads | descriptors |\n| ---: | ---: | ---: | ---: |")
    for state in states:
        say(state.row())
    growth = max(state.rss_bytes for state in states) - states[0].rss_bytes
    say(f"\n{recording.query_count:,} queries; RSS grew by {growth / MIB:.2f} MiB")
    if len({(state.threads, state.descriptors) for state in states}) > 1:
        say("threads or descriptors changed")
        return MAX_GROWTH_BYTES + 1
    return growth


def soak_clients(clients: int, say: Callable[[str], None] = print) -> int:
    """Let very many clients wait at once, each for three answers.

    Returns
    -------
    int
        Queries that were not answered.
    """
    before = State.now(0)
    peak = before.rss_bytes

    def look(_: Progress) -> None:
        nonlocal peak
        peak = max(peak, psutil.Process().memory_info().rss)

    recording = run_sync(
        answer,
        samples(),
        scenario=ClosedLoop(clients=clients, iterations=3),
        batching=Batching(max_batch=64),
        warm_up=WarmUp(max_seconds=0.1),
        on_progress=look,
    )
    each = (peak - before.rss_bytes) / clients
    say(
        f"{clients:,} clients x 3: {recording.query_count:,} answered in "
        f"{recording.window_ns / 1e9:.1f} s; peak {each:,.0f} B a client"
    )
    return clients * 3 - recording.query_count


def prepared(task: str, cache: Path) -> tuple[PreparedTask, dict[str, object]]:
    """Build a task's model and samples, or find them in the cache."""
    (file,) = find_workloads(task)
    events = io.BytesIO()
    job = PrepareJob(
        task=file.name,
        model=file.workload.model,
        cache_dir=str(cache),
        data_root=None,
        model_path=None,
        weights="seeded",
        need_model=True,
        need_reference=False,
        max_samples=0,
        reference_samples=0,
        seed=0,
    )
    prepare_task(job, Emitter(events))
    events.seek(0)
    while (body := read_event(events)) is not None:
        event = msgspec.msgpack.decode(body, type=Event)
        if isinstance(event, TaskPrepared):
            return event.prepared, msgspec.to_builtins(file.workload)
    raise RuntimeError(f"{task} was not prepared")


def load_cpu(
    model: PreparedTask, workload: dict[str, object], arrays: dict[str, np.ndarray]
) -> Loaded:
    """Create, compile and load the CPU backend, and predict two or three times."""
    backend = create_backend(find_backend("CPU"))
    silent = Emitter(io.BytesIO())
    configs = {
        "workload": workload,
        "model_info": model.model_info,
        "interact_info": {},
    }
    compile_model(backend, configs, (CYCLE_BATCH_SIZE,), None, silent)
    return load_batch_size(
        backend,
        CYCLE_BATCH_SIZE,
        samples=arrays,
        rows_per_sample=model.samples.rows_per_sample,
        output_names=output_names(model.model_info),
        predicted_batch_ns=0,
        emitter=silent,
    )


def soak_cycles(
    task: str, count: int, cache: Path, say: Callable[[str], None] = print
) -> int:
    """Create, compile, load, predict and drop the CPU backend.

    Returns
    -------
    int
        Growth of resident memory, bytes: the median of the last cycles less that of
        the first ones after warming up. Allocators make single cycles differ.
    """
    model, workload = prepared(task, cache)
    arrays = dict(open_arrays(model.samples))
    states = []
    say("| cycles | RSS, MiB | threads | descriptors |\n| ---: | ---: | ---: | ---: |")
    for cycle in range(1, count + 1):
        load_cpu(model, workload, arrays)
        gc.collect()
        states.append(State.now(cycle))
        if cycle % max(1, count // 10) == 0:
            say(states[-1].row())
    settled = [state.rss_bytes for state in states[SKIPPED_CYCLES:]]
    some = max(1, len(settled) // 4)
    return round(statistics.median(settled[-some:]) - statistics.median(settled[:some]))


def main() -> int:
    """Run one soak."""
    parser = argparse.ArgumentParser(description=__doc__)
    kinds = parser.add_subparsers(dest="kind", required=True)
    load = kinds.add_parser("load")
    load.add_argument("--seconds", type=float, default=600)
    clients = kinds.add_parser("clients")
    clients.add_argument("--clients", type=int, default=1_000_000)
    model = kinds.add_parser("model")
    model.add_argument("task")
    model.add_argument("--seconds", type=float, default=600)
    model.add_argument("--cache", type=Path, default=None)
    cycles = kinds.add_parser("cycles")
    cycles.add_argument("task")
    cycles.add_argument("--count", type=int, default=100)
    cycles.add_argument("--cache", type=Path, default=None)
    arguments = parser.parse_args()
    if arguments.kind == "load":
        return int(soak_load(arguments.seconds) > MAX_GROWTH_BYTES)
    if arguments.kind == "clients":
        return int(soak_clients(arguments.clients) > 0)
    cache = arguments.cache or Path(tempfile.mkdtemp(prefix="bytemlperf-soak-"))
    if arguments.kind == "model":
        growth = soak_model(arguments.task, arguments.seconds, cache)
        return int(growth > MAX_GROWTH_BYTES)
    if arguments.count <= SKIPPED_CYCLES:
        parser.error(f"--count must be more than the first {SKIPPED_CYCLES}")
    growth = soak_cycles(arguments.task, arguments.count, cache)
    print(f"\nRSS grew by {growth / MIB:.1f} MiB after cycle {SKIPPED_CYCLES}")
    return int(growth > MAX_GROWTH_BYTES)


if __name__ == "__main__":
    sys.exit(main())
