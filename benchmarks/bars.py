"""What was asked of the hot path: one bar for each figure of the must-reach table."""

from __future__ import annotations

from typing import Literal

import msgspec

__all__ = ["BARS", "Bar"]


class Bar(msgspec.Struct, frozen=True, kw_only=True):
    """A figure that has to be reached.

    Parameters
    ----------
    key : str
        Name under which a script reports it.
    row : str
        Row of the table it belongs to.
    what : str
        This figure of the row.
    at_least, hoped_for : float or None
        The bar and the hope, in `unit`; None: none was stated.
    unit : str
        ``"x"`` for ratios.
    better : "higher" or "lower"
        Which side of the bar is good.
    """

    key: str
    row: str
    what: str
    at_least: float
    hoped_for: float | None
    unit: str = "x"
    better: Literal["higher", "lower"] = "higher"

    def is_met(self, value: float) -> bool:
        """Tell whether a figure reaches the bar.

        Parameters
        ----------
        value : float
            What was measured, in `unit`.

        Returns
        -------
        bool
            Whether it is at the bar or on its good side.
        """
        if self.better == "higher":
            return value >= self.at_least
        return value <= self.at_least


def _bar(
    row: str,
    key: str,
    what: str,
    at_least: float,
    hoped_for: float | None,
    unit: str = "x",
    better: Literal["higher", "lower"] = "higher",
) -> Bar:
    return Bar(
        key=key,
        row=row,
        what=what,
        at_least=at_least,
        hoped_for=hoped_for,
        unit=unit,
        better=better,
    )


_AWAIT = "coroutine clients with full asyncio semantics, N = 64..100,000"
_THREADS = "the same through predict threads, Python predict, N >= 1,000, batch 64"
_NATIVE = "native clients"
_LANE = "1 client, batch 1, lane"
_MEMORY = "memory per waiting client, all told"
_RECORDER = "recorder, per value"
_MODEL = "real ONNX model, about 150 us a call"
_PACING = "open loop, p50 schedule error against asyncio call_at"

BARS: tuple[Bar, ...] = (
    _bar(_AWAIT, "await/uvloop", "faster than a Future per query, uvloop", 6, 10),
    _bar(_AWAIT, "await/asyncio", "faster than a Future per query, asyncio", 12, 18),
    _bar(_THREADS, "threads/futures", "faster than Futures in batches", 6, 12),
    _bar(_THREADS, "threads/queue", "faster than asyncio.Queue + batcher", 10, 16),
    _bar(_THREADS, "threads/executor", "faster than run_in_executor", 80, 150),
    _bar(_THREADS, "loadgen/best", "faster than LoadGen's best pattern", 8, 14),
    _bar(_THREADS, "loadgen/queue", "faster than LoadGen, queue SUT", 20, 40),
    _bar(_NATIVE, "native/loadgen", "faster than LoadGen's best pattern", 60, 110),
    _bar(
        _NATIVE, "native/bare", "cost of the bare predict loop", 0.5, 0.3, "x", "lower"
    ),
    _bar(_LANE, "lane/loadgen", "faster than LoadGen SingleStream inline", 10, 16),
    _bar(_LANE, "lane/timed", "cost of a timed bare loop", 1.5, 1.1, "x", "lower"),
    _bar(
        "1 client, batch 1, hand-over (spin, then park), C-level predict",
        "handover/loadgen",
        "faster than LoadGen's thread SUT",
        4,
        10,
    ),
    _bar(
        "1,000,000 coroutine clients against 1,000",
        "population/million",
        "cost per query",
        1.5,
        1.1,
        "x",
        "lower",
    ),
    _bar(_MEMORY, "memory/native", "native client", 96, 64, "B", "lower"),
    _bar(_MEMORY, "memory/bare", "bare coroutine client", 440, 400, "B", "lower"),
    _bar(_MEMORY, "memory/task", "full-task client", 700, 550, "B", "lower"),
    _bar(_RECORDER, "recorder/speed", "faster than record_value", 250, 450),
    _bar(_RECORDER, "recorder/bytes", "V2 bytes identical", 1, 1, "yes"),
    _bar(_MODEL, "model/duty", "duty, batch 1, share of the bare loop's", 0.98, 0.995),
    _bar(_MODEL, "model/batch1", "throughput, batch 1, fresh samples", 0.97, 1.0),
    _bar(_MODEL, "model/batch8", "throughput, batch 8, fresh samples", 0.97, 1.0),
    _bar(_MODEL, "model/batch32", "throughput, batch 32, fresh samples", 0.97, 1.0),
    _bar(
        "600 KB-sample model",
        "model/images",
        "throughput, batch 32, fresh samples",
        0.95,
        0.99,
    ),
    _bar(_PACING, "pacing/native-1000", "native, 1,000/s", 300, None),
    _bar(_PACING, "pacing/native-10000", "native, 10,000/s", 300, None),
    _bar(_PACING, "pacing/coroutine-1000", "coroutine, 1,000/s", 8, None),
    _bar(_PACING, "pacing/coroutine-10000", "coroutine, 10,000/s", 8, None),
    _bar(
        "100 million null queries",
        "endurance/growth",
        "peak RSS growth after the first second",
        16,
        0,
        "MiB",
        "lower",
    ),
)
