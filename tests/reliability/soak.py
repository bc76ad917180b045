"""Run for long and watch what grows: ``python tests/reliability/soak.py load``.

``load``: null queries for some minutes. ``model TASK``: the same with a real model.
``alone TASK``: the model without our code, which tells whose growth it is.
``clients``: very many clients at once.
``cycles TASK``: create, compile, load, predict and drop a real backend, repeatedly.
Each prints a table of memory, objects, threads and descriptors; a growth beyond the
bound of docs/reliability.md ends it with exit code 1.
"""

from __future__ import annotations

import argparse
import gc
import io
import statistics
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import psutil

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    sys.path.insert(0, str(Path(__file__).parents[2]))

from reliability.memory import HEADER, MIB, MIN_LOOKS, State, slope_of, trim

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
from bytemlperf.runtime.clock import now_ns
from bytemlperf.workloads import find_workloads

MAX_GROWTH_BYTES = 16 * MIB
CYCLE_BATCH_SIZE = 4
SKIPPED_CYCLES = 10
LOOKS = 240
ENDING_LOOKS = 2
LOOK_SECONDS = 0.25
ROWS = 12


def answer(feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Answer at once."""
    return {"y": feeds["x"]}


def samples() -> ArraySamples:
    """Make a few small samples."""
    return ArraySamples({"x": np.zeros((64, 4), np.float32)}, {"x": 1})


class Watch:
    """Looks at the process at even distances, and judges what it saw.

    Parameters
    ----------
    seconds : float
        Of the whole run; the first look comes after the first second.
    """

    def __init__(self, seconds: float) -> None:
        self._step_ns = max(seconds - 1, 0.1) * 1e9 / LOOKS
        self._moments: list[float] = []
        self.states: list[State] = []

    def look(self, elapsed_ns: float, done: int) -> None:
        """Look, if it is time to."""
        if elapsed_ns >= 1e9 + len(self.states) * self._step_ns:
            self._moments.append(elapsed_ns / 1e9)
            self.states.append(State.now(done))

    def judge(self, say: Callable[[str], None]) -> int:
        """Say what grew.

        Returns
        -------
        int
            Bytes by which the second half grew beyond doubt (the lower end of the 95 %
            interval), by the allocator's books where there are some; 0 if it did not.
            More than `MAX_GROWTH_BYTES` if threads or descriptors did.
        """
        say(HEADER)
        # The last looks may have come while the run's threads were ending.
        states = self.states = self.states[:-ENDING_LOOKS]
        for state in states[:: max(1, len(states) // ROWS)]:
            say(state.row())
        trim()
        say(f"{State.now(states[-1].done).row()} after malloc_trim")
        kinds: dict[str, list[int]] = {
            "resident": [state.rss_bytes for state in states],
            "private": [state.heap_bytes for state in states],
            "in use": [state.used_bytes for state in states],
        }
        grown = {
            name: self._growth(name, values, say) for name, values in kinds.items()
        }
        settled = states[len(states) // 2 :]
        say(f"objects: {settled[-1].objects - settled[0].objects:+}")
        if len({(state.threads, state.descriptors) for state in settled}) > 1:
            say("threads or descriptors changed")
            return MAX_GROWTH_BYTES + 1
        return grown["in use" if states[0].used_bytes >= 0 else "resident"]

    def _growth(self, name: str, values: list[int], say: Callable[[str], None]) -> int:
        if len(values) < MIN_LOOKS:
            # A machine so busy that there were few: no line, but still a bound.
            grown = values[-1] - values[len(values) // 2]
            say(f"{name}: {grown / MIB:+.2f} MiB, of {len(values)} looks")
            return max(0, grown)
        slope = slope_of(self._moments[: len(values)], values)
        queries = self.states[-1].done - self.states[len(values) // 2].done
        say(
            f"{name}: {slope.grown / MIB:+.2f} +- {slope.half_width / MIB:.2f} MiB "
            f"over the second half, {slope.grown / max(1, queries):+.3g} B a query"
        )
        return max(0, round(slope.at_least))


def soak_load(seconds: float, say: Callable[[str], None] = print) -> int:
    """Answer null queries; nothing may grow.

    Parameters
    ----------
    seconds : float
        Of the measured part.
    say : callable
        Takes lines.

    Returns
    -------
    int
        See `Watch.judge`.
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
    task: str,
    seconds: float,
    cache: Path,
    batch_size: int = CYCLE_BATCH_SIZE,
    say: Callable[[str], None] = print,
) -> int:
    """Answer with a real model on the CPU backend, from two predict threads.

    Returns
    -------
    int
        As for `soak_load`.
    """
    model, workload = prepared(task, cache)
    arrays = dict(open_arrays(model.samples))
    loaded = load_cpu(model, workload, arrays, batch_size)
    return _soaked(
        loaded.predict,
        ArraySamples(arrays, model.samples.rows_per_sample),
        ClosedLoop(clients=4 * batch_size, iterations=2**31 - 1),
        Batching(max_batch=batch_size, predict_threads=2),
        seconds,
        say,
    )


def soak_alone(
    task: str,
    seconds: float,
    cache: Path,
    batch_size: int = CYCLE_BATCH_SIZE,
    say: Callable[[str], None] = print,
) -> int:
    """Answer with PyTorch alone, from two threads: `soak_model` without our code.

    Returns
    -------
    int
        As for `soak_load`.
    """
    import torch

    model, _ = prepared(task, cache)
    arrays = dict(open_arrays(model.samples))
    names = [name.strip() for name in str(model.model_info["inputs"]).split(",")]
    module = torch.jit.load(model.model_info["model_path"]).eval()
    torch.set_num_threads(1)
    batches = [
        torch.from_numpy(
            np.array(arrays[name][: batch_size * model.samples.rows_per_sample[name]])
        )
        for name in names
    ]
    done = 0
    is_over = threading.Event()

    def loop() -> None:
        nonlocal done
        while not is_over.is_set():
            with torch.inference_mode():
                module(*batches)
            done += 1

    threads = [threading.Thread(target=loop) for _ in range(2)]
    watch = Watch(seconds)
    start_ns = now_ns()
    for thread in threads:
        thread.start()
    while (elapsed_ns := now_ns() - start_ns) < seconds * 1e9:
        watch.look(elapsed_ns, done)
        is_over.wait(LOOK_SECONDS)
    is_over.set()
    for thread in threads:
        thread.join()
    return watch.judge(say)


def _soaked(
    predict: Callable[..., object],
    library: ArraySamples,
    scenario: ClosedLoop,
    batching: Batching,
    seconds: float,
    say: Callable[[str], None],
) -> int:
    """Run, look often, and judge."""
    watch = Watch(seconds)

    def look(progress: Progress) -> None:
        if not progress.is_warm_up:
            watch.look(progress.elapsed_ns, progress.done_queries)

    recording = run_sync(
        predict,
        library,
        scenario=scenario,
        batching=batching,
        limits=Limits(max_seconds=seconds),
        on_progress=look,
    )
    growth = watch.judge(say)
    say(f"{recording.query_count:,} queries")
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
    model: PreparedTask,
    workload: dict[str, object],
    arrays: dict[str, np.ndarray],
    batch_size: int = CYCLE_BATCH_SIZE,
) -> Loaded:
    """Create, compile and load the CPU backend, and predict two or three times."""
    backend = create_backend(find_backend("CPU"))
    silent = Emitter(io.BytesIO())
    configs = {
        "workload": workload,
        "model_info": model.model_info,
        "interact_info": {},
    }
    compile_model(backend, configs, (batch_size,), None, silent)
    return load_batch_size(
        backend,
        batch_size,
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
    say(HEADER)
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
    for name in ("model", "alone", "cycles"):
        kind = kinds.add_parser(name)
        kind.add_argument("task")
        kind.add_argument("--cache", type=Path, default=None)
        if name == "cycles":
            kind.add_argument("--count", type=int, default=100)
        else:
            kind.add_argument("--seconds", type=float, default=600)
            kind.add_argument("--batch_size", type=int, default=CYCLE_BATCH_SIZE)
    arguments = parser.parse_args()
    if arguments.kind == "load":
        return int(soak_load(arguments.seconds) > MAX_GROWTH_BYTES)
    if arguments.kind == "clients":
        return int(soak_clients(arguments.clients) > 0)
    cache = arguments.cache or Path(tempfile.mkdtemp(prefix="bytemlperf-soak-"))
    if arguments.kind in ("model", "alone"):
        soak = soak_model if arguments.kind == "model" else soak_alone
        growth = soak(arguments.task, arguments.seconds, cache, arguments.batch_size)
        return int(growth > MAX_GROWTH_BYTES)
    if arguments.count <= SKIPPED_CYCLES:
        parser.error(f"--count must be more than the first {SKIPPED_CYCLES}")
    growth = soak_cycles(arguments.task, arguments.count, cache)
    print(f"\nRSS grew by {growth / MIB:.1f} MiB after cycle {SKIPPED_CYCLES}")
    return int(growth > MAX_GROWTH_BYTES)


if __name__ == "__main__":
    sys.exit(main())
