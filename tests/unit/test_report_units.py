"""Numbers as people read them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bytemlperf.report.units import (
    format_bytes,
    format_count,
    format_duration_ns,
    format_rate,
    format_ratio,
    format_seconds,
)


@pytest.mark.parametrize(
    ("duration_ns", "text"),
    [
        (0, "0 ns"),
        (999, "999 ns"),
        (999.6, "1.00 us"),
        (12_345, "12.3 us"),
        (999_499, "999 us"),
        (999_960, "1.00 ms"),
        (12_300_000, "12.3 ms"),
        (999_999_999, "1.00 s"),
        (61_100_000_000, "61.1 s"),
        (3_600_000_000_000, "3600 s"),
    ],
)
def test_durations_have_three_digits_and_a_unit(duration_ns: float, text: str) -> None:
    """Rounding never makes 1000 of a unit that has a larger one."""
    assert format_duration_ns(duration_ns) == text


@settings(deadline=None, derandomize=True)
@given(st.floats(min_value=1, max_value=3.6e12))
def test_a_duration_is_read_back_within_its_digits(duration_ns: float) -> None:
    """What is printed is the value, to half a unit of the third digit."""
    number, unit = format_duration_ns(duration_ns).split()
    scale = {"ns": 1, "us": 1e3, "ms": 1e6, "s": 1e9}[unit]
    assert float(number) * scale == pytest.approx(duration_ns, rel=5.01e-3)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"),
        (9.4, "9.4 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (306.2, "5 min 06 s"),
        (3599.7, "1 h 00 min"),
        (7_500, "2 h 05 min"),
    ],
)
def test_waiting_times(seconds: float, text: str) -> None:
    """Minutes and hours carry over."""
    assert format_seconds(seconds) == text


def test_rates_counts_bytes_and_ratios() -> None:
    """Small rates keep their digits, large ones their groups."""
    assert [format_rate(rate) for rate in (0.0521, 46.9123, 999.96, 12345.6)] == [
        "0.0521",
        "46.9",
        "1,000",
        "12,346",
    ]
    assert format_count(25_557_032) == "25,557,032"
    assert [format_bytes(size) for size in (0, 1023, 1024, 1_288_490_188)] == [
        "0 B",
        "1023 B",
        "1.00 KiB",
        "1.20 GiB",
    ]
    assert [format_ratio(value) for value in (7.153e-6, 0.0, None)] == [
        "7.15e-06",
        "0",
        "-",
    ]
