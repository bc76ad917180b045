"""A vendor's own figures beside ours: a ratio, or the reason why there is none.

Input: what `Backend.benchmark` returned, and our points. Output: lines. Pure. Figures
are found by the keys that ByteMLPerf's backends return, and by our own; what else there
is stands as it came, after them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from bytemlperf.report.schema import Point
from bytemlperf.report.units import format_duration_ns, format_rate

__all__ = ["vendor_figures"]

BATCH_KEYS = ("bs", "batch_size", "batchsize")
RATE_KEYS = ("qps", "samples_per_s", "throughput", "throughput_samples_per_s", "fps")
# Milliseconds, as ByteMLPerf's backends measure around one call of predict.
LATENCY_KEYS = ("avg_latency", "avg_latency_ms", "mean_latency_ms", "latency_ms")
ROWS_KEYS = ("performance", "points")
NS_PER_MS = 1_000_000


def vendor_figures(
    figures: Mapping[str, Any], points: Sequence[Point]
) -> Iterator[str]:
    """Set a vendor's figures beside our points of the same batch size.

    Parameters
    ----------
    figures : mapping
        One point, such as ``{"BS": 8, "QPS": 1200, "AVG Latency": 6.6}``; or several,
        as a list under ``Performance`` or ``points``, or by batch size.
    points : sequence of Point
        Ours.

    Yields
    ------
    str
        A line for each of the vendor's points: samples per second by the vendor's
        measure and by ours, and the ratio ours / the vendor's; the same of the mean
        latency, against our *service* time, since the vendor's has no queue in front.
        Where a ratio would mean nothing, the reason.
    """
    rows = list(_rows(figures))
    if not rows:
        yield f"its own figures, not comparable with ours: {_as_json(figures)}"
    for row in rows:
        yield _line(row, points)


def _rows(figures: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for key, value in figures.items():
        if str(key).isdecimal() and isinstance(value, Mapping):
            yield {"batch_size": int(key), **value}
        elif _plain(key) in ROWS_KEYS and isinstance(value, list):
            yield from (row for row in value if isinstance(row, Mapping))
    if _number(figures, RATE_KEYS) or _number(figures, LATENCY_KEYS):
        yield figures


def _line(row: Mapping[str, Any], points: Sequence[Point]) -> str:
    size = _number(row, BATCH_KEYS)
    rate, latency_ms = _number(row, RATE_KEYS), _number(row, LATENCY_KEYS)
    told = []
    if rate:
        told.append(f"{format_rate(rate)} samples/s")
    if latency_ms:
        told.append(f"mean latency {format_duration_ns(latency_ms * NS_PER_MS)}")
    if not told:
        return f"its own figures, not comparable with ours: {_as_json(row)}"
    batch = "" if size is None else f"batch {size:g}: "
    own = f"{batch}{', '.join(told)} by its own measure"
    point, reason = _ours(size, points)
    if point is None:
        return f"{own}; not comparable: {reason}"
    ours = []
    if rate:
        ratio = point.throughput_samples_per_s / rate
        count = format_rate(point.throughput_samples_per_s)
        ours.append(f"{count} samples/s, {ratio:.3g} of its figure")
    if latency_ms:
        mean_ns = point.service.mean_ns
        ratio = mean_ns / (latency_ms * NS_PER_MS)
        ours.append(
            f"mean service time {format_duration_ns(mean_ns)}, "
            f"{ratio:.3g} of its figure"
        )
    return f"{own}; by ours {'; '.join(ours)}"


def _ours(size: float | None, points: Sequence[Point]) -> tuple[Point | None, str]:
    """Return our point of a batch size, or why there is none to compare with."""
    if size is None:
        return None, "it names no batch size (BS)"
    point = next((each for each in points if each.batch_size == size), None)
    if point is None:
        return None, "no point of ours has this batch size"
    if point.invalid_reasons:
        return None, f"our point is INVALID ({point.invalid_reasons[0]})"
    if point.load is not None and point.load.is_open:
        return None, "our load was an open one, whose rate we set ourselves"
    return point, ""


def _number(row: Mapping[str, Any], keys: Sequence[str]) -> float | None:
    """Return the first figure under one of the keys, whatever their spelling."""
    for key, value in row.items():
        if (
            _plain(key) in keys
            and isinstance(value, int | float)
            and not isinstance(value, bool)
            and 0 < value < float("inf")
        ):
            return float(value)
    return None


def _plain(key: object) -> str:
    return str(key).strip().casefold().replace(" ", "_").replace("-", "_")


def _as_json(figures: Mapping[str, Any]) -> str:
    return msgspec.json.encode(figures).decode()
