"""Numbers as people read them; nothing here is stored.

Input: raw numbers with their unit in the name. Output: short ASCII text. Three
significant digits, because the measurement seldom has more.
"""

from __future__ import annotations

import itertools
import math

__all__ = [
    "format_bytes",
    "format_count",
    "format_duration_ns",
    "format_rate",
    "format_ratio",
    "format_seconds",
]

NS_UNITS = (("ns", 1), ("us", 1_000), ("ms", 1_000_000), ("s", 1_000_000_000))
BYTE_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
DIGITS = 3


def format_duration_ns(duration_ns: float) -> str:
    """Format a duration.

    Parameters
    ----------
    duration_ns : float
        Nanoseconds, >= 0.

    Returns
    -------
    str
        Such as ``"870 ns"``, ``"12.3 ms"`` or ``"611 s"``.
    """
    for unit, next_unit in itertools.pairwise(NS_UNITS):
        # Rounded first: 999.96 us is "1.00 ms", not "1000 us".
        if _round(duration_ns / unit[1]) < next_unit[1] / unit[1]:
            is_whole = unit[1] == 1 and duration_ns == int(duration_ns)
            return f"{_significant(duration_ns / unit[1], is_whole)} {unit[0]}"
    return f"{_significant(duration_ns / NS_UNITS[-1][1])} s"


def format_seconds(seconds: float) -> str:
    """Format how long something took, for a person who waited.

    Parameters
    ----------
    seconds : float
        >= 0.

    Returns
    -------
    str
        Such as ``"12 s"``, ``"5 min 06 s"`` or ``"1 h 02 min"``.
    """
    if seconds < 9.5:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def format_rate(per_second: float) -> str:
    """Format a rate, without its unit.

    Parameters
    ----------
    per_second : float
        >= 0.

    Returns
    -------
    str
        Such as ``"0.0521"``, ``"46.9"`` or ``"12,345"``.
    """
    return _significant(per_second, grouped=True)


def format_count(count: int) -> str:
    """Format a count with groups of three digits."""
    return f"{count:,}"


def format_bytes(size_bytes: float) -> str:
    """Format a size.

    Parameters
    ----------
    size_bytes : float
        >= 0.

    Returns
    -------
    str
        Such as ``"512 B"`` or ``"1.20 GiB"``.
    """
    value = float(size_bytes)
    for unit in BYTE_UNITS[:-1]:
        # 1023.6 would be shown as 1024, which is 1.00 of the next unit.
        if value < 1023.5:
            return f"{_significant(value, unit == 'B')} {unit}"
        value /= 1024
    return f"{_significant(value)} {BYTE_UNITS[-1]}"


def format_ratio(value: float | None) -> str:
    """Format a difference or another number without a natural size.

    Parameters
    ----------
    value : float or None
        None means that it is not defined.

    Returns
    -------
    str
        Such as ``"7.15e-06"``, or ``"-"``.
    """
    return "-" if value is None else f"{value:.{DIGITS}g}"


def _round(value: float) -> float:
    """Round to the digits that are shown."""
    if value == 0 or not math.isfinite(value):
        return value
    return round(value, DIGITS - 1 - math.floor(math.log10(abs(value))))


def _significant(value: float, whole: bool = False, grouped: bool = False) -> str:
    """Show three significant digits, but never fewer than the whole number has."""
    if not math.isfinite(value):
        return str(value)
    rounded = _round(value) if abs(value) < 1000 else value
    magnitude = math.floor(math.log10(abs(rounded))) if rounded else 0
    decimals = 0 if whole else max(0, DIGITS - 1 - magnitude)
    return f"{rounded:{',' if grouped else ''}.{decimals}f}"
