"""Walk an open-loop schedule: a pacing thread issues, the loop collects.

Nobody waits for an answer, so nobody is woken by one: the loop looks every few
milliseconds, and the path of a query does not touch it.
"""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Collection

from bytemlperf._native.dispatcher import STOPPED_BY_NOTHING
from bytemlperf._native.pacer import Pacer
from bytemlperf.runtime.affinity import Affinity, allowed_cpus, hold_this_thread
from bytemlperf.runtime.clock import now_ns
from bytemlperf.runtime.load_record import LoadRecording, backlog_grows
from bytemlperf.runtime.plan import LoadPlan
from bytemlperf.runtime.predictor import Predictor
from bytemlperf.runtime.recorder import Histogram
from bytemlperf.runtime.thread_use import ThreadUse, read_thread

__all__ = ["OpenLoopPhase", "may_be_real_time", "open_capacity"]

_COLLECT_S = 0.005
_HEAD_START_NS = 5_000_000
_NO_DEADLINE_NS = 2**63 - 1
_DEFAULT_MAX_QUEUED = 65_536
# Answers may lie there while the loop is kept waiting for the interpreter's lock.
_UNCOLLECTED_ROWS = 65_536
# Waking takes less, nearly always.
SPIN_NS = 100_000
# A pacing thread that spins for more than this share of the time must not keep
# everybody else off its processor; at 0.95 the kernel would suspend it, too.
_MAX_REAL_TIME_SHARE = 0.7


def open_capacity(
    plan: LoadPlan, *, max_queued: int | None, rows_in_predict: int
) -> tuple[int, int]:
    """Tell how many rows may wait, and how many may be in flight.

    Parameters
    ----------
    plan : LoadPlan
        The schedule.
    max_queued : int or None
        What was asked for; None: 65,536, or everything if it is due at once.
    rows_in_predict : int
        Rows that all predict threads together can work on at once.

    Returns
    -------
    tuple of int
        Rows queued at most, and rows in flight at most.
    """
    rows = len(plan.due_ns)
    if max_queued is None:
        max_queued = min(_DEFAULT_MAX_QUEUED, rows) if plan.seconds else rows
    in_flight = max_queued + 2 * rows_in_predict + _UNCOLLECTED_ROWS
    return max_queued, min(in_flight, rows + rows_in_predict)


def may_be_real_time(
    rate_qps: float | None,
    cpus: Collection[int] | None = None,
    affinity: Affinity = Affinity(),
) -> bool:
    """Tell whether a pacing thread may ask to go before all others.

    Parameters
    ----------
    rate_qps : float or None
        Rows per second; None: everything is due at once.
    cpus : collection of int, optional
        Processors that this process may use; None: the calling thread's.
    affinity : Affinity
        Where the pacing thread and the predict threads are held.

    Returns
    -------
    bool
        False where it would take a processor for most of the time, or the only one.
    """
    cpus = allowed_cpus() if cpus is None else cpus
    if rate_qps is None or len(cpus) < 2:
        return False
    own = set(affinity.cpus_of("pacer") or cpus)
    if len(own) == 1 and own >= set(affinity.predict or cpus):
        return False
    # Of a Poisson process: the mean of the gap and the spin, whichever is shorter.
    return 1 - math.exp(-rate_qps * SPIN_NS / 1e9) <= _MAX_REAL_TIME_SHARE


class OpenLoopPhase:
    """The measured part of an open loop: begins and ends with nothing in flight.

    Parameters
    ----------
    predictor : Predictor
        Serving already.
    plan : LoadPlan
        The schedule.
    max_seconds : float or None
        Nothing that is due later than this after the start is issued.
    drain_seconds : float or None
        How long queued rows are waited for after the last one was issued; None: as long
        as the schedule lasted, 1 s at least; for ever if everything is due at once.
    is_stopped : bool, default False
        Whether nothing is to be issued at all.
    affinity : Affinity
        Where the pacing thread is held.
    cpus : collection of int, optional
        Processors that this process may use; None: the calling thread's.
    start_ns : int, optional
        The moment that the schedule counts from, where others share it; None: at once.
    """

    def __init__(
        self,
        predictor: Predictor,
        plan: LoadPlan,
        *,
        max_seconds: float | None,
        drain_seconds: float | None,
        is_stopped: bool = False,
        affinity: Affinity = Affinity(),
        cpus: Collection[int] | None = None,
        start_ns: int | None = None,
    ) -> None:
        self._common_start_ns = start_ns
        self._affinity = affinity
        self._predictor = predictor
        self._dispatcher = predictor.dispatcher
        self._plan = plan
        self._max_ns = None if max_seconds is None else round(max_seconds * 1e9)
        if drain_seconds is None and plan.seconds:
            drain_seconds = max(1.0, plan.seconds)
        self._drain_ns = None if drain_seconds is None else round(drain_seconds * 1e9)
        self._pacer = Pacer(
            predictor.queue,
            predictor.table,
            predictor.rings,
            due_ns=plan.due_ns,
            samples=plan.samples,
            queries=plan.queries,
            spin_ns=SPIN_NS,
            real_time=may_be_real_time(plan.offered_qps, cpus, affinity),
        )
        if is_stopped:
            self._pacer.stop()
        self._dropped_count = 0
        self.pacer_use: ThreadUse | None = None
        self.start_ns = 0
        self.end_ns = 0

    async def walk(self) -> None:
        """Issue the schedule, and wait for what was issued."""
        pacer, dispatcher = self._pacer, self._dispatcher
        self.start_ns = self._common_start_ns or now_ns() + _HEAD_START_NS
        dispatcher.begin_phase(
            refill=lambda: self._plan.samples,
            start_ns=self.start_ns,
            is_warm_up=False,
            deadline_ns=_NO_DEADLINE_NS,
            min_queries=0,
            max_queries=-1,
        )
        pacer.lend()
        thread = threading.Thread(
            target=self._pace,
            args=(
                self.start_ns,
                _NO_DEADLINE_NS
                if self._max_ns is None
                else self.start_ns + self._max_ns,
            ),
            name="bytemlperf-pacer",
            daemon=True,  # so that an exit handler can still close the queue
        )
        self._predictor.stop_listening()
        try:
            thread.start()
            while not pacer.has_ended:
                await asyncio.sleep(_COLLECT_S)
                dispatcher.collect()
                if dispatcher.stop_reason != STOPPED_BY_NOTHING:
                    pacer.stop()
                else:
                    pacer.lend()
            await self._drain()
        finally:
            # Blocks the loop, but for 20 ms at most and only if the run was cancelled.
            pacer.stop()
            thread.join()
            pacer.take_back()
            self._predictor.listen()
        self.end_ns = now_ns()

    def _pace(self, start_ns: int, deadline_ns: int) -> None:
        """Walk the schedule, in the pacing thread, and say what that took."""
        with hold_this_thread(self._affinity.cpus_of("pacer")):
            self._pacer.run(start_ns, deadline_ns)
            read = read_thread(threading.get_native_id())
        if read is not None:
            self.pacer_use = ThreadUse(
                role="pacer",
                name=threading.current_thread().name,
                cpus=read.cpus,
                cpu_ns=self._pacer.cpu_ns,
                run_delay_ns=read.run_delay_ns,
                involuntary_switches=read.involuntary_switches,
            )

    async def _drain(self) -> None:
        """Wait for what was issued, and drop what is queued when time is up."""
        deadline_ns = None if self._drain_ns is None else now_ns() + self._drain_ns
        self._pacer.take_back()
        while True:
            self._dispatcher.collect()
            if not self._predictor.table.in_flight_count:
                return
            if deadline_ns is not None and now_ns() >= deadline_ns:
                self._dropped_count += len(self._predictor.queue)
                self._dispatcher.discard()
            await asyncio.sleep(_COLLECT_S)

    @property
    def unissued_count(self) -> int:
        """Rows that were never reached."""
        return self._pacer.unissued_count

    def record(self, scenario: str) -> LoadRecording:
        """Say how the load was brought; after `walk`.

        Parameters
        ----------
        scenario : str
            Its name.

        Returns
        -------
        LoadRecording
            Complete.
        """
        pacer, plan = self._pacer, self._plan
        rows_in_predict = self._predictor.rows_in_predict
        return LoadRecording(
            scenario=scenario,
            schedule_seed=plan.schedule_seed,
            schedule_sha256=plan.sha256,
            schedule_ns=round(plan.seconds * 1e9),
            requested_qps=plan.requested_qps,
            offered_qps=plan.offered_qps,
            issued_qps=pacer.issued_count / plan.seconds if plan.seconds else None,
            scheduled_count=pacer.row_count,
            issued_count=pacer.issued_count,
            refused_count=pacer.refused_count,
            starved_count=pacer.starved_count,
            unissued_count=pacer.unissued_count,
            dropped_count=self._dropped_count,
            max_queued=self._predictor.queue.max_queued,
            peak_in_flight=pacer.peak_in_flight,
            mean_backlogs=pacer.mean_backlogs,
            end_backlog=pacer.end_backlog,
            is_unstable=bool(plan.seconds)
            and backlog_grows(
                pacer.mean_backlogs,
                pacer.end_backlog,
                row_count=pacer.issued_count,
                rows_in_predict=rows_in_predict,
            ),
            lag=Histogram.from_recorder(pacer.lag),
            pacer_cpu_ns=pacer.cpu_ns,
            pacer_spun_ns=pacer.spun_ns,
            pacer_spin_ns=pacer.spin_ns,
            is_real_time=pacer.is_real_time,
        )
