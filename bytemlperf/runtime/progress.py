"""Tell a listener how a run is going, from a thread of its own.

Outside the timed path: it reads counters that the path writes anyway.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import msgspec
import numpy as np

from bytemlperf._native.timeline import Timeline
from bytemlperf.runtime.clock import now_ns
from bytemlperf.runtime.recorder import Histogram

__all__ = ["Progress", "ProgressTeller"]

_PERIOD_S = 0.25


class Progress(msgspec.Struct, frozen=True):
    """How a run is going.

    Parameters
    ----------
    done_queries : int
        Queries answered in this part of the run.
    elapsed_ns : int
        Since this part began, ns.
    recent_qps : float
        Queries answered per second since the last time.
    recent_p50_ns, recent_p99_ns : int or None
        Latency since the last time, ns; None if nothing was answered.
    is_warm_up : bool
        Whether this part is the warm-up.
    """

    done_queries: int
    elapsed_ns: int
    recent_qps: float
    recent_p50_ns: int | None
    recent_p99_ns: int | None
    is_warm_up: bool


class ProgressTeller:
    """Calls a listener at most four times a second.

    Parameters
    ----------
    timeline : Timeline
        What is read.
    on_progress : callable
        The listener; it may take its time. What it raises is kept in `error`.
    on_error : callable
        Called, in the teller's thread, when the listener has raised.
    period_s : float, default 0.25
        Pause between two calls, s.
    """

    def __init__(
        self,
        timeline: Timeline,
        on_progress: Callable[[Progress], object],
        *,
        on_error: Callable[[], object],
        period_s: float = _PERIOD_S,
    ) -> None:
        self._period_s = period_s
        self._timeline = timeline
        self._on_progress = on_progress
        self._on_error = on_error
        self.error: BaseException | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(
            target=self._tell, name="bytemlperf-progress", daemon=True
        )

    def _tell(self) -> None:
        before = Histogram.from_recorder(self._timeline.latency)
        phase = self._timeline.start_ns
        before_ns = now_ns()
        while not self._stop.wait(self._period_s):
            at_ns = now_ns()
            if not self._timeline.start_ns:
                continue
            latency = Histogram.from_recorder(self._timeline.latency)
            if self._timeline.start_ns != phase or latency.count < before.count:
                phase = self._timeline.start_ns
                before = Histogram.from_values([])
            recent = Histogram(
                np.maximum(latency.counts - before.counts, 0),
                min=0,
                max=latency.max,
                total=None,
            )
            try:
                self._on_progress(
                    Progress(
                        done_queries=latency.count,
                        elapsed_ns=max(at_ns - phase, 0),
                        recent_qps=recent.count * 1e9 / (at_ns - before_ns),
                        recent_p50_ns=recent.percentile(50) if recent.count else None,
                        recent_p99_ns=recent.percentile(99) if recent.count else None,
                        is_warm_up=self._timeline.is_warm_up,
                    )
                )
            except BaseException as error:
                self.error = error
                self._on_error()
                return
            before, before_ns = latency, at_ns

    def __enter__(self) -> ProgressTeller:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop.set()
        self._thread.join()
