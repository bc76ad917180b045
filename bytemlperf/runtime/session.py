"""One run from its open pipeline to its recording: warm up, measure, record.

It puts the stages in order; it refuses to load samples and to write files.

It is long because what a run says of itself, its `Recording`, is gathered from every
stage it put in order, field by field, in one place.
"""

from __future__ import annotations

import asyncio
import operator
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import msgspec
import numpy as np

from bytemlperf._native.dispatcher import STOPPED_BY_FAILURE, STOPPED_BY_TIME
from bytemlperf._native.timeline import Timeline
from bytemlperf.errors import ConfigError, PredictError
from bytemlperf.runtime.affinity import Affinity, ThreadPlaces, allowed_cpus
from bytemlperf.runtime.client_path import (
    OPEN_LOOP_PATH,
    ClientBody,
    ClientPath,
    choose_path,
)
from bytemlperf.runtime.clock import Usage, usage
from bytemlperf.runtime.closed_loop import ClosedLoopPhase
from bytemlperf.runtime.hand_over import HandOver
from bytemlperf.runtime.native_loop import NativeLoopPhase
from bytemlperf.runtime.open_loop import OpenLoopPhase, open_capacity
from bytemlperf.runtime.open_scenario import OpenScenario, Trace
from bytemlperf.runtime.plan import (
    RNG_NAME,
    LoadPlan,
    SampleOrder,
    check_scenario,
    plan_load,
    share_plan,
)
from bytemlperf.runtime.predictor import Feeds, InputLayout, Predict, Predictor
from bytemlperf.runtime.recorder import (
    EndedBy,
    Failure,
    Histogram,
    Recording,
    Second,
    WarmUpRecording,
    blocks_from,
)
from bytemlperf.runtime.samples import Array, aligned_step
from bytemlperf.runtime.scenario import (
    Batching,
    ClosedLoop,
    Limits,
    Scenario,
    WarmUp,
    as_closed_loop,
    scenario_name,
)
from bytemlperf.runtime.thread_use import ThreadUse, read_threads, thread_uses

__all__ = ["Check", "Session", "check_outputs"]

Check = Callable[[Mapping[str, Array], int], object]

_MAX_FAILURES_KEPT = 8
# Clients that warm up what an open loop will measure: enough for full batches.
_MAX_WARM_UP_CLIENTS = 4096


def check_outputs(outputs: Mapping[str, Array], sample_count: int) -> None:
    """Check that outputs are arrays with whole rows for each sample.

    Parameters
    ----------
    outputs : Mapping of str to ndarray
        What predict returned for a batch.
    sample_count : int
        Samples in the batch.

    Raises
    ------
    PredictError
        They are not.
    """
    if not isinstance(outputs, Mapping):
        raise PredictError(
            "predict must return a dict of arrays by output name, "
            f"not {type(outputs).__name__}"
        )
    for name, array in outputs.items():
        if not isinstance(name, str):
            raise PredictError(f"predict named an output {name!r}: not a string")
        shape = getattr(array, "shape", None)
        if not shape or shape[0] == 0 or shape[0] % sample_count:
            what = "no shape" if shape is None else f"shape {tuple(shape)}"
            raise PredictError(
                f"output {name!r} of a batch of {sample_count} samples has {what}: "
                f"its first dimension must be a multiple of {sample_count}"
            )


class Session:
    """One run, from its open pipeline to its recording."""

    def __init__(
        self,
        predict: Predict,
        library: Mapping[str, Array],
        sample_count: int,
        inputs: Sequence[InputLayout],
        *,
        scenario: Scenario,
        batching: Batching,
        seed: int,
        schedule_seed: int,
        limits: Limits,
        warm_up: WarmUp,
        timeline: Timeline,
        check: Check,
        start_gate: Callable[[], object] | None = None,
        client_path: ClientPath = "auto",
        body: ClientBody | None = None,
        affinity: Affinity = Affinity(),
        share: tuple[int, int] = (0, 1),
    ) -> None:
        self._affinity = affinity
        # Before anything is held.
        self._cpus = allowed_cpus()
        self._scenario_name = scenario_name(scenario)
        self._body = body
        self._seed = seed
        self._limits = limits
        self._warm_up = warm_up
        self._timeline = timeline
        self._check = check
        self._start_gate = start_gate
        self._failures: list[Failure] = []
        self._error: PredictError | None = None
        self._first_outputs: tuple[Any, int] | None = None
        self._loop = asyncio.get_running_loop()
        self._order = SampleOrder(
            sample_count,
            scenario.samples_per_query,
            step=aligned_step([layout.sample_bytes for layout in inputs]),
            seed=seed,
        )
        self._plan: LoadPlan | None = None
        self._is_grouped = isinstance(scenario, Trace) and scenario.sizes is not None
        if isinstance(scenario, OpenScenario):
            if body is not None:
                raise ConfigError(
                    f"a client_body waits for answers; {self._scenario_name} does not",
                    hint="use ClosedLoop, or leave client_body out",
                )
            self._plan = share_plan(
                plan_load(scenario, self._order, schedule_seed=schedule_seed), *share
            )
            if isinstance(scenario, Trace) and scenario.sizes is not None:
                timeline.group_rows(np.asarray(scenario.sizes, np.int32))
            in_predict = batching.predict_threads * batching.queries_per_batch(
                scenario.samples_per_query
            )
            max_queued, capacity = open_capacity(
                self._plan, max_queued=batching.max_queued, rows_in_predict=in_predict
            )
            # Only to warm up: with full batches.
            self._scenario = ClosedLoop(
                clients=min(in_predict, max_queued, _MAX_WARM_UP_CLIENTS),
                iterations=1,
                samples_per_query=scenario.samples_per_query,
            )
            self._path = OPEN_LOOP_PATH
        else:
            if share != (0, 1):
                raise ConfigError(
                    f"a share is of a schedule; {self._scenario_name} has clients",
                    hint="give each process a number of clients of its own",
                )
            self._scenario = as_closed_loop(scenario)
            self._path = choose_path(client_path, body, self._scenario, batching)
            capacity = self._scenario.clients
            max_queued = batching.max_queued or capacity
            check_scenario(self._scenario)
        self._waited_before = HandOver()
        self._predictor = Predictor(
            predict,
            inputs,
            batching=batching,
            samples_per_query=scenario.samples_per_query,
            max_queued=max_queued,
            capacity=capacity,
            library=library,
            timeline=timeline,
            on_outputs=self._keep_outputs,
            kept_outputs=1,
            on_failure=self._note_failure,
            stop_on_failure=True,
            predict_path=self._path.predict,
            native_client_count=capacity if self._path.clients == "native" else 0,
            think_ns=self._scenario.think_time_ns,
            affinity=affinity,
        )

    def stop_soon(self) -> None:
        """End the run from another thread."""
        clients = self._predictor.native_clients
        self._loop.call_soon_threadsafe(
            self._predictor.dispatcher.stop if clients is None else clients.stop
        )

    def _keep_outputs(self, outputs: Any, feeds: Feeds, sample_count: int) -> None:
        # In a predict thread, once: copied, for it may reuse or alias its buffers.
        if self._first_outputs is None:
            if isinstance(outputs, Mapping):
                outputs = {
                    name: np.array(array) if isinstance(array, np.ndarray) else array
                    for name, array in outputs.items()
                }
            self._first_outputs = (outputs, sample_count)

    def _note_failure(
        self, error: Exception, row_count: int, sample_index: int
    ) -> None:
        batch_size = row_count * self._scenario.samples_per_query
        if self._error is None:
            self._error = PredictError(
                f"predict raised {type(error).__name__} on a batch of {batch_size} "
                f"samples ({row_count} queries, the first from sample {sample_index})",
                detail=str(error) or repr(error),
            )
            self._error.__cause__ = error
        if len(self._failures) < _MAX_FAILURES_KEPT:
            self._failures.append(
                Failure(
                    error=repr(error),
                    batch_size=batch_size,
                    sample_index=sample_index,
                    is_warm_up=self._timeline.is_warm_up,
                )
            )

    async def run(self) -> Recording:
        """Warm up and measure."""
        # There is no other thread to call predict where the loop's does.
        role = "predict" if self._path.predict == "loop lane" else "loop"
        places = ThreadPlaces(self._affinity, role)
        with places:
            return await self._run(places, role)

    async def _run(self, places: ThreadPlaces, role: str) -> Recording:
        loop_thread = threading.get_native_id()
        async with self._predictor.serving():
            settled_part = await self._run_warm_up()
            # Frameworks have made their threads by now.
            places.move_native()
            threads_before = read_threads()
            opened: object = None
            if self._start_gate is not None:
                opened = await asyncio.to_thread(self._start_gate)
            used_before = usage()
            phase: ClosedLoopPhase | NativeLoopPhase | OpenLoopPhase
            if self._plan is not None:
                phase = await self._walk_open(
                    self._plan, opened if isinstance(opened, int) else None
                )
            else:
                phase = await self._walk(
                    max_seconds=self._limits.max_seconds,
                    min_queries=self._limits.min_queries,
                    max_queries=0 if self._has_failed else None,
                    is_warm_up=False,
                )
            used_after = usage()
            threads = thread_uses(
                threads_before,
                read_threads(),
                {loop_thread: role, **self._predictor.thread_roles},
            )
            if isinstance(phase, OpenLoopPhase) and phase.pacer_use is not None:
                threads += (phase.pacer_use,)
        self._timeline.finish()
        if self._timeline.chunk_rows:
            self._timeline.flush_chunk()
        fatal = self._predictor.dispatcher.fatal_error
        if fatal is not None:
            raise fatal
        self._check_first_outputs()
        used = Usage(*map(operator.sub, used_after, used_before))
        return self._record(settled_part, phase, used, threads)

    @property
    def _has_failed(self) -> bool:
        dispatcher = self._predictor.dispatcher
        return self._error is not None or dispatcher.fatal_error is not None

    async def _run_warm_up(self) -> WarmUpRecording:
        duration_ns = 0
        if not self._warm_up.is_skipped:
            phase = await self._walk(
                max_seconds=self._warm_up.max_seconds,
                min_queries=self._warm_up.min_queries,
                max_queries=self._warm_up.max_queries,
                is_warm_up=True,
            )
            duration_ns = phase.end_ns - phase.start_ns
            if not self._has_failed:
                self._check_first_outputs()
        return WarmUpRecording(
            query_count=self._timeline.completed_count,
            duration_ns=duration_ns,
            settled=self._timeline.is_settled,
            service=Histogram.from_recorder(self._timeline.service),
        )

    def _check_first_outputs(self) -> None:
        if self._first_outputs is None:
            return
        outputs, sample_count = self._first_outputs
        self._check(outputs, sample_count)
        self._first_outputs = None

    async def _walk(
        self,
        *,
        max_seconds: float | None,
        min_queries: int,
        max_queries: int | None,
        is_warm_up: bool,
    ) -> ClosedLoopPhase | NativeLoopPhase:
        make: Callable[..., ClosedLoopPhase | NativeLoopPhase] = NativeLoopPhase
        if self._path.clients != "native":
            make = partial(ClosedLoopPhase, kind=self._path.clients, body=self._body)
        phase = make(
            self._predictor,
            self._scenario,
            draw=self._order.draw,
            max_seconds=max_seconds,
            min_queries=min_queries,
            max_queries=max_queries,
            drain_seconds=self._limits.drain_seconds,
            is_warm_up=is_warm_up,
        )
        self._predictor.queue.reset_peak()
        self._waited_before = self._predictor.hand_over
        await phase.walk()
        return phase

    async def _walk_open(self, plan: LoadPlan, start_ns: int | None) -> OpenLoopPhase:
        phase = OpenLoopPhase(
            self._predictor,
            plan,
            max_seconds=self._limits.max_seconds,
            drain_seconds=self._limits.drain_seconds,
            is_stopped=self._has_failed,
            affinity=self._affinity,
            cpus=self._cpus,
            start_ns=start_ns,
        )
        self._predictor.queue.reset_peak()
        self._waited_before = self._predictor.hand_over
        await phase.walk()
        return phase

    def _record(
        self,
        warm_up: WarmUpRecording,
        phase: ClosedLoopPhase | NativeLoopPhase | OpenLoopPhase,
        used: Usage,
        threads: tuple[ThreadUse, ...],
    ) -> Recording:
        timeline = self._timeline
        reason = self._predictor.dispatcher.stop_reason
        planned = self._scenario.clients * self._scenario.iterations
        ended_by: EndedBy = "iterations"
        if self._error is not None or reason == STOPPED_BY_FAILURE:
            ended_by = "failed"
        elif isinstance(phase, OpenLoopPhase):
            ended_by = "max_seconds" if phase.unissued_count else "schedule"
        elif reason == STOPPED_BY_TIME and timeline.completed_count < planned:
            ended_by = "max_seconds"
        client_kind: str = self._path.clients
        load = None
        if isinstance(phase, OpenLoopPhase):
            load = phase.record(self._scenario_name)
            if self._is_grouped:
                load = msgspec.structs.replace(
                    load, query_latency=Histogram.from_recorder(timeline.query_latency)
                )
            client_kind = "pacer"
        answered = timeline.completed_count > 0
        start_ns = timeline.first_scheduled_ns if answered else phase.start_ns
        histograms = {
            name: Histogram.from_recorder(getattr(timeline, name))
            for name in (
                "latency",
                "schedule_lag",
                "queue_wait",
                "gather",
                "service",
                "wakeup",
            )
        }
        return Recording(
            query_count=timeline.completed_count,
            sample_count=timeline.completed_count * self._scenario.samples_per_query,
            failed_count=timeline.failed_count,
            cancelled_count=timeline.cancelled_count,
            overflow_count=sum(each.overflow_count for each in histograms.values()),
            ended_by=ended_by,
            window_start_ns=start_ns,
            window_ns=timeline.last_done_ns - start_ns if answered else 0,
            **histograms,
            batch_size_counts=timeline.batch_size_counts(),
            view_count=timeline.view_count,
            gather_count=timeline.gather_count,
            series=tuple(Second(*second) for second in timeline.series),
            warm_up=warm_up,
            peak_queued=self._predictor.queue.peak_queued,
            hand_over=self._predictor.hand_over - self._waited_before
            if self._path.predict == "hand-over"
            else None,
            cpu_ns=used.cpu_ns,
            voluntary_switches=used.voluntary_switches,
            involuntary_switches=used.involuntary_switches,
            loop=type(self._loop).__module__.partition(".")[0],
            rng=RNG_NAME,
            seed=self._seed,
            failures=tuple(self._failures),
            error=self._error,
            blocks=blocks_from(timeline),
            load=load,
            client_kind=client_kind,
            predict_path=self._path.predict,
            path_reason=self._path.reason,
            affinity=self._affinity,
            threads=threads,
        )
