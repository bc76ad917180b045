"""One measured point: its load, its figures, its verdict."""

from __future__ import annotations

from typing import Annotated

import msgspec

from bytemlperf.report.schema.distribution import Distribution, SeriesSecond
from bytemlperf.report.schema.hand_over import HandOverReport, InputReport
from bytemlperf.report.schema.load import LoadReport
from bytemlperf.report.schema.overhead import OverheadReport
from bytemlperf.report.schema.resources import ResourceReport
from bytemlperf.report.schema.statistics import LatencyBlock, RunStatistics
from bytemlperf.report.schema.threads import ThreadGroup

__all__ = ["Point", "SkippedPoint", "WarmUpReport"]

# Checked where files are read: other numbers are computed from them.
_Size = Annotated[int, msgspec.Meta(ge=1)]
_SizeText = Annotated[str, msgspec.Meta(pattern="^[1-9][0-9]{0,18}$")]


class WarmUpReport(msgspec.Struct, frozen=True):
    """Queries before the measured window, kept and flagged."""

    query_count: int
    duration_ns: int
    settled: bool
    service: Distribution


class PointPart(msgspec.Struct, frozen=True):
    """One process's share of a point.

    Parameters
    ----------
    host : str or None
        Machine of a cluster it ran on; None: the one of the report.
    cores : list of int
        Cores it was held to; empty: any.
    clients, query_count, sample_count, failed_count : int
        As in `Point`.
    start_offset_ns : int
        From the first part's first query to this part's; across machines as good as
        the estimate of their clocks' offset.
    window_ns : int
        First scheduled to last done, of this part.
    throughput_samples_per_s : float
        Samples over its own window.
    latency : Distribution
        Of its queries.
    timeline_file : str or None
        File of its rows, if kept.
    nodes : list of int
        Memory (NUMA) nodes of its cores; empty: any.
    devices : dict of str to str
        Variables such as ``CUDA_VISIBLE_DEVICES`` with the devices that it alone saw.
    """

    cores: list[int]
    clients: int
    query_count: int
    sample_count: int
    failed_count: int
    start_offset_ns: int
    window_ns: int
    throughput_samples_per_s: float
    latency: Distribution
    timeline_file: str | None = None
    host: str | None = None
    nodes: list[int] = []
    devices: dict[str, str] = {}


class Point(msgspec.Struct, frozen=True):
    """One measured point: one batch size under one load.

    Parameters
    ----------
    batch_size : int
        The workload's: what the backend was loaded with, and the samples of a query
        unless `load` says otherwise.
    clients, iterations : int
        Client coroutines, and queries asked of each; of a closed loop.
    point_seconds : float or None
        Time limit of the window; None: there was none.
    max_batch, max_delay_us, predict_threads : int
        Dynamic batching and threads of the system under test.
    query_count, sample_count, failed_count : int
        Completed queries and samples; queries that failed.
    ended_by : str
        ``"iterations"``, ``"point_seconds"`` or ``"failed"``.
    window_start_ns, window_ns : int
        First scheduled, on the monotonic clock of the machine that measured (0: not
        kept), and from there to last done.
    throughput_samples_per_s, throughput_queries_per_s : float
        Completed samples and queries over `window_ns`.
    latency, schedule_lag, queue_wait, gather, service, wakeup : Distribution
        Per query; ``latency = schedule_lag + queue_wait + gather + service``.
    mean_batch_samples : float
        Samples per `predict`.
    batch_sample_counts : dict of str to int
        Batches by their size in samples.
    view_count, gather_count : int
        Batches passed as views of the loaded samples, and batches copied together.
    peak_queued : int
        Most queries waiting at once.
    cpu_percent : float
        CPU time of the worker over the window; 100 is one core.
    peak_rss_bytes : int
        Highest resident memory of the worker up to the point's end.
    load_ns, loaded_batch_size : int
        Duration of `Backend.load`, and what the backend says it loaded.
    event_loop : str
        ``"uvloop"`` or ``"asyncio"``.
    warm_up : WarmUpReport
        What came before the window.
    series : list of SeriesSecond
        One entry a second.
    invalid_reasons : list of str
        Why this is not a valid measurement; empty means VALID.
    warnings : list of str
        What a reader should know although the point is valid.
    errors : list of str
        First errors of failed queries.
    timeline_file : str or None
        File of all rows, if kept.
    overhead : OverheadReport or None
        What the same load costs on a predict that does nothing; None where several
        processes loaded the point together.
    load : LoadReport or None
        How load was brought; None in results of older versions.
    parts : list of PointPart
        What each process did, if several loaded the point together; the figures above
        are then of all of them.
    blocks : list of LatencyBlock
        The window in at most 64 blocks of time, which intervals are computed from.
    statistics : RunStatistics or None
        How sure the figures are; None: no query was answered.
    client_kind, predict_path, path_reason : str
        What asked the queries, which thread called `predict`, and why so; empty in
        results of older versions and of several processes.
    resources : ResourceReport or None
        What it used of the machine; None where several processes loaded it.
    affinity : str or None
        Where threads were to be held, such as ``"loop=0,predict=1"``; None: anywhere.
    threads : list of ThreadGroup
        Where the worker's threads were allowed to run, as read back from the kernel,
        and what they used of the window; empty where several processes loaded it.
    hand_over : HandOverReport or None
        How threads waited for each other; None in lanes, where they do not, and where
        several processes loaded it.
    inputs : InputReport or None
        What the backend copied of its inputs; None where it does not tell.
    """

    batch_size: _Size
    clients: int
    iterations: int
    point_seconds: float | None
    max_batch: int
    max_delay_us: int
    predict_threads: int
    query_count: int
    sample_count: int
    failed_count: int
    ended_by: str
    window_ns: int
    throughput_samples_per_s: float
    throughput_queries_per_s: float
    latency: Distribution
    schedule_lag: Distribution
    queue_wait: Distribution
    gather: Distribution
    service: Distribution
    wakeup: Distribution
    mean_batch_samples: float
    batch_sample_counts: dict[_SizeText, _Size]
    view_count: int
    gather_count: int
    peak_queued: int
    cpu_percent: float
    peak_rss_bytes: int
    voluntary_switches: int
    involuntary_switches: int
    load_ns: int
    loaded_batch_size: int
    event_loop: str
    warm_up: WarmUpReport
    series: list[SeriesSecond] = []
    invalid_reasons: list[str] = []
    warnings: list[str] = []
    errors: list[str] = []
    timeline_file: str | None = None
    window_start_ns: int = 0
    parts: list[PointPart] = []
    load: LoadReport | None = None
    blocks: list[LatencyBlock] = []
    statistics: RunStatistics | None = None
    overhead: OverheadReport | None = None
    client_kind: str = ""
    predict_path: str = ""
    path_reason: str = ""
    resources: ResourceReport | None = None
    affinity: str | None = None
    threads: list[ThreadGroup] = []
    hand_over: HandOverReport | None = None
    inputs: InputReport | None = None


class SkippedPoint(msgspec.Struct, frozen=True):
    """A batch size that was not measured, and why."""

    batch_size: int
    reason: str
    predicted_batch_ns: int | None = None
