"""The one place that reads time.

Native code that cannot hold the GIL reads the same clock through its own twin; the two
share an epoch, so that their stamps can be subtracted.
"""

from __future__ import annotations

import resource
import time
from datetime import UTC, datetime
from typing import NamedTuple

__all__ = ["Usage", "cpu_time_ns", "now_ns", "usage", "utc_now"]


class Usage(NamedTuple):
    """What this process has used so far.

    Parameters
    ----------
    cpu_ns : int
        User and system time of all threads, ns.
    voluntary_switches, involuntary_switches : int
        Times a thread gave up its processor, and had it taken away.
    """

    cpu_ns: int
    voluntary_switches: int
    involuntary_switches: int


def now_ns() -> int:
    """Read the monotonic clock.

    Returns
    -------
    int
        Nanoseconds since an arbitrary moment, never stepping back.
    """
    return time.monotonic_ns()


def cpu_time_ns() -> int:
    """Read how long this process has been on a processor, all threads together.

    Returns
    -------
    int
        User and system time, ns.
    """
    return time.process_time_ns()


def usage() -> Usage:
    """Read what this process, all threads together, has used.

    Returns
    -------
    Usage
        Since its start.
    """
    used = resource.getrusage(resource.RUSAGE_SELF)
    return Usage(cpu_time_ns(), used.ru_nvcsw, used.ru_nivcsw)


def utc_now() -> datetime:
    """Read the wall clock, for provenance only: it may step.

    Returns
    -------
    datetime
        Now, aware, in UTC.
    """
    return datetime.now(UTC)
