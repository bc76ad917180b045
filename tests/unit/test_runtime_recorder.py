"""Histograms as values: percentiles, the V2 form, merging."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hdrh.histogram import HdrHistogram
from hypothesis import given, settings
from hypothesis import strategies as st

from bytemlperf.errors import ConfigError
from bytemlperf.runtime import Histogram

HOUR_NS = 3600 * 10**9
VALUES = st.lists(
    st.one_of(st.integers(0, 10_000), st.integers(0, HOUR_NS)), min_size=1, max_size=80
)
EXACT = settings(max_examples=80, deadline=None, derandomize=True)


@EXACT
@given(VALUES, st.sampled_from([0, 1, 10, 25, 50, 90, 95, 99, 99.9, 99.99, 100]))
def test_percentile_is_the_nearest_rank(values, percentile):
    """A percentile is the nearest rank of the sorted list, to 3 significant digits."""
    ordered = sorted(values)
    rank = max(1, math.ceil(Fraction(str(percentile)) * len(ordered) / 100))
    exact = ordered[rank - 1]
    came = Histogram.from_values(values).percentile(percentile)
    assert exact <= came <= exact * 1.001
    assert came <= max(values)


def test_percentile_ranks_are_decimal():
    """99.9 % of 1000 values is the 999th, though in binary it is a little more."""
    histogram = Histogram.from_values(range(1, 1001))
    assert histogram.percentile(99.9) == 999
    assert histogram.percentile(100) == 1000
    assert histogram.percentile(0) == 1


@EXACT
@given(VALUES)
def test_v2_text_is_hdrhistograms_own(values):
    """Encoding is byte for byte what the package writes, and either reads the other."""
    theirs = HdrHistogram(1, HOUR_NS, 3)
    for value in values:
        theirs.record_value(value)
    ours = Histogram.from_values(values)
    text = ours.encode()
    assert text == theirs.encode().decode()
    assert HdrHistogram.decode(text).get_total_count() == len(values)
    again = Histogram.decode(text)
    assert again == ours
    assert again.count == ours.count
    assert again.percentile(50) == pytest.approx(ours.percentile(50), rel=1e-3)
    assert again.mean == pytest.approx(ours.mean, rel=1e-3, abs=1)
    assert again.encode() == text


@EXACT
@given(VALUES, VALUES)
def test_merge_equals_recording_both(left, right):
    """Merged histograms are the histogram of all the values."""
    merged = Histogram.from_values(left).merge(Histogram.from_values(right))
    both = Histogram.from_values(left + right)
    assert merged == both
    assert (merged.min, merged.max, merged.count) == (both.min, both.max, both.count)
    assert merged.mean == both.mean == sum(left + right) / len(left + right)


def test_merge_with_nothing():
    """An empty histogram adds nothing, not even a minimum of zero."""
    empty, some = Histogram.from_values([]), Histogram.from_values([7, 9])
    assert empty.merge(some).min == some.merge(empty).min == 7


def test_overflow_is_carried():
    """Clamped values are counted, and stay counted when merged."""
    over = Histogram.from_values([HOUR_NS + 1, 5])
    assert over.overflow_count == 1
    assert over.max == HOUR_NS
    assert over.merge(over).overflow_count == 2


def test_no_values_have_no_percentile():
    """Asking an empty histogram for a number is an error, not a zero."""
    empty = Histogram.from_values([])
    with pytest.raises(ConfigError, match="no values to take percentile 99 of"):
        empty.percentile(99)
    with pytest.raises(ConfigError, match="no values to take the mean of"):
        _ = empty.mean
    with pytest.raises(ConfigError, match="0 to 100, not 101"):
        empty.percentile(101)
    assert Histogram.decode(empty.encode()).count == 0


@pytest.mark.parametrize("text", ["", "zzzz", "HISTFAAAAAB42pNp"])
def test_decode_refuses_garbage(text):
    """What is no histogram is refused as such."""
    with pytest.raises(ConfigError, match="could not be decoded"):
        Histogram.decode(text)


def test_decode_refuses_another_layout():
    """A histogram of another range cannot pass for ours."""
    other = HdrHistogram(1, 1000, 2)
    other.record_value(5)
    with pytest.raises(ConfigError, match=r"are \(1, 1000, 2\), expected"):
        Histogram.decode(other.encode())


def test_repr_and_hash():
    """A repr shows the range; a histogram is compared by value and not hashed."""
    histogram = Histogram.from_values(np.array([3, 4]))
    assert repr(histogram) == "<Histogram [2 values | 3..4 ns]>"
    assert histogram != "text"
    with pytest.raises(TypeError, match="unhashable"):
        hash(histogram)


def test_a_maximum_that_is_not_so_harms_nobody():
    """The native encoder would read behind the cells, or leave some out."""
    honest = Histogram.from_values([1, 10**6, 10**9])
    for maximum in (0, 10**6, 2**62):
        liar = Histogram(honest.counts, min=1, max=maximum, total=None)
        assert liar.encode() == honest.encode()
