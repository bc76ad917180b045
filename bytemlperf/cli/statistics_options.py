"""The options about what is said of a point's figures, and what they turn into.

Input: words of the command line. Output: frozen values. Nothing heavy is imported:
`--help` reads this module.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from cyclopts import Group, Parameter

if TYPE_CHECKING:
    from bytemlperf.statistics.slo import Slo

__all__ = ["JUDGE", "Judgement"]

JUDGE = Group.create_ordered("How to judge it")


@Parameter(name="*")
@dataclass(frozen=True)
class Judgement:
    """What is said about the latency of each point.

    Parameters
    ----------
    percentiles
        Percentiles of the latency to report with their intervals, a comma list.
    slo
        Objectives that every point must be shown to meet, with 99 % confidence, a comma
        list: p99<=20ms, mean<5ms, qps>=1000. If one is not, the exit code is 1.
    """

    percentiles: Annotated[str, Parameter(group=JUDGE)] = "50,90,99,99.9"
    slo: Annotated[str | None, Parameter(group=JUDGE)] = None

    def parsed_percentiles(self) -> tuple[float, ...]:
        """Return the percentiles, ascending."""
        from bytemlperf.statistics.slo import parse_percentiles

        return parse_percentiles(self.percentiles)

    def parsed_slos(self) -> tuple[Slo, ...]:
        """Return the objectives, none if there are none."""
        from bytemlperf.statistics.slo import parse_slos

        return () if self.slo is None else parse_slos(self.slo)
