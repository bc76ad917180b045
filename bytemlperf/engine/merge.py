"""Points of several processes -> one point. Pure.

Input: what each process measured, and when its window began on the machine's one
monotonic clock. Output: a `Point` of all of them. Histograms are added cell by cell, so
that a percentile of the whole is exactly what one recorder would have said.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import reduce

import msgspec

from bytemlperf.engine.merge_distributions import merge_distributions
from bytemlperf.engine.merge_load import merge_load
from bytemlperf.engine.merge_reasons import merged_reasons
from bytemlperf.engine.placement import Placement
from bytemlperf.report.blocks import blocks_table
from bytemlperf.report.schema import (
    LatencyBlock,
    Point,
    PointPart,
    SeriesSecond,
    WarmUpReport,
)
from bytemlperf.runtime import Histogram
from bytemlperf.statistics.summary import RunStatistics, summarise

__all__ = ["merge_blocks", "merge_points", "resummarise"]

MIN_OVERLAP = 0.9


def merge_points(
    points: Sequence[Point],
    *,
    placements: Sequence[Placement],
    clients: int,
    min_queries: int,
    names: Sequence[str] | None = None,
) -> Point:
    """Put the shares of a point together.

    Parameters
    ----------
    points : sequence of Point
        One for each process, at least one; their `window_start_ns` is on one clock.
    placements : sequence of Placement
        Where each process ran.
    clients : int
        Of the whole point.
    min_queries : int
        Fewer completed queries are too few.
    names : sequence of str, optional
        What each part is called where a reason or a warning is its own; default:
        process 0, ...

    Returns
    -------
    Point
        Throughput is all samples over the window from the first part's first query to
        the last part's last answer. `invalid_reasons` are judged on the sums, and what
        a part found for itself is kept. `peak_rss_bytes`, `cpu_percent` and counters
        are sums; a second of `series` has the largest part's percentiles, for exact
        ones cannot be had from them.
    """
    first = points[0]
    called = names or [f"process {number}" for number in range(len(points))]
    busy = [index for index, point in enumerate(points) if point.query_count]
    starts_ns = [point.window_start_ns for point in points]
    start_ns = min((starts_ns[index] for index in busy), default=starts_ns[0])
    ends_ns = [starts_ns[index] + points[index].window_ns for index in busy]
    window_ns = max(ends_ns, default=start_ns) - start_ns
    queries = sum(point.query_count for point in points)
    samples = sum(point.sample_count for point in points)
    merged = {
        name: merge_distributions([getattr(point, name) for point in points])
        for name in (
            "latency", "schedule_lag", "queue_wait", "gather", "service", "wakeup",
        )
    }  # fmt: skip
    blocks = merge_blocks([point.blocks for point in points])
    statistics = resummarise(points, blocks, merged["latency"].max_ns)
    load = merge_load(points, queries / window_ns * 1e9 if window_ns else 0.0)
    # A load that changes by itself says nothing about what changes under it.
    changes = load is not None and load.scenario in ("offline", "ramp", "trace")
    batches: Counter[str] = Counter()
    for point in points:
        batches.update(point.batch_sample_counts)
    batch_count = sum(batches.values())
    failed = sum(point.failed_count for point in points)
    whole = msgspec.structs.replace(
        first,
        clients=clients,
        query_count=queries,
        sample_count=samples,
        failed_count=failed,
        ended_by=_ended_by(points),
        window_start_ns=start_ns,
        window_ns=window_ns,
        throughput_samples_per_s=samples / window_ns * 1e9 if window_ns else 0.0,
        throughput_queries_per_s=queries / window_ns * 1e9 if window_ns else 0.0,
        **merged,
        mean_batch_samples=(
            sum(int(size) * count for size, count in batches.items()) / batch_count
            if batch_count
            else 0.0
        ),
        batch_sample_counts=dict(batches),
        view_count=sum(point.view_count for point in points),
        gather_count=sum(point.gather_count for point in points),
        peak_queued=sum(point.peak_queued for point in points),
        cpu_percent=_cpu_percent(points, window_ns),
        peak_rss_bytes=sum(point.peak_rss_bytes for point in points),
        voluntary_switches=sum(point.voluntary_switches for point in points),
        involuntary_switches=sum(point.involuntary_switches for point in points),
        load_ns=max(point.load_ns for point in points),
        warm_up=WarmUpReport(
            query_count=sum(point.warm_up.query_count for point in points),
            duration_ns=max(point.warm_up.duration_ns for point in points),
            settled=all(point.warm_up.settled for point in points),
            service=merge_distributions([point.warm_up.service for point in points]),
        ),
        series=_merge_series(points),
        load=load,
        blocks=blocks,
        statistics=statistics,
        resources=None,
        threads=[],
        hand_over=None,
        overhead=None,
        inputs=None,
        warnings=_warnings(points, called, starts_ns, busy, window_ns),
        timeline_file=None,
        errors=[error for point in points for error in point.errors],
        parts=[
            PointPart(
                cores=list(held.cores),
                clients=point.clients,
                query_count=point.query_count,
                sample_count=point.sample_count,
                failed_count=point.failed_count,
                start_offset_ns=began_ns - start_ns if point.query_count else 0,
                window_ns=point.window_ns,
                throughput_samples_per_s=point.throughput_samples_per_s,
                latency=point.latency,
                timeline_file=point.timeline_file,
                nodes=list(held.nodes),
                devices=held.devices,
            )
            for point, began_ns, held in zip(points, starts_ns, placements, strict=True)
        ],
    )
    return msgspec.structs.replace(
        whole,
        invalid_reasons=merged_reasons(
            whole,
            points,
            called,
            min_queries=min_queries,
            statistics=None if changes else statistics,
        ),
    )


def merge_blocks(parts: Sequence[Sequence[LatencyBlock]]) -> list[LatencyBlock]:
    """Add the blocks of parts that began together.

    Parameters
    ----------
    parts : sequence of sequence of LatencyBlock
        Of each part, from its start.

    Returns
    -------
    list of LatencyBlock
        As long as the longest blocks of any part, which are a power of two times the
        shorter ones; empty if a part has none.
    """
    if not all(parts):
        return []
    length_ns = max(blocks[0].duration_ns for blocks in parts)
    groups: dict[int, list[LatencyBlock]] = {}
    for blocks in parts:
        for block in blocks:
            groups.setdefault(block.start_ns // length_ns, []).append(block)
    return [
        LatencyBlock(
            start_ns=index * length_ns,
            duration_ns=max(block.start_ns + block.duration_ns for block in group)
            - index * length_ns,
            query_count=sum(block.query_count for block in group),
            sum_ns=sum(block.sum_ns for block in group),
            hdr_v2_base64=_add_texts([block.hdr_v2_base64 for block in group]),
        )
        for index, group in sorted(groups.items())
    ]


def resummarise(
    points: Sequence[Point], blocks: Sequence[LatencyBlock], max_ns: int
) -> RunStatistics | None:
    """Say of blocks put together what was said of each of the points they come from.

    Parameters
    ----------
    points : sequence of Point
        The first one that has statistics says which.
    blocks : sequence of LatencyBlock
        All of theirs.
    max_ns : int
        Largest latency.

    Returns
    -------
    RunStatistics or None
        None if there are no blocks, or no point has any.
    """
    said = next((each.statistics for each in points if each.statistics), None)
    if said is None or not blocks:
        return None
    return summarise(
        blocks_table(blocks, max_ns),
        samples_per_query=query_samples(points[0]),
        percentiles=[each.percentile for each in said.percentiles],
        slos=[judgement.slo for judgement in said.slos],
    )


def query_samples(point: Point) -> int:
    """Return the samples of a query; a result without `load` says it by batch size."""
    return point.load.samples_per_query if point.load else point.batch_size


def _add_texts(texts: Sequence[str]) -> str:
    filled = [Histogram.decode(text) for text in texts if text]
    return reduce(Histogram.merge, filled).encode() if filled else ""


def _ended_by(points: Sequence[Point]) -> str:
    """Return the worst end of any part."""
    ends = {point.ended_by for point in points}
    for end in ("failed", "point_seconds"):
        if end in ends:
            return end
    return points[0].ended_by


def _cpu_percent(points: Sequence[Point], window_ns: int) -> float:
    if not window_ns:
        return 0.0
    return sum(point.cpu_percent * point.window_ns for point in points) / window_ns


def _merge_series(points: Sequence[Point]) -> list[SeriesSecond]:
    seconds: dict[int, list[SeriesSecond]] = {}
    for point in points:
        for entry in point.series:
            seconds.setdefault(entry.second, []).append(entry)
    return [
        SeriesSecond(
            second=second,
            sample_count=sum(entry.sample_count for entry in entries),
            p50_ns=max(entry.p50_ns for entry in entries),
            p99_ns=max(entry.p99_ns for entry in entries),
            max_ns=max(entry.max_ns for entry in entries),
        )
        for second, entries in sorted(seconds.items())
    ]


def _warnings(
    points: Sequence[Point],
    names: Sequence[str],
    starts_ns: Sequence[int],
    busy: Sequence[int],
    window_ns: int,
) -> list[str]:
    """Keep what the parts warn of, and add what only the whole shows."""
    said_by = Counter(text for point in points for text in set(point.warnings))
    texts = list(
        dict.fromkeys(
            text if said_by[text] == len(points) else f"{name}: {text}"
            for point, name in zip(points, names, strict=True)
            for text in point.warnings
        )
    )
    if window_ns and len(busy) > 1:
        common_ns = min(
            starts_ns[index] + points[index].window_ns for index in busy
        ) - max(starts_ns[index] for index in busy)
        share = max(0, common_ns) / window_ns
        if share < MIN_OVERLAP:
            texts.append(
                f"the processes ran all together for only {share:.0%} of the window"
            )
    return texts
