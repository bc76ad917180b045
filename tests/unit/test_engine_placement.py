"""Who gets which cores, memory nodes and devices."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bytemlperf.engine.placement import (
    Core,
    read_cores,
    share_cores,
    share_devices,
    share_out,
)

# Two nodes of four physical cores with two threads each, numbered as Linux often does.
MACHINE = [
    Core(node, physical, number)
    for node in (0, 1)
    for physical in range(4 * node, 4 * node + 4)
    for number in (physical, physical + 8)
]


def numbers(shares):
    return [tuple(sorted(core.number for core in share)) for share in shares]


@given(st.integers(1, 50), st.integers(0, 500))
def test_shares_are_even_and_complete(parts, more):
    """They sum up, none is empty, and no two differ by more than one."""
    shares = share_out(parts + more, parts)
    assert sum(shares) == parts + more
    assert len(shares) == parts
    assert min(shares) >= 1
    assert max(shares) - min(shares) <= 1


@pytest.mark.parametrize(
    ("parts", "shares"),
    [
        (1, [tuple(range(16))]),
        (2, [(0, 1, 2, 3, 8, 9, 10, 11), (4, 5, 6, 7, 12, 13, 14, 15)]),
        (3, [(0, 1, 8, 9), (2, 3, 10, 11), (4, 5, 6, 7, 12, 13, 14, 15)]),
        (4, [(0, 1, 8, 9), (2, 3, 10, 11), (4, 5, 12, 13), (6, 7, 14, 15)]),
        (8, [(0, 8), (1, 9), (2, 10), (3, 11), (4, 12), (5, 13), (6, 14), (7, 15)]),
        (17, [()] * 17),
    ],
)
def test_parts_keep_to_a_node_and_to_whole_cores(parts, shares):
    """Neighbouring numbers would give a part another one's hyper-threads."""
    assert numbers(share_cores(MACHINE, parts)) == shares


@given(
    st.lists(
        st.builds(Core, st.integers(0, 3), st.integers(0, 9), st.integers(0, 99)),
        min_size=1,
        max_size=40,
        unique_by=lambda core: core.number,
    ),
    st.integers(1, 12),
)
def test_every_core_belongs_to_one_part(cores, parts):
    """None is lost, none is given twice, and none of the parts is left without."""
    shares = share_cores(sorted(cores), parts)
    assert len(shares) == parts
    if len(cores) < parts:
        assert shares == [()] * parts
        return
    assert sorted(core for share in shares for core in share) == sorted(cores)
    assert all(shares)
    if parts >= len({core.node for core in cores}):
        assert all(len({core.node for core in share}) == 1 for share in shares)


def test_the_kernel_is_asked(tmp_path: Path):
    """Nodes and threads of one core are read; what is not there is one node."""
    for node, cores in enumerate(["0,2", "1,3"]):
        folder = tmp_path / "node" / f"node{node}"
        folder.mkdir(parents=True)
        (folder / "cpulist").write_text(cores + "\n")
    for number in range(4):
        folder = tmp_path / "cpu" / f"cpu{number}" / "topology"
        folder.mkdir(parents=True)
        (folder / "thread_siblings_list").write_text(f"{number % 2},{number % 2 + 2}")
    assert read_cores([0, 1, 2, 3], tmp_path) == [
        Core(0, 0, 0), Core(0, 0, 2), Core(1, 1, 1), Core(1, 1, 3),
    ]  # fmt: skip
    assert read_cores([5], tmp_path / "absent") == [Core(0, 5, 5)]


@pytest.mark.parametrize(
    ("visible", "parts", "shares"),
    [
        ("0,1,2,3", 2, ["0,1", "2,3"]),
        ("4,5,6", 2, ["4,5", "6"]),
        ("0,1", 3, ["0", "1", "0"]),
        ("GPU-8f,GPU-2a", 2, ["GPU-8f", "GPU-2a"]),
        ("-1", 2, ["-1", "-1"]),
    ],
)
def test_devices_are_shared_out(visible, parts, shares):
    """Each device to one part, or one in turn to each if there are too few."""
    found = share_devices({"CUDA_VISIBLE_DEVICES": visible, "HOME": "1,2"}, parts)
    assert found == [{"CUDA_VISIBLE_DEVICES": share} for share in shares]


def test_devices_that_nobody_named_are_left_alone():
    """Not set, or set to nothing (which hides all), passes through as it is."""
    assert share_devices({"CUDA_VISIBLE_DEVICES": ""}, 2) == [{}, {}]
    assert share_devices({}, 2) == [{}, {}]
