"""Several processes that load a point together: the side that leads.

Input: a `MeasureJob` and points to measure. Output: one merged `Point` each. The parts
are children of the worker: they share its group, its environment and its log, and go
when it goes. A part that ends or fails costs the point in flight.
"""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import threading
from types import TracebackType
from typing import BinaryIO, TypeVar

import msgspec

from bytemlperf.engine.emitter import Emitter
from bytemlperf.engine.gate import ask_start
from bytemlperf.engine.merge import merge_points
from bytemlperf.engine.messages import (
    Event,
    Failed,
    MeasureJob,
    PartCommand,
    PartJob,
    PartMeasured,
    PartQuit,
    PartReady,
    PartRun,
    PartStart,
    Progress,
    read_frame,
    write_frame,
)
from bytemlperf.engine.placement import (
    PART_COUNT_VARIABLE,
    PART_VARIABLE,
    place_parts,
    share_out,
)
from bytemlperf.engine.point_load import expected_queries, scenario_for
from bytemlperf.engine.point_plan import MIN_QUERIES, PointPlan
from bytemlperf.errors import MALFORMED, PredictError, WorkerError
from bytemlperf.report.schema import Failure, Point
from bytemlperf.runtime.clock import now_ns

__all__ = ["Parts"]

# Every part has read the common start by then, also on a busy machine.
START_DELAY_NS = 100_000_000
START_DEADLINE_SECONDS = 3600.0
POINT_DEADLINE_SECONDS = 1800.0
QUIT_SECONDS = 10.0

Wanted = TypeVar("Wanted", PartReady, PartMeasured)


class Parts:
    """The processes that share a task's clients out among themselves.

    Parameters
    ----------
    job : MeasureJob
        Of the worker that leads.
    count : int
        Processes, >= 1.
    emitter : Emitter
        Told of phases and progress.

    Notes
    -----
    Thread-safety: one thread. A context manager; the processes are started by the
    first point, and anew after one that failed.
    """

    def __init__(self, job: MeasureJob, count: int, emitter: Emitter) -> None:
        self._job = job
        self._count = count
        self._emitter = emitter
        self._placements = place_parts(count)
        self._events: queue.SimpleQueue[tuple[int, Event | None]] = queue.SimpleQueue()
        self._processes: list[subprocess.Popen[bytes]] = []
        self._pipes: list[BinaryIO] = []

    def __enter__(self) -> Parts:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None and self._processes:
            for part in range(self._count):
                self._send(part, PartQuit())
            for process in self._processes:
                try:
                    process.wait(QUIT_SECONDS)
                except subprocess.TimeoutExpired:
                    # A vendor's runtime may hang while it is torn down.
                    break
        self._stop()

    def measure(self, batch_size: int, plan: PointPlan, predicted_ns: int) -> Point:
        """Measure a point in all processes at once.

        Parameters
        ----------
        batch_size : int
            Samples per query.
        plan : PointPlan
            The whole load; its clients are shared out.
        predicted_ns : int
            Expected duration of one batch.

        Returns
        -------
        Point
            Of all parts.

        Raises
        ------
        WorkerError
            A part ended.
        PredictError
            A part reported a failure.
        """
        try:
            self._start()
            return self._measure(batch_size, plan, predicted_ns)
        except BaseException:
            self._stop()
            raise

    def _measure(self, batch_size: int, plan: PointPlan, predicted_ns: int) -> Point:
        self._emitter.phase("perf", POINT_DEADLINE_SECONDS, batch_size=batch_size)
        is_open = plan.load.is_open
        queries = None
        if plan.load.scenario == "offline":
            # One number for all: each would find its own by its own speed.
            queries = filling_queries(plan, batch_size, predicted_ns, self._count)
        for part, clients in enumerate(share_out(plan.clients, self._count)):
            self._send(
                part,
                PartRun(
                    batch_size=batch_size,
                    clients=clients,
                    iterations=plan.iterations,
                    point_seconds=plan.point_seconds,
                    # Another order of samples for each client; a schedule has one.
                    seed=plan.seed + (0 if is_open else part),
                    predicted_batch_ns=predicted_ns,
                    timeline_dir=(
                        os.path.join(plan.timeline_dir, f"process-{part}")
                        if plan.timeline_dir is not None
                        else None
                    ),
                    share=(part, self._count) if is_open else (0, 1),
                    queries=queries,
                ),
            )
        # Of an open loop it is not known here.
        total = 0 if is_open else plan.clients * plan.iterations
        self._collect(PartReady, total)
        if self._job.start_gate is None:
            start_ns = now_ns() + START_DELAY_NS
        else:
            start_ns = ask_start(self._job.start_gate, batch_size)
        for part in range(self._count):
            self._send(part, PartStart(start_ns))
        measured = self._collect(PartMeasured, total)
        return merge_points(
            [each.point for each in measured],
            placements=self._placements,
            clients=plan.clients,
            min_queries=MIN_QUERIES if is_open else min(MIN_QUERIES, total),
        )

    def _collect(self, wanted: type[Wanted], total: int) -> list[Wanted]:
        """Wait for one event of a kind from every part."""
        got: dict[int, Wanted] = {}
        done = [0] * self._count
        while len(got) < self._count:
            part, event = self._events.get()
            if isinstance(event, wanted):
                got[part] = event
            elif isinstance(event, Progress):
                done[part] = event.done
                self._emitter.progress(
                    sum(done), total, f"process {part}: {event.text}"
                )
            elif isinstance(event, Failed):
                failure = event.failure
                raise PredictError(
                    f"process {part} of {self._count}: {failure.message}",
                    detail=failure.detail,
                )
            elif event is None:
                code = self._processes[part].wait()
                raise WorkerError(
                    f"process {part} of {self._count} ended with status {code}",
                    hint="its last words are in the worker's log",
                )
        return [got[part] for part in range(self._count)]

    def _start(self) -> None:
        if self._processes:
            return
        self._emitter.phase(
            "start processes", START_DEADLINE_SECONDS, f"{self._count} instances"
        )
        self._events = queue.SimpleQueue()
        for part, placement in enumerate(self._placements):
            job_read, job_write = os.pipe()
            event_read, event_write = os.pipe()
            process = subprocess.Popen(
                [
                    sys.executable, "-m", "bytemlperf.engine",
                    "--job-fd", str(job_read), "--event-fd", str(event_write),
                ],
                pass_fds=(job_read, event_write),
                env={
                    **os.environ,
                    **placement.devices,
                    PART_VARIABLE: str(part),
                    PART_COUNT_VARIABLE: str(self._count),
                },
            )  # fmt: skip
            os.close(job_read)
            os.close(event_write)
            self._processes.append(process)
            self._pipes.append(os.fdopen(job_write, "wb", buffering=0))
            threading.Thread(
                target=_read_events,
                args=(part, os.fdopen(event_read, "rb"), self._events),
                daemon=True,
            ).start()
            self._write(part, PartJob(self._job, part, placement.cores))

    def _send(self, part: int, command: PartCommand) -> None:
        self._write(part, command)

    def _write(self, part: int, message: PartJob | PartCommand) -> None:
        try:
            write_frame(self._pipes[part], message)
        except BrokenPipeError:
            # It has ended; its events say how.
            return

    def _stop(self) -> None:
        """End every part that is left."""
        for process in self._processes:
            process.kill()
        for process in self._processes:
            process.wait()
        for pipe in self._pipes:
            pipe.close()
        self._processes, self._pipes = [], []


def filling_queries(
    plan: PointPlan, batch_size: int, predicted_ns: int, count: int
) -> int:
    """Return the queries of `offline` that should fill a point of several processes."""
    return expected_queries(
        scenario_for(
            plan.load,
            batch_size,
            clients=plan.clients,
            iterations=plan.iterations,
            seconds=plan.point_seconds,
            batch_ns=max(1, predicted_ns),
            predict_threads=count * (plan.load.predict_threads or 1),
        )
    )


def _read_events(
    part: int,
    stream: BinaryIO,
    events: queue.SimpleQueue[tuple[int, Event | None]],
) -> None:
    """Pass a part's events on; None is its end."""
    with stream:
        try:
            while (body := read_frame(stream)) is not None:
                events.put((part, msgspec.msgpack.decode(body, type=Event)))
        except (WorkerError, *MALFORMED) as error:
            failure = Failure("perf", type(error).__name__, str(error))
            events.put((part, Failed(failure)))
    events.put((part, None))
