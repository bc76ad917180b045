"""Walk a closed-loop scenario: clients that ask, wait, think and ask again.

It knows when to ask, by row number; it refuses to know what a sample is.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import Callable
from typing import Literal

import numpy as np
import numpy.typing as npt

from bytemlperf._native.client import Client, Population
from bytemlperf._native.dispatcher import STOPPED_BY_NOTHING
from bytemlperf.runtime.client_path import ClientBody
from bytemlperf.runtime.clock import now_ns
from bytemlperf.runtime.predictor import Predictor
from bytemlperf.runtime.scenario import ClosedLoop

__all__ = ["ClosedLoopPhase"]

_SUPERVISE_S = 0.05
_NO_DEADLINE_NS = 2**63 - 1
_ENDLESS = 2**62
_MANY_CLIENTS = 1000


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
    kind : "task", "bare" or "stock"
        What drives the clients.
    body : callable, optional
        ``body(client)`` is what each client does; None: it asks until it is closed.
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
        kind: Literal["task", "bare", "stock"] = "task",
        body: ClientBody | None = None,
    ) -> None:
        self._kind = kind
        self._body = body
        self._thinks = scenario.think_time_ns > 0
        self._is_cancelled = False
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
        ended = loop.create_future()
        population = Population(
            self._dispatcher,
            loop=loop,
            on_empty=lambda: _wake(ended),
            think_ns=self._scenario.think_time_ns,
        )
        with _Uncollected(self._scenario.clients) as clients:
            population.add(
                self._body or (self._ask_and_think if self._thinks else _ask),
                self._scenario.clients,
                # A warm-up has no iterations: it ends when the dispatcher says so.
                _ENDLESS if self._is_warm_up else self._scenario.iterations,
                kind=self._kind,
                ends_closed=self._body is None and not self._thinks,
            )
            clients.freeze()
            # From here on: making the clients is not charged to their first queries.
            self._begin()
            population.begin(self.start_ns)
            self._dispatcher.on_space = population.open
            # Clients are resumed in place, so never within this task.
            loop.call_soon(population.start)
            self._supervision = loop.call_later(
                _SUPERVISE_S, self._supervise, loop, population
            )
            interruption: asyncio.CancelledError | None = None
            try:
                while not ended.done():
                    try:
                        await asyncio.wait([ended])
                    except asyncio.CancelledError as cancelled:
                        interruption = cancelled
                        loop.call_soon(population.cancel)
            finally:
                if self._supervision is not None:
                    self._supervision.cancel()
        self.end_ns = now_ns()
        if interruption is not None:
            raise interruption
        if population.crew.errors:
            raise population.crew.errors[0]

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

    def _supervise(
        self, loop: asyncio.AbstractEventLoop, population: Population
    ) -> None:
        """Look every 50 ms whether the phase has stopped, and drain it if so."""
        # A predict thread may have put off a wake-up for a batch that never ends.
        self._dispatcher.drain()
        if population.crew.errors and not self._is_cancelled:
            # A client's own code failed: the others have nothing left to show.
            self._is_cancelled = True
            self._dispatcher.stop()
            population.cancel()
        if self._dispatcher.must_stop():
            for thought in self._thinking:
                if not thought.done():
                    thought.set_result(None)
            population.open()
            now = now_ns()
            if self._drain_ns is not None:
                if self._drain_deadline_ns is None:
                    self._drain_deadline_ns = now + self._drain_ns
                if now >= self._drain_deadline_ns:
                    self._dispatcher.discard()
        self._supervision = loop.call_later(
            _SUPERVISE_S, self._supervise, loop, population
        )

    async def _ask_and_think(self, client: Client) -> None:
        loop = asyncio.get_running_loop()
        while client.is_open:
            await client
            if client.is_open:
                await self._think(loop, client.scheduled_ns)

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


async def _ask(client: Client) -> None:
    while True:  # until the await ends it
        await client


class _Uncollected(contextlib.AbstractContextManager["_Uncollected"]):
    """Keep the collector off many clients: looking at a million takes half a second.

    Nothing is collected while they are made; from `freeze` to the end what existed then
    is not looked at again, and everything else is collected as ever.
    """

    def __init__(self, clients: int) -> None:
        self._is_needed = clients >= _MANY_CLIENTS and not gc.get_freeze_count()
        self._was_enabled = gc.isenabled()
        if self._is_needed:
            gc.disable()

    def freeze(self) -> None:
        if self._is_needed:
            gc.freeze()
            if self._was_enabled:
                gc.enable()

    def __exit__(self, *_: object) -> None:
        if self._is_needed:
            gc.unfreeze()
            if self._was_enabled:
                gc.enable()


def _wake(thought: asyncio.Future[None]) -> None:
    if not thought.done():
        thought.set_result(None)
