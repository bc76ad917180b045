"""Ease of use: coverage over the tasks, what failed and why, what a backend asks.

Input: results of one hardware type, and facts of its backend. Output: `EaseOfUse`, and
the same as text. It counts; it gives no marks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from bytemlperf.report.plain_text import clean_line
from bytemlperf.report.schema import (
    SCHEMA_VERSION,
    BackendFacts,
    EaseOfUse,
    TaskResult,
    TaskTrouble,
)

__all__ = ["ease_of_use", "ease_view"]

MAX_MESSAGE = 160


def ease_of_use(
    hardware_type: str,
    tasks: Sequence[str],
    results: Sequence[TaskResult],
    backend: BackendFacts | None,
) -> EaseOfUse:
    """Sum up how a hardware type did over a command's tasks.

    Parameters
    ----------
    hardware_type : str
        Which.
    tasks : sequence of str
        All that were asked for, whether or not anything is known of them.
    results : sequence of TaskResult
        Of this hardware type.
    backend : BackendFacts or None
        What its backend asks.

    Returns
    -------
    EaseOfUse
        Counts and shares.
    """
    compiles = [result.compile for result in results if result.compile is not None]
    compiled = [each for each in compiles if each.status == "success"]
    troubles = [
        TaskTrouble(
            task=result.task,
            phase=result.failures[0].phase,
            kind=result.failures[0].kind,
            message=_first_line(result.failures[0].message),
        )
        for result in results
        if result.failures
    ]
    causes = Counter(f"{each.phase}: {each.kind}" for each in troubles)
    return EaseOfUse(
        schema_version=SCHEMA_VERSION,
        hardware_type=hardware_type,
        backend=backend,
        task_count=len(tasks),
        compiled_count=len(compiled),
        measured_count=sum(result.status == "ok" for result in results),
        model_coverage=len(compiled) / len(tasks) if tasks else 0.0,
        full_graph_count=sum(each.sg_percent >= 100 for each in compiled),
        mean_sg_percent=(
            sum(each.sg_percent for each in compiled) / len(compiled)
            if compiled
            else None
        ),
        compile_seconds=sum(each.duration_ns for each in compiled) / 1e9,
        troubles=troubles,
        troubles_by_cause=dict(causes.most_common()),
    )


def ease_view(ease: EaseOfUse) -> RenderableType:
    """Show it.

    Parameters
    ----------
    ease : EaseOfUse
        Of one hardware type.

    Returns
    -------
    RenderableType
        For a rich console.
    """
    coverage = (
        f"model coverage {ease.model_coverage:.0%} ({ease.compiled_count} of "
        f"{ease.task_count} tasks compiled, {ease.full_graph_count} of them whole"
    )
    if ease.mean_sg_percent is not None:
        coverage += f"; mean operator coverage {ease.mean_sg_percent:.4g} % as claimed"
    lines = [f"{coverage}), {ease.compile_seconds:.3g} s of compilation"]
    if ease.backend is not None:
        facts = ease.backend
        lines.append(
            f"backend: {facts.code_line_count} lines in {facts.code_file_count} "
            f"file(s), {facts.requirement_count} requirement(s), "
            f"{facts.question_count} question(s), {facts.answered_count} answered; "
            f"environment: {facts.environment_kind}"
        )
    parts: list[RenderableType] = [
        Text(f"ease of use, {ease.hardware_type}", style="bold"),
        Padding(Text("\n".join(lines)), (0, 0, 0, 2)),
    ]
    if ease.troubles:
        table = Table(box=None, pad_edge=False, show_header=False)
        table.add_column(no_wrap=True)
        table.add_column(no_wrap=True)
        table.add_column(overflow="fold")
        for each in ease.troubles:
            table.add_row(
                each.task, f"{each.phase}: {each.kind}", clean_line(each.message)
            )
        parts.append(Padding(table, (0, 0, 0, 2)))
    return Group(*parts)


def _first_line(text: str) -> str:
    lines = text.strip().splitlines() or [""]
    return lines[0][:MAX_MESSAGE]
