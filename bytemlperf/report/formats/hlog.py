"""HdrHistogram's log: every point's whole latency histogram, for anyone's tools.

Input: collected results. Output: text, format version 1.3.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Sequence

from bytemlperf.errors import ConfigError
from bytemlperf.report.collect import Collected
from bytemlperf.report.point_names import point_names

__all__ = ["to_hlog"]

HEADER = (
    '"StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram"'
)
# The log divides the largest value by so much: milliseconds of nanoseconds.
MAX_UNIT_NS = 1_000_000
# A tag ends at a comma or at white space.
UNTAGGABLE = re.compile(r"[\s,]+")


def to_hlog(collected: Sequence[Collected]) -> bytes:
    """Write a log with one interval for each point, tagged with its name.

    Parameters
    ----------
    collected : sequence of Collected
        Any results; values are latencies in nanoseconds.

    Returns
    -------
    bytes
        UTF-8. Time stamps are seconds since 1970; a point's offset from its task's
        start is as measured, where it was kept.

    Raises
    ------
    ConfigError
        No point has a histogram.
    """
    lines = ["#[Histogram log format version 1.3]", HEADER]
    for each in collected:
        result = each.result
        began = _began(result.provenance.started_at_utc if result.provenance else "")
        first_ns = min(
            (point.window_start_ns for point in result.points if point.window_start_ns),
            default=0,
        )
        for name, point in zip(point_names(result.points), result.points, strict=True):
            if not point.latency.hdr_v2_base64:
                continue
            tag = UNTAGGABLE.sub(
                "_", f"{each.run}/{result.task}/{result.hardware_type}/{name}"
            )
            offset = max(0, point.window_start_ns - first_ns) / 1e9
            lines.append(
                f"Tag={tag},{began + offset:.3f},{point.window_ns / 1e9:.3f},"
                f"{point.latency.max_ns / MAX_UNIT_NS:.3f},"
                f"{point.latency.hdr_v2_base64}"
            )
    if len(lines) == 2:
        raise ConfigError("there is no measured point with a histogram to write")
    return ("\n".join(lines) + "\n").encode("utf-8", "replace")


def _began(moment: str) -> float:
    try:
        return datetime.datetime.fromisoformat(moment).timestamp()
    except ValueError:
        return 0.0
