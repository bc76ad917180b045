"""What is said about a sweep, a search, a tuning or repeats as a whole.

Input: what was collected of it. Output: a `VariantsSection`. Pure.
"""

from __future__ import annotations

from bytemlperf.report.collect import CollectedVariants
from bytemlperf.report.figures import (
    axis_curve,
    rate_latency,
    variant_latencies,
    variant_rates,
)
from bytemlperf.report.page.sections import (
    Shown,
    ShownTable,
    VariantsSection,
    shown_table,
)
from bytemlperf.report.page.task_section import shell_command
from bytemlperf.report.schema.variants import VariantsResult
from bytemlperf.report.spread_table import SPREAD_NOTE, spread_table
from bytemlperf.report.units import format_rate
from bytemlperf.report.variants_table import variants_notes, variants_table

__all__ = ["variants_section"]

TITLES = {
    "sweep": "Sweep", "tune": "Tuning", "search": "Search for the highest rate",
    "repeat": "Repeats",
}  # fmt: skip
PURPOSES = {
    "bracket": "to find a rate that is met and one that is not",
    "bisect": "to narrow the interval",
    "confirm": "to try the rate found once more",
}


def variants_section(each: CollectedVariants, anchor: str) -> VariantsSection:
    """Return all that is said about the runs of one command.

    Parameters
    ----------
    each : CollectedVariants
        Its result and its objectives.
    anchor : str
        What it is called on the page.

    Returns
    -------
    VariantsSection
        Its sentences, tables and figures.
    """
    result = each.result
    figures = [
        *([rate_latency(result, each.slos)] if result.kind == "search" else []),
        *(
            drawn
            for axis in result.axes
            if (drawn := axis_curve(result, axis)) is not None
            and result.kind != "repeat"
        ),
        *([variant_rates(result)] if result.kind != "search" else []),
        *([variant_latencies(result, each.slos)] if result.kind != "search" else []),
    ]
    return VariantsSection(
        anchor=anchor,
        title=f"{TITLES[result.kind]}: {each.run}",
        sentences=list(variants_notes(result)),
        tables=_tables(result),
        figures=[Shown(f"{anchor}-{figure.name}", figure) for figure in figures],
        command=shell_command(result.command_line),
    )


def _tables(result: VariantsResult) -> list[ShownTable]:
    tables = []
    if result.variants:
        tables.append(shown_table("All runs", variants_table(result)))
    if result.kind == "repeat" and any(each.points for each in result.variants):
        tables.append(
            shown_table("How far apart they are", spread_table(result), SPREAD_NOTE)
        )
    if result.capacity is not None:
        tables.append(
            ShownTable(
                title="Decisions",
                headings=["step", "queries/s", "verdict", "why it was tried"],
                rows=[
                    [
                        str(number), format_rate(probe.rate), probe.verdict,
                        PURPOSES[probe.purpose],
                    ]
                    for number, probe in enumerate(result.capacity.probes, start=1)
                ],
                note="A rate that is not shown to meet its objectives is tried once "
                "more for longer, if it may meet them; it then counts as not met.",
                left=[2, 3],
            )
        )  # fmt: skip
    return tables
