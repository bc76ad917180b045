"""What intervals are computed from, kept in the result so that anyone can again.

`RunStatistics` and its parts are those of `bytemlperf.statistics`, as they are.
"""

from __future__ import annotations

import msgspec

from bytemlperf.statistics.blocks import Estimate
from bytemlperf.statistics.slo import Slo, SloJudgement
from bytemlperf.statistics.steadiness import Drift, Steadiness
from bytemlperf.statistics.summary import PercentileStatistics, RunStatistics

__all__ = [
    "Drift",
    "Estimate",
    "LatencyBlock",
    "PercentileStatistics",
    "RunStatistics",
    "Slo",
    "SloJudgement",
    "Steadiness",
]


class LatencyBlock(msgspec.Struct, frozen=True):
    """A stretch of the measured window, by the moment answers were observed.

    Parameters
    ----------
    start_ns, duration_ns : int
        Since the measured part began. Blocks follow each other without a gap and are
        equally long, but for the last.
    query_count : int
        Queries answered in it.
    sum_ns : int
        Sum of their latencies.
    hdr_v2_base64 : str
        HdrHistogram of their latencies; empty if there are none.
    """

    start_ns: int
    duration_ns: int
    query_count: int
    sum_ns: int
    hdr_v2_base64: str
