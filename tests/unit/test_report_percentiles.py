"""Percentiles are printed only where there are samples for them."""

from __future__ import annotations

import pytest

from bytemlperf.report.percentiles import min_count, shown_percentile


@pytest.mark.parametrize(
    ("percentile", "count"), [(50, 7), (90, 44), (99, 459), (99.9, 4603)]
)
def test_the_published_minimum_counts(percentile: float, count: int) -> None:
    """ceil(ln 0.01 / ln p), by hand."""
    assert min_count(percentile) == count


@pytest.mark.parametrize("percentile", [50, 75, 90, 95, 99, 99.9, 99.99])
def test_the_minimum_is_the_smallest_that_holds(percentile: float) -> None:
    """With n samples the largest one exceeds the percentile in 99 % of runs."""
    share = percentile / 100
    needed = min_count(percentile)
    assert 1 - share**needed >= 0.99
    assert 1 - share ** (needed - 1) < 0.99


def test_too_few_samples_are_said_instead_of_a_number() -> None:
    """The boundary is inclusive."""
    assert shown_percentile("12.3 ms", 99, 459) == "12.3 ms"
    assert shown_percentile("12.3 ms", 99, 458) == "n<459"
    assert shown_percentile("12.3 ms", 50, 1) == "n<7"
    assert shown_percentile("0 ns", 50, 0) == "-"


@pytest.mark.parametrize(("percentile", "confidence"), [(0, 0.9), (100, 0.9), (50, 1)])
def test_nonsense_is_refused(percentile: float, confidence: float) -> None:
    """The 100th percentile has no sample size."""
    with pytest.raises(
        ValueError, match=r"expected a (percentile above|confidence in)"
    ):
        min_count(percentile, confidence)
