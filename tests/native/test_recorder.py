"""The native recorder against the hdrhistogram package, value by value."""

from __future__ import annotations

import numpy as np
import pytest
from hdrh.histogram import HdrHistogram
from hypothesis import given, settings
from hypothesis import strategies as st

from bytemlperf._native.recorder import (
    CELL_COUNT,
    HIGHEST_TRACKABLE_NS,
    LOWEST_NS,
    SIGNIFICANT_DIGITS,
    Recorder,
    unpacked_cells,
)
from bytemlperf.errors import ConfigError

VALUES = st.one_of(
    st.integers(0, 5000),
    st.integers(0, HIGHEST_TRACKABLE_NS),
    st.sampled_from(
        [2**k + d for k in range(42) for d in (-1, 0, 1)
         if 0 <= 2**k + d <= HIGHEST_TRACKABLE_NS]
    ),
)  # fmt: skip


def cells_of(recorder):
    return np.frombuffer(recorder.counts(), dtype=np.int64)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(VALUES, min_size=1, max_size=50))
def test_same_cells_as_hdrhistogram(values):
    """Every value in range falls into the very cell hdrhistogram puts it into."""
    theirs = HdrHistogram(LOWEST_NS, HIGHEST_TRACKABLE_NS, SIGNIFICANT_DIGITS)
    ours = Recorder()
    for value in values:
        assert theirs.record_value(value)
        ours.record(value)
    assert theirs.counts_len == CELL_COUNT
    assert np.array_equal(cells_of(ours), np.array(theirs.counts, dtype=np.int64))
    assert ours.total_count == len(values)
    assert (ours.min_ns, ours.max_ns) == (min(values), max(values))
    assert ours.sum_ns == sum(values)
    assert ours.overflow_count == 0


def test_values_out_of_range_are_clamped_and_counted():
    """Hdrhistogram drops them silently; here they stay, at the edge, and are told."""
    recorder = Recorder()
    recorder.record(-5)
    recorder.record(HIGHEST_TRACKABLE_NS)
    recorder.record(HIGHEST_TRACKABLE_NS + 1, 3)
    assert recorder.total_count == 5
    assert recorder.overflow_count == 4
    assert (recorder.min_ns, recorder.max_ns) == (0, HIGHEST_TRACKABLE_NS)
    assert repr(recorder) == "<Recorder [5 values | 4 overflowed]>"


def test_sum_does_not_wrap():
    """A sum beyond 64 bits of nanoseconds is still exact."""
    recorder = Recorder()
    count = 10**8
    recorder.record(HIGHEST_TRACKABLE_NS, count)
    recorder.record(3)
    assert recorder.sum_ns == HIGHEST_TRACKABLE_NS * count + 3


def test_rank_and_reset():
    """Ranks count from one; after a reset there are none."""
    recorder = Recorder()
    recorder.record_many(np.array([10, 20, 30], dtype=np.int64))
    assert [recorder.at_rank(rank) for rank in (1, 2, 3)] == [10, 20, 30]
    recorder.reset()
    with pytest.raises(ConfigError, match=r"rank 1 is not in 1\.\.0"):
        recorder.at_rank(1)
    with pytest.raises(ConfigError, match="not 0 times"):
        recorder.record(1, 0)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    st.lists(
        st.tuples(st.integers(0, HIGHEST_TRACKABLE_NS), st.integers(1, 2**40)),
        max_size=50,
    )
)
def test_packed_cells_are_all_cells(counted):
    """However large a step or a count: what was packed comes out, in order."""
    recorder = Recorder()
    for value, count in counted:
        recorder.record(value, count)
    cells = cells_of(recorder)
    filled = np.flatnonzero(cells)
    pairs = np.frombuffer(unpacked_cells(recorder.packed()), np.int64).reshape(-1, 2)
    assert np.array_equal(pairs[:, 0], filled)
    assert np.array_equal(pairs[:, 1], cells[filled])
