"""How load was brought to a point: what was asked, offered, issued and refused."""

from __future__ import annotations

import msgspec

from bytemlperf.report.schema.distribution import Distribution

__all__ = ["LoadReport"]


class LoadReport(msgspec.Struct, frozen=True, kw_only=True):
    """How load was brought; every field is defined in docs/measurement.md.

    Parameters
    ----------
    scenario : str
        How load arrived.
    samples_per_query : int
        Samples of a query.
    is_open : bool
        Whether nobody waited for answers.
    order_seed : int
        Seed of the order of samples.
    generator : str
        Of random numbers.
    achieved_qps : float
        Queries answered over the window.
    schedule_seed, schedule_sha256 : optional
        Seed and hash of the moments; None in a closed loop, as all that follows.
    schedule_ns : int or None
        Length of the schedule; 0 if everything was due at once.
    source : str or None
        File of a trace.
    requested_qps, offered_qps, issued_qps : float or None
        Queries per second asked for, in the schedule, and issued, over its length.
    scheduled_count, issued_count, refused_count, starved_count : int or None
        Rows of the schedule, put into the queue, refused because it was full, and not
        issued because answers were not taken in soon enough.
    unissued_count, dropped_count : int or None
        Rows whose turn never came, and rows still queued when draining ended.
    max_queued : int or None
        Room of the queue.
    peak_in_flight : int or None
        Most rows issued and not yet answered at once.
    mean_backlogs : list of float or None
        Rows that the next one found waiting, mean of each quarter of the schedule.
    end_backlog : int or None
        Rows waiting when the last one was issued.
    is_unstable : bool or None
        Whether the backlog grew as long as load came.
    lag : Distribution or None
        Issued less scheduled, of every row that had its turn.
    pacer_cpu_ns, pacer_spun_ns : int or None
        Processor time of the pacing thread, and how much of it was spun.
    is_real_time : bool or None
        Whether the pacing thread ran under SCHED_FIFO.
    query_latency : Distribution or None
        Of queries of several samples in a trace, as a whole: last sample done less
        scheduled, of those that were answered whole. None where each sample is a query.
    """

    scenario: str
    samples_per_query: int
    is_open: bool
    order_seed: int
    generator: str
    achieved_qps: float
    schedule_seed: int | None = None
    schedule_sha256: str | None = None
    schedule_ns: int | None = None
    source: str | None = None
    requested_qps: float | None = None
    offered_qps: float | None = None
    issued_qps: float | None = None
    scheduled_count: int | None = None
    issued_count: int | None = None
    refused_count: int | None = None
    starved_count: int | None = None
    unissued_count: int | None = None
    dropped_count: int | None = None
    max_queued: int | None = None
    peak_in_flight: int | None = None
    mean_backlogs: list[float] | None = None
    end_backlog: int | None = None
    is_unstable: bool | None = None
    lag: Distribution | None = None
    pacer_cpu_ns: int | None = None
    pacer_spun_ns: int | None = None
    is_real_time: bool | None = None
    query_latency: Distribution | None = None
