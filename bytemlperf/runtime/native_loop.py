"""Walk a closed-loop scenario whose clients are native: watch, and wait for the end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from bytemlperf.runtime.clock import now_ns
from bytemlperf.runtime.predictor import Predictor
from bytemlperf.runtime.scenario import ClosedLoop

__all__ = ["NativeLoopPhase"]

_LOOK_S = 0.05
_NO_DEADLINE_NS = 2**63 - 1


class NativeLoopPhase:
    """One part of a run, warm-up or measured, as `ClosedLoopPhase`.

    Parameters
    ----------
    predictor : Predictor
        Serving already, with native clients.
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
        self._scenario = scenario
        self._draw = draw
        self._max_ns = None if max_seconds is None else round(max_seconds * 1e9)
        self._min_queries = min_queries
        self._max_queries = max_queries
        self._drain_ns = None if drain_seconds is None else round(drain_seconds * 1e9)
        self._is_warm_up = is_warm_up
        self.start_ns = 0
        self.end_ns = 0

    async def walk(self) -> None:
        """Run all clients to their end."""
        clients = self._predictor.native_clients
        assert clients is not None
        ended = self._predictor.expect_empty()
        self.start_ns = now_ns()
        self._predictor.dispatcher.begin_phase(
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
        clients.begin(
            self.start_ns, -1 if self._is_warm_up else self._scenario.iterations
        )
        interruption: asyncio.CancelledError | None = None
        drain_deadline_ns: int | None = None
        while not ended.done():
            try:
                await asyncio.wait([ended], timeout=_LOOK_S)
            except asyncio.CancelledError as cancelled:
                interruption = cancelled
                clients.stop()
                clients.discard()
            if clients.look() and self._drain_ns is not None:
                if drain_deadline_ns is None:
                    drain_deadline_ns = now_ns() + self._drain_ns
                if now_ns() >= drain_deadline_ns:
                    clients.discard()
        self.end_ns = now_ns()
        if interruption is not None:
            raise interruption
