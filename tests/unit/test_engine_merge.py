"""Points of several processes: the whole is exactly what one recorder would say."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.sample_results import make_point

from bytemlperf.engine.merge import merge_points
from bytemlperf.engine.merge_distributions import merge_distributions
from bytemlperf.engine.placement import Placement
from bytemlperf.engine.point import distribution
from bytemlperf.engine.validity import invalid_reasons
from bytemlperf.errors import ConfigError
from bytemlperf.report.schema import Point
from bytemlperf.runtime import Histogram


def point(values_ns: list[int], window_ns: int, **fields: object) -> Point:
    taken = distribution(Histogram.from_values(values_ns))
    made = make_point(4, query_count=len(values_ns))
    return msgspec.structs.replace(
        made,
        sample_count=4 * len(values_ns),
        latency=taken,
        window_ns=window_ns,
        batch_sample_counts={"4": len(values_ns)},
        **fields,
    )


@given(st.lists(st.lists(st.integers(1, 10**10), min_size=1), min_size=1, max_size=4))
def test_merged_histograms_are_those_of_all_values(parts):
    """Byte for byte, and the extremes and the mean too."""
    everything = [value for part in parts for value in part]
    merged = merge_distributions(
        [distribution(Histogram.from_values(part)) for part in parts]
    )
    whole = distribution(Histogram.from_values(everything))
    assert merged.hdr_v2_base64 == whole.hdr_v2_base64
    assert (merged.count, merged.min_ns, merged.max_ns) == (
        whole.count,
        whole.min_ns,
        whole.max_ns,
    )
    assert merged.p99_ns == whole.p99_ns
    assert merged.mean_ns == pytest.approx(np.mean(everything))


def test_an_idle_part_adds_nothing():
    """A process whose clients never got an answer has an empty histogram."""
    empty = distribution(Histogram.from_values([]))
    busy = distribution(Histogram.from_values([5, 6]))
    assert merge_distributions([empty, busy]).count == 2
    assert merge_distributions([empty, empty]) == empty


def test_the_window_is_from_the_first_start_to_the_last_end():
    """100 + 50 queries of 4 samples in 2.5 s are 240 samples a second."""
    merged = merge_points(
        [
            point([1000] * 100, 2_000_000_000, window_start_ns=10**12),
            point([3000] * 50, 1_500_000_000, window_start_ns=10**12 + 10**9),
        ],
        placements=[Placement((0,)), Placement((1,))],
        clients=3,
        min_queries=7,
    )
    assert merged.window_ns == 2_500_000_000
    assert merged.throughput_samples_per_s == pytest.approx(240.0)
    assert merged.throughput_queries_per_s == pytest.approx(60.0)
    assert merged.batch_sample_counts == {"4": 150}
    assert merged.mean_batch_samples == 4
    assert [part.start_offset_ns for part in merged.parts] == [0, 10**9]
    assert [part.query_count for part in merged.parts] == [100, 50]
    assert any("only 40% of the window" in text for text in merged.warnings)


def test_the_verdict_is_of_the_whole():
    """Two parts with too few queries each may together have enough."""
    few = [point([1000] * 4, 10**9), point([1000] * 4, 10**9)]
    arguments = {"placements": [Placement()] * 2, "clients": 2}
    enough = merge_points(few, min_queries=8, **arguments)
    short = merge_points(few, min_queries=9, **arguments)
    assert not any("too few" in text for text in enough.invalid_reasons)
    assert any("8 of at least 9" in text for text in short.invalid_reasons)


def share(lag_ns: int = 1000, failed_count: int = 0) -> Point:
    """40 queries of 1 ms, each so late."""
    late = distribution(Histogram.from_values([lag_ns] * 40))
    return point(
        [10**6] * 40,
        10**9,
        failed_count=failed_count,
        schedule_lag=late,
        wakeup=distribution(Histogram.from_values([1000] * 40)),
    )


WROTE = "NULL.predict wrote to its input 'x' (row 3 has changed)"


@pytest.mark.parametrize(
    "own", [WROTE, "a query failed in the warm-up: OSError: lost", "harness-limited: x"]
)
def test_what_a_part_found_for_itself_is_kept(own):
    """No sum takes back an input that was written to: the part is named."""
    shares = [share(), share()]
    shares[1] = msgspec.structs.replace(shares[1], invalid_reasons=[own])
    arguments = {"placements": [Placement()] * 2, "clients": 2, "min_queries": 8}
    merged = merge_points(shares, **arguments)
    assert merged.invalid_reasons == [f"process 1: {own}"]
    # And once more, of what is itself of several processes.
    machines = merge_points([shares[0], merged], **arguments, names=["here", "there"])
    assert machines.invalid_reasons == [f"there: process 1: {own}"]


def test_a_warning_is_of_the_part_that_gave_it_unless_all_did():
    """A leak in one process is not one in each; what all say is said once."""
    leak, busy = "NULL: memory grew throughout the point", "service had not settled"
    shares = [
        msgspec.structs.replace(share(), warnings=[busy]),
        msgspec.structs.replace(share(), warnings=[leak, busy]),
    ]
    merged = merge_points(
        shares, placements=[Placement()] * 2, clients=2, min_queries=8
    )
    assert merged.warnings == [busy, f"process 1: {leak}"]


def test_what_the_figures_say_is_judged_on_the_sums():
    """Reasons that rules gave a part are of its figures: they are given anew, once."""
    shares = [
        msgspec.structs.replace(
            each,
            invalid_reasons=invalid_reasons(
                latency=each.latency,
                schedule_lag=each.schedule_lag,
                wakeup=each.wakeup,
                query_count=each.query_count,
                failed_count=each.failed_count,
                min_query_count=50,
                overflow_count=0,
            ),
        )
        for each in (share(), share(150_000, failed_count=2))
    ]
    assert [reason.partition(":")[0] for reason in shares[1].invalid_reasons] == [
        "2 of 42 queries failed", "too few queries", "harness-limited",
    ]  # fmt: skip
    merged = merge_points(
        shares, placements=[Placement()] * 2, clients=2, min_queries=50
    )
    assert merged.invalid_reasons == ["2 of 82 queries failed"]


def test_the_worst_end_is_the_end():
    """One part that failed makes the point a failed one."""
    ends = [
        point([1], 10, ended_by="iterations"),
        point([1], 10, ended_by="failed", failed_count=1),
        point([1], 10, ended_by="point_seconds"),
    ]
    merged = merge_points(ends, placements=[Placement()] * 3, clients=3, min_queries=1)
    assert merged.ended_by == "failed"
    assert merged.failed_count == 1


@pytest.mark.parametrize(
    "lie", [{"count": 4}, {"max_ns": 2**62}, {"min_ns": 0}, {"mean_ns": 1e300}]
)
def test_figures_that_are_not_of_their_histogram_are_refused(lie):
    """A damaged file is no measurement."""
    good = distribution(Histogram.from_values([1000, 2000, 3000]))
    with pytest.raises(ConfigError, match="stands beside"):
        merge_distributions([good, msgspec.structs.replace(good, **lie)])
