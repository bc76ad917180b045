"""A conformance report as text: one line a rule, and what to do about broken ones.

Input: a `ConformanceReport`. Output: rich renderables; nothing is printed here.
"""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from bytemlperf.report.plain_text import clean_line, clean_text
from bytemlperf.report.schema import ConformanceReport, RuleOutcome

__all__ = ["conformance_view"]

MARKS = {
    "passed": ("ok", "green"),
    "broken": ("BROKEN", "bold red"),
    "not_applicable": ("-", "dim"),
}
GRADES = {
    "A": "every rule that applies holds",
    "B": "all that must hold do; some that should do not",
    "C": "it answers right, but breaks rules that measurements rest on",
    "F": "it does not compile, load or answer right: measure nothing on it",
}
MAX_DETAIL_LINES = 12


def conformance_view(report: ConformanceReport, where: str) -> RenderableType:
    """Show a report.

    Parameters
    ----------
    report : ConformanceReport
        All rules on one backend.
    where : str
        Its file.

    Returns
    -------
    RenderableType
        For a rich console.
    """
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for outcome in report.outcomes:
        mark, style = MARKS[outcome.status]
        if outcome.status == "broken" and not outcome.must:
            mark, style = "weak", "yellow"
        table.add_row(
            Text(mark, style=style),
            outcome.rule,
            clean_line(outcome.seen or outcome.asks),
        )
    broken = [each for each in report.outcomes if each.status == "broken"]
    passed = sum(each.status == "passed" for each in report.outcomes)
    skipped = len(report.outcomes) - passed - len(broken)
    head = Text.assemble(
        (f"{report.hardware_type}: grade {report.grade}", "bold"),
        f", {GRADES[report.grade]}\n",
        f"{passed} rules hold, {len(broken)} broken, {skipped} do not apply; "
        f"backend version {clean_line(report.backend_version)}",
    )
    parts: list[RenderableType] = [head, Text(), Padding(table, (0, 0, 0, 2))]
    parts += [_remedy(outcome) for outcome in broken]
    return Group(*parts, Text(), Text(f"report: {where}"))


def _remedy(outcome: RuleOutcome) -> RenderableType:
    """Say what a broken rule asks, why, and how to mend it."""
    lines = [
        f"\n{outcome.rule}: {outcome.asks}",
        f"  saw   {clean_line(outcome.seen)}",
        f"  why   {outcome.why}",
        f"  mend  {outcome.mend}",
    ]
    if outcome.detail:
        tail = clean_text(outcome.detail).splitlines()[-MAX_DETAIL_LINES:]
        lines += [f"  | {line}" for line in tail]
    return Text("\n".join(lines))
