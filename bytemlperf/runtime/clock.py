"""The one place that reads time.

Native code that cannot hold the GIL reads the same clock through its own twin; the two
share an epoch, so that their stamps can be subtracted.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime

__all__ = ["cpu_time_ns", "now_ns", "utc_now"]


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


def utc_now() -> datetime:
    """Read the wall clock, for provenance only: it may step.

    Returns
    -------
    datetime
        Now, aware, in UTC.
    """
    return datetime.now(UTC)
