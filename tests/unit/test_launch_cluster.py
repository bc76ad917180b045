"""What needs no cluster: clocks, record streams, and putting shares together."""

from __future__ import annotations

from types import SimpleNamespace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from recording_observer import RecordingObserver
from support.sample_results import make_point

from bytemlperf.cli.options import Cluster
from bytemlperf.engine.messages import Warned
from bytemlperf.engine.point import distribution
from bytemlperf.errors import ConfigError
from bytemlperf.launch.cluster import run_cluster_session
from bytemlperf.launch.cluster.follow import RecordStream
from bytemlperf.launch.cluster.spread import merge_hosts
from bytemlperf.launch.cluster.view import estimate_offset
from bytemlperf.launch.journal import Journal
from bytemlperf.launch.request import SessionRequest
from bytemlperf.report.schema import Point
from bytemlperf.runtime import Histogram
from bytemlperf.workloads import Workload, WorkloadFile


@given(
    st.integers(-(10**15), 10**15),
    st.lists(
        st.tuples(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**9)),
        min_size=1,
        max_size=20,
    ),
)
def test_the_offset_is_within_half_a_round_trip(offset_ns, exchanges):
    """However unevenly the way there and back take their time."""
    pings = [
        (start, start + there + offset_ns, start + there + back)
        for there, back, start in exchanges
    ]
    estimate_ns, round_trip_ns = estimate_offset(pings)
    assert round_trip_ns == min(there + back for there, back, _ in exchanges)
    assert abs(estimate_ns - offset_ns) <= round_trip_ns / 2 + 1


@given(st.lists(st.integers(1, 40), max_size=40))
def test_records_arrive_whole_from_any_pieces(tmp_path_factory, cuts):
    """A piece may end in the middle of a record, or of its length."""
    path = tmp_path_factory.mktemp("journal") / "journal.bin"
    records = [Warned("one"), Warned("two " * 20), Warned("")]
    with Journal.open(path) as journal:
        for record in records:
            journal.append(record)
    raw = path.read_bytes()
    stream, got = RecordStream(), []
    for cut in [*cuts, len(raw)]:
        got += stream.feed(raw[:cut])
        raw = raw[cut:]
    assert got == records


def point(start_ns: int, window_ns: int, count: int) -> Point:
    return msgspec.structs.replace(
        make_point(4, query_count=count),
        clients=2,
        sample_count=4 * count,
        window_start_ns=start_ns,
        window_ns=window_ns,
        latency=distribution(Histogram.from_values([10**6] * count)),
    )


def test_hosts_are_put_on_one_clock():
    """The second host's clock is 1 s ahead, and it began 1 ms later."""
    second = 10**9
    hosts = [
        SimpleNamespace(name="a", offset_ns=0),
        SimpleNamespace(name="b", offset_ns=second),
    ]
    merged = merge_hosts(
        [
            point(5 * second, second, 100),
            point(6 * second + 10**6, second, 50),
        ],
        hosts,
        clients=4,
        min_queries=7,
    )
    assert merged.window_ns == second + 10**6
    assert merged.query_count == 150
    assert [(part.host, part.start_offset_ns) for part in merged.parts] == [
        ("a", 0),
        ("b", 10**6),
    ]
    assert merged.throughput_samples_per_s == pytest.approx(600 / 1.001)


@pytest.mark.parametrize("given", [{"address": "x:1"}, {"spread": True}])
def test_a_cluster_without_its_launcher_is_refused(given):
    """An option that would be ignored is an error."""
    with pytest.raises(ConfigError, match="the launcher is local"):
        Cluster(**given).check()


def test_an_open_loop_is_not_spread(tmp_path):
    """Every machine would load at the whole rate; refused before Ray is looked for."""
    workload = Workload(model="m", scenario="server", rate=5.0)
    request = SessionRequest(
        tasks=(WorkloadFile("t", tmp_path / "t.json", "f", workload),),
        hardware_types=("NULL",),
        out_dir=tmp_path / "out",
        cache_dir=tmp_path / "cache",
    )
    with pytest.raises(ConfigError, match="open loop server has none"):
        run_cluster_session(request, RecordingObserver(), spread=True)
    assert not (tmp_path / "out").exists()
