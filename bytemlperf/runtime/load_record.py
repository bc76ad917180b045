"""What was asked of an open loop, what it could do, and how punctual it was. Pure."""

from __future__ import annotations

import math

import msgspec

from bytemlperf.runtime.recorder import Histogram

__all__ = ["LoadRecording", "backlog_grows"]

_GROWTH = 1.5
_NOISE_SD = 3.0


class LoadRecording(msgspec.Struct, frozen=True, kw_only=True):
    """How load was brought; every field is defined in ``docs/measurement.md``.

    Parameters
    ----------
    scenario : str
        Its name.
    schedule_seed : int
        Seed of the moments.
    schedule_sha256 : str
        Hash of the moments.
    schedule_ns : int
        Length of the schedule, ns; 0 if everything was due at once.
    requested_qps, offered_qps, issued_qps : float or None
        Queries per second asked for, in the schedule, and put into the queue, all over
        the schedule's length; None if it has none.
    scheduled_count : int
        Rows of the schedule.
    issued_count : int
        Rows put into the queue.
    refused_count : int
        Rows that found the queue full, and were not issued.
    starved_count : int
        Rows that were not issued because answers were not taken in soon enough.
    unissued_count : int
        Rows never reached: the run was stopped, or its time was over.
    dropped_count : int
        Rows that were still queued when draining ended.
    max_queued : int
        Rows that could wait at once.
    peak_in_flight : int
        Most rows issued and not yet answered at once.
    mean_backlogs : tuple of float
        Rows that the next one found waiting, mean of each quarter of the schedule.
    end_backlog : int
        Rows waiting when the last one was issued.
    is_unstable : bool
        Whether the backlog grew all along; see `backlog_grows`.
    lag : Histogram
        ``issued - scheduled`` of every row that had its turn, refused ones too, ns.
    pacer_cpu_ns, pacer_spun_ns : int
        Processor time of the pacing thread, and how much of it was spun.
    pacer_spin_ns : int
        How long before its moment a row is spun for.
    is_real_time : bool
        Whether the pacing thread ran under SCHED_FIFO.
    query_latency : Histogram or None
        Of queries of several rows, as a whole: last row done less scheduled, ns; those
        of which every row was answered. None where each row is a query.
    """

    scenario: str
    schedule_seed: int
    schedule_sha256: str
    schedule_ns: int
    requested_qps: float | None
    offered_qps: float | None
    issued_qps: float | None
    scheduled_count: int
    issued_count: int
    refused_count: int
    starved_count: int
    unissued_count: int
    dropped_count: int
    max_queued: int
    peak_in_flight: int
    mean_backlogs: tuple[float, ...]
    end_backlog: int
    is_unstable: bool
    lag: Histogram
    pacer_cpu_ns: int
    pacer_spun_ns: int
    pacer_spin_ns: int
    is_real_time: bool
    query_latency: Histogram | None = None


def backlog_grows(
    mean_backlogs: tuple[float, ...],
    end_backlog: int,
    *,
    row_count: int,
    rows_in_predict: int,
) -> bool:
    """Tell whether the queue grew as long as load came: more came than was served.

    Parameters
    ----------
    mean_backlogs : tuple of float
        Rows found waiting, mean of each quarter of the schedule.
    end_backlog : int
        Rows waiting when the last one was issued.
    row_count : int
        Rows issued.
    rows_in_predict : int
        Rows that all predict threads together can work on at once.

    Returns
    -------
    bool
        True if each quarter waited for longer than the one before, the last one 1.5
        times as long as the second, and more rows were left at the end than chance
        (three standard deviations of a Poisson count) and two rounds of batches leave.
    """
    if len(mean_backlogs) < 4:
        return False
    second, third, last = mean_backlogs[1:]
    noise = max(_NOISE_SD * math.sqrt(row_count), 2 * rows_in_predict)
    return (
        mean_backlogs[0] < second < third < last
        and last > _GROWTH * second
        and end_backlog > noise
    )
