"""One of several processes that load a point together: the side that is led.

Input: a `PartJob`, then commands. Output: events on the pipe. It compiles and loads its
own instance, measures its share when it is told to, and judges nothing.
"""

from __future__ import annotations

import queue
import threading
from pathlib import Path

import msgspec

from bytemlperf.backends import create_backend, find_backend
from bytemlperf.datasets import open_arrays
from bytemlperf.engine.calibration import CalibrationData
from bytemlperf.engine.compilation import compile_model
from bytemlperf.engine.emitter import Emitter
from bytemlperf.engine.feeding import output_names, resident
from bytemlperf.engine.loading import load_batch_size
from bytemlperf.engine.messages import (
    PartCommand,
    PartJob,
    PartMeasured,
    PartQuit,
    PartReady,
    PartRun,
    PartStart,
)
from bytemlperf.engine.perf import measure_point
from bytemlperf.engine.point_plan import PointPlan
from bytemlperf.errors import WorkerError
from bytemlperf.runtime import ArraySamples
from bytemlperf.runtime.clock import now_ns
from bytemlperf.workloads import Workload

__all__ = ["serve_part"]

# A thread is awake and its pacer ready by then, nearly always; who is not is late, and
# that is in its schedule lag.
SCHEDULE_DELAY_NS = 10_000_000


def serve_part(
    job: PartJob, emitter: Emitter, commands: queue.SimpleQueue[PartCommand]
) -> None:
    """Compile, then measure a share of every point that is asked for.

    Parameters
    ----------
    job : PartJob
        Which part of what.
    emitter : Emitter
        Gets a `PartReady` and a `PartMeasured` for each point.
    commands : SimpleQueue
        `PartRun` and, after `PartReady`, `PartStart`, for each point; then `PartQuit`.

    Raises
    ------
    BytemlperfError
        The part cannot go on.
    """
    measure = job.measure
    workload = msgspec.convert(measure.workload, Workload)
    prepared = measure.prepared
    rows_per_sample = prepared.samples.rows_per_sample
    arrays = dict(open_arrays(prepared.samples))
    path = Path(measure.backend_path) if measure.backend_path else None
    backend = create_backend(find_backend(measure.hardware_type, path))
    compiled = compile_model(
        backend,
        {
            "workload": measure.workload,
            "model_info": prepared.model_info,
            "interact_info": measure.interact_info,
        },
        workload.batch_sizes,
        CalibrationData(arrays, rows_per_sample, shared=prepared.samples.shared)
        if backend.need_quant
        else None,
        emitter,
        # As in the process that leads: what tunes by a pilot must tune the same here.
        sample={name: array[: rows_per_sample[name]] for name, array in arrays.items()},
        shared=prepared.samples.shared,
    )

    def wait_for_start() -> int:
        emitter.emit(PartReady())
        command = commands.get()
        if not isinstance(command, PartStart):
            raise WorkerError(f"expected the common start, got {command!r}")
        # Not a spin: on a shared core it would take time from a part still warming up.
        threading.Event().wait(max(0, command.start_ns - now_ns()) / 1e9)
        # Where a schedule is shared, all parts count it from one moment.
        return command.start_ns + SCHEDULE_DELAY_NS

    while not isinstance(command := commands.get(), PartQuit):
        if not isinstance(command, PartRun):
            raise WorkerError(f"expected a point to measure, got {command!r}")
        if command.timeline_dir is not None:
            Path(command.timeline_dir).mkdir(parents=True, exist_ok=True)
        samples = resident(
            arrays,
            prepared.samples.count,
            max(command.batch_size, workload.query_samples(command.batch_size)),
        )
        loaded = load_batch_size(
            backend,
            command.batch_size,
            samples=samples,
            rows_per_sample=rows_per_sample,
            output_names=output_names(prepared.model_info),
            predicted_batch_ns=command.predicted_batch_ns,
            emitter=emitter,
            predict=compiled.predict,
            shared=prepared.samples.shared,
        )
        point = measure_point(
            loaded,
            ArraySamples(samples, rows_per_sample),
            PointPlan(
                clients=command.clients,
                iterations=command.iterations,
                point_seconds=command.point_seconds,
                seed=command.seed,
                timeline_dir=command.timeline_dir,
                load=msgspec.structs.replace(
                    workload, queries=command.queries or workload.queries
                ),
                share=command.share,
                percentiles=measure.percentiles,
                slos=measure.slos,
            ),
            predict_threads=compiled.result.instance_count,
            emitter=emitter,
            start_gate=wait_for_start,
        )
        emitter.emit(PartMeasured(point))
