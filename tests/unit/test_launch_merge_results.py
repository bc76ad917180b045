"""Results measured by hand on several machines become one, or are refused."""

from __future__ import annotations

import msgspec
import pytest
from support.sample_results import make_point, make_result

from bytemlperf.engine.point import distribution
from bytemlperf.errors import ConfigError
from bytemlperf.launch.merge_results import merge_results
from bytemlperf.report.schema import TaskResult
from bytemlperf.runtime import Histogram
from bytemlperf.workloads import Workload


def share(values_ns: list[int], *sizes: int) -> TaskResult:
    points = [
        msgspec.structs.replace(
            make_point(size, query_count=len(values_ns)),
            sample_count=size * len(values_ns),
            window_ns=10**9,
            latency=distribution(Histogram.from_values(values_ns)),
        )
        for size in sizes
    ]
    workload = msgspec.to_builtins(Workload(model="bert-torch-fp32"))
    return msgspec.structs.replace(make_result(), workload=workload, points=points)


def test_shares_add_up():
    """Clients, queries and throughput are sums; percentiles are of all values."""
    one, two = share([1000] * 60, 4, 8), share([3000] * 40, 4)
    merged = merge_results([one, two])
    assert [point.batch_size for point in merged.points] == [4]
    (point,) = merged.points
    assert point.query_count == 100
    assert point.throughput_samples_per_s == pytest.approx(400)
    assert point.latency.p50_ns == distribution(Histogram.from_values([1000])).p50_ns
    assert point.latency.max_ns == 3000
    assert [part.host for part in point.parts] == ["result 1", "result 2"]
    assert merged.workload["clients"] == 2 * one.workload["clients"]
    assert any("batch sizes 8 are not in every" in text for text in merged.warnings)
    assert any("by hand" in text for text in merged.warnings)


def test_different_things_are_refused():
    """Every field that differs is named."""
    one = share([1000] * 60, 4)
    other = msgspec.structs.replace(
        share([1000] * 60, 4), task="another", hardware_type="GPU"
    )
    with pytest.raises(ConfigError, match=r"task is .* hardware_type is"):
        merge_results([one, other])
    with pytest.raises(ConfigError, match="at least two"):
        merge_results([one])


@pytest.mark.parametrize(
    ("workload", "message"),
    [
        ({"scenario": "server", "rate": 5.0, "clients": 3}, "open loop server"),
        ({"clients": "many"}, "expected a whole number"),
        ({}, "expected a whole number"),
    ],
)
def test_what_has_no_clients_is_not_added_up(workload, message):
    """A rate of each is not the rate of all that the points would state."""
    one = msgspec.structs.replace(share([1000] * 60, 4), workload=workload)
    with pytest.raises(ConfigError, match=message):
        merge_results([one, one])
