"""Walk a closed-loop scenario: clients that ask, wait, think and ask again.

It knows when to ask, by row number; it refuses to know what a sample is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from bytemlperf._native.answer import Answer
from bytemlperf._native.completion_ring import OK
from bytemlperf._native.dispatcher import FULL, ISSUED, STOPPED_BY_NOTHING
from bytemlperf.runtime.clock import now_ns
from bytemlperf.runtime.predictor import Predictor
from bytemlperf.runtime.scenario import ClosedLoop

__all__ = ["ClosedLoopPhase"]

_SUPERVISE_S = 0.05
_NO_DEADLINE_NS = 2**63 - 1
_ENDLESS = 2**62


class ClosedLoopPhase:
    """One part of a run, warm-up or measured: begins and ends with nothing in flight.

    Parameters
    ----------
    predictor : Predictor
        Serving already.
    scenario : ClosedLoop
        How the clients behave.
    draw : callable
        Returns the next first samples, in order of issue.
    max_seconds : float or None
        Nothing is issued later than this after the start.
    min_queries : int
        Queries answered before time may end it.
    max_queries : int or None
        Queries issued at most.
    drain_seconds : float or None
        How long queued queries are waited for once it has stopped.
    is_warm_up : bool
        Whether a settled service time ends it, instead of the iterations.
    """

    def __init__(
        self,
        predictor: Predictor,
        scenario: ClosedLoop,
        *,
        draw: Callable[[], npt.NDArray[np.int64]],
        max_seconds: float | None,
        min_queries: int,
        max_queries: int | None,
        drain_seconds: float | None,
        is_warm_up: bool,
    ) -> None:
        self._predictor = predictor
        self._dispatcher = predictor.dispatcher
        self._scenario = scenario
        self._draw = draw
        self._max_ns = None if max_seconds is None else round(max_seconds * 1e9)
        self._min_queries = min_queries
        self._max_queries = max_queries
        self._drain_ns = None if drain_seconds is None else round(drain_seconds * 1e9)
        self._is_warm_up = is_warm_up
        self._drain_deadline_ns: int | None = None
        self._thinking: set[asyncio.Future[None]] = set()
        self._supervision: asyncio.TimerHandle | None = None
        self.start_ns = 0
        self.end_ns = 0

    async def walk(self) -> None:
        """Run all clients to their end."""
        loop = asyncio.get_running_loop()
        gate = loop.create_future()
        try:
            async with asyncio.TaskGroup() as clients:
                for client in range(self._scenario.clients):
                    clients.create_task(self._client(client, gate))
                # One turn of the loop: they all wait at the gate, however many they
                # are, so that making them is not charged to the first queries.
                await asyncio.sleep(0)
                self._begin()
                self._supervise(loop)
                gate.set_result(None)
        finally:
            if self._supervision is not None:
                self._supervision.cancel()
        self.end_ns = now_ns()

    def _begin(self) -> None:
        self.start_ns = now_ns()
        self._dispatcher.begin_phase(
            refill=self._draw,
            start_ns=self.start_ns,
            is_warm_up=self._is_warm_up,
            deadline_ns=(
                _NO_DEADLINE_NS
                if self._max_ns is None
                else self.start_ns + self._max_ns
            ),
            min_queries=self._min_queries,
            max_queries=-1 if self._max_queries is None else self._max_queries,
        )

    def _supervise(self, loop: asyncio.AbstractEventLoop) -> None:
        """Look every 50 ms whether the phase has stopped, and drain it if so."""
        # A predict thread may have put off a wake-up for a batch that never ends.
        self._dispatcher.drain()
        if self._dispatcher.must_stop():
            for thought in self._thinking:
                if not thought.done():
                    thought.set_result(None)
            self._predictor.space.open(everybody=True)
            now = now_ns()
            if self._drain_ns is not None:
                if self._drain_deadline_ns is None:
                    self._drain_deadline_ns = now + self._drain_ns
                if now >= self._drain_deadline_ns:
                    self._dispatcher.discard()
        self._supervision = loop.call_later(_SUPERVISE_S, self._supervise, loop)

    async def _client(self, client: int, gate: asyncio.Future[None]) -> None:
        loop = asyncio.get_running_loop()
        issue = self._dispatcher.issue
        answer = Answer(loop)
        think_ns = self._scenario.think_time_ns
        await gate
        scheduled_ns = self.start_ns
        # A warm-up has no iterations: the dispatcher says when it has had enough.
        for _ in range(_ENDLESS if self._is_warm_up else self._scenario.iterations):
            if self._predictor.space.is_crowded:
                code = await self._issue_in_turn(answer, client, scheduled_ns)
            else:
                code = issue(answer, client, scheduled_ns)
                if code == FULL:
                    code = await self._issue_in_turn(answer, client, scheduled_ns)
            if code != ISSUED:
                return
            await answer
            if answer.outcome != OK:
                return
            scheduled_ns = answer.observed_ns + think_ns
            if think_ns:
                await self._think(loop, scheduled_ns)

    async def _issue_in_turn(
        self, answer: Answer, client: int, scheduled_ns: int
    ) -> int:
        """Issue as soon as the queue has room; an issue code."""
        code = FULL
        while code == FULL:
            await self._predictor.space.wait()
            code = self._dispatcher.issue(answer, client, scheduled_ns)
        return code

    async def _think(self, loop: asyncio.AbstractEventLoop, until_ns: int) -> None:
        """Wait until a moment; uvloop's timers may be early, the clock decides."""
        while (left_ns := until_ns - now_ns()) > 0:
            if self._dispatcher.stop_reason != STOPPED_BY_NOTHING:
                return
            thought = loop.create_future()
            self._thinking.add(thought)
            timer = loop.call_later(left_ns / 1e9, _wake, thought)
            try:
                await thought
            finally:
                timer.cancel()
                self._thinking.discard(thought)


def _wake(thought: asyncio.Future[None]) -> None:
    if not thought.done():
        thought.set_result(None)
