"""Signed octaves and units of last place, by hand and against numpy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bytemlperf.quality import Octave, compare_outputs
from bytemlperf.quality.difference_bins import OctaveCounts, float32_ulps


def counted(*differences):
    counts = OctaveCounts()
    for each in differences:
        counts.add(np.asarray(each, np.float64))
    return counts.freeze()


def test_powers_of_two_begin_an_octave():
    """2^e is in octave e, the number just below it is not."""
    below_one = np.nextafter(1.0, 0.0)
    bins = counted([0.0, -0.0, 1.0, below_one, 1.5, -2.0, -3.99, 5e-324])
    assert bins.zero_count == 2
    assert bins.above == (Octave(-1074, 1), Octave(-1, 1), Octave(0, 2))
    assert bins.below == (Octave(1, 2),)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=30))
def test_every_difference_is_in_its_octave(values):
    """Counts add up, whole or in parts, and bounds hold exactly."""
    bins = counted(values)
    half = len(values) // 2
    first, second = OctaveCounts(), OctaveCounts()
    first.add(np.array(values[:half]))
    second.add(np.array(values[half:]))
    first.merge(second)
    assert first.freeze() == bins
    for side, sign in ((bins.above, 1), (bins.below, -1)):
        for octave in side:
            inside = [
                v for v in values if v * sign > 0
                and 2.0**octave.exponent <= abs(v)
                and (octave.exponent == 1023 or abs(v) < 2.0 ** (octave.exponent + 1))
            ]  # fmt: skip
            assert len(inside) == octave.count
    total = bins.zero_count + sum(o.count for o in (*bins.above, *bins.below))
    assert total == len(values)


def test_neighbouring_float32_numbers_are_one_unit_apart():
    """As numpy's spacing says, at any size; half a unit stays half."""
    a = np.array([1.0, 1.5, 3.0, 1e-3, 7e8, 1e-40, 0.0], np.float32)
    up = np.nextafter(a, np.float32(np.inf))
    assert float32_ulps(a.astype(float), up.astype(float)).tolist() == [1.0] * 7
    middle = (a.astype(float) + up.astype(float)) / 2
    assert float32_ulps(a.astype(float), middle).tolist() == [0.5] * 7


def test_the_comparison_reports_both():
    """Of four elements one is equal, one below by 2 units, one above, one NaN."""
    reference = np.array([[1.0], [1.0], [1.0], [1.0]])
    step = 2.0**-23
    actual = np.array([[1.0], [1.0 - 2 * step], [1.0 + step], [np.nan]])
    ids = np.arange(4)
    found = compare_outputs(
        {"y": reference}, {"y": actual}, reference_ids=ids, actual_ids=ids
    ).overall
    assert found.max_ulp == 2.0
    assert found.mean_ulp == pytest.approx(1.0)
    assert (found.p50_ulp, found.p99_ulp) == (1.0, 2.0)
    assert found.bins.zero_count == 1
    assert found.bins.below == (Octave(-22, 1),)
    assert found.bins.above == (Octave(-23, 1),)
