"""Come to life at given moments inside an event loop, to issue queries from there.

For a program whose clients are coroutines of its own. It is an open loop only as long
as the body of the loop does not wait for answers: start a task for each arrival.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from bytemlperf._native.alarm import Alarm
from bytemlperf.errors import ConfigError
from bytemlperf.runtime.clock import now_ns

__all__ = ["Arrival", "pace"]

_HEAD_START_NS = 1_000_000


class Arrival(NamedTuple):
    """A query that is due.

    Parameters
    ----------
    number : int
        Its place in the schedule.
    scheduled_ns : int
        When it was due, ns on the clock of `now_ns`: latency counts from here.
    """

    number: int
    scheduled_ns: int


async def pace(
    due_ns: npt.ArrayLike, *, start_ns: int | None = None
) -> AsyncIterator[Arrival]:
    """Yield each arrival of a schedule when it is due; what is late comes at once.

    Parameters
    ----------
    due_ns : array_like
        Moments, ns since the start, whole, shape (arrivals,), never falling.
    start_ns : int, optional
        When the schedule starts, ns on the clock of `now_ns`; None: in a millisecond.

    Yields
    ------
    Arrival
        Never early.

    Raises
    ------
    ConfigError
        The schedule is not of whole numbers, or steps back.

    Notes
    -----
    A timer of the kernel wakes the loop, tens of microseconds after the moment where a
    loop's own timers take up to a millisecond. The native pacer that `run` uses for its
    open loops is more punctual still, for it needs neither the loop nor its lock.

    Examples
    --------
    >>> import asyncio
    >>> async def main():
    ...     return [arrival.number async for arrival in pace([0, 1000, 2000])]
    >>> asyncio.run(main())
    [0, 1, 2]
    """
    schedule = np.asarray(due_ns)
    if schedule.ndim != 1 or (schedule.size and schedule.dtype.kind not in "iu"):
        raise ConfigError(
            f"a schedule is a row of whole ns, not {schedule.dtype} of shape "
            f"{schedule.shape}"
        )
    if np.any(np.diff(schedule) < 0):
        raise ConfigError("a schedule never steps back", hint="sort it")
    loop = asyncio.get_running_loop()
    if start_ns is None:
        start_ns = now_ns() + _HEAD_START_NS
    alarm = Alarm()
    waiter: asyncio.Future[None] | None = None

    def ring() -> None:
        alarm.clear()
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    loop.add_reader(alarm.fd, ring)
    try:
        for number, due in enumerate(schedule.tolist()):
            scheduled_ns = start_ns + due
            while now_ns() < scheduled_ns:
                waiter = loop.create_future()
                alarm.ring_at(scheduled_ns)
                await waiter
            yield Arrival(number, scheduled_ns)
    finally:
        loop.remove_reader(alarm.fd)
        alarm.close()
