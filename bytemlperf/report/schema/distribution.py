"""Measured distributions of durations."""

from __future__ import annotations

import msgspec

__all__ = ["Distribution", "SeriesSecond"]


class Distribution(msgspec.Struct, frozen=True):
    """A measured distribution of durations.

    Parameters
    ----------
    count : int
        Recorded values.
    min_ns, max_ns : int
        Extremes, 0 if `count` is 0.
    mean_ns : float
        Arithmetic mean.
    p50_ns, p90_ns, p99_ns, p999_ns : int
        Percentiles, resolved to 3 significant digits.
    overflow_count : int
        Values beyond 1 h, recorded as 1 h.
    hdr_v2_base64 : str
        The whole HdrHistogram, V2 encoding, zlib and base64; unit ns.
    """

    count: int
    min_ns: int
    max_ns: int
    mean_ns: float
    p50_ns: int
    p90_ns: int
    p99_ns: int
    p999_ns: int
    overflow_count: int
    hdr_v2_base64: str


class SeriesSecond(msgspec.Struct, frozen=True):
    """What was done in one second of the measured window."""

    second: int
    sample_count: int
    p50_ns: int
    p99_ns: int
    max_ns: int
