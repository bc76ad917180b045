"""What is said about one task of one run: answers, facts, notes, figures, tables.

Input: a collected result. Output: a `TaskSection`, and its row of a summary. Pure.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from bytemlperf.report.collect import Collected
from bytemlperf.report.columns import Cell
from bytemlperf.report.figures import (
    NamedPoint,
    NamedResult,
    accuracy_speed,
    batch_sizes,
    best_point,
    compile_times,
    differences,
    latency_heat,
    latency_over_time,
    latency_parts,
    offered_achieved,
    overhead_latency,
    rate_over_time,
    schedule_lag,
    spectrum,
    throughput_latency,
)
from bytemlperf.report.load_table import load_table
from bytemlperf.report.overhead_table import overhead_table, point_overheads
from bytemlperf.report.page.sections import (
    Note,
    PointSection,
    Shown,
    ShownTable,
    TaskSection,
    Tone,
    shown_table,
)
from bytemlperf.report.percentiles import shown_percentile
from bytemlperf.report.plain_text import clean_text
from bytemlperf.report.point_names import point_names
from bytemlperf.report.schema import Point, Provenance, TaskResult
from bytemlperf.report.task_words import task_facts, task_notes
from bytemlperf.report.units import (
    format_duration_ns,
    format_rate,
    format_ratio,
    format_seconds,
)

__all__ = ["SUMMARY_HEADINGS", "named_points", "repeat_command", "shell_command",
           "summary_cells", "task_section", "task_verdict"]  # fmt: skip

SUMMARY_HEADINGS = (
    "task", "verdict", "samples/s", "batch size", "p50", "p99", "accuracy", "max diff",
    "compiled",
)  # fmt: skip

TONES: dict[str, Tone] = {
    "ok": "good", "off_target": "bad", "invalid": "unsure", "failed": "bad",
    "interrupted": "unsure",
}  # fmt: skip
VERDICTS = {
    "ok": "VALID",
    "off_target": "OFF TARGET",
    "invalid": "INVALID",
    "failed": "FAILED",
    "interrupted": "INTERRUPTED",
}
MEANINGS = {
    "ok": "All that was asked was measured, and every point is a valid measurement.",
    "off_target": "All is measured and valid, but accuracy or numerics miss a target.",
    "invalid": "All was measured, but not every point is a valid measurement.",
    "failed": "Something failed; the rest was measured.",
    "interrupted": "The run ended before its end.",
}
# By the first word of a note.
NOTE_TONES: dict[str, Tone] = {
    "INVALID": "bad", "FAILED": "bad", "error": "bad", "OFF": "bad", "MISSED": "bad",
    "MET": "good",
}  # fmt: skip
NO_POINT = "no valid point"


def task_section(each: Collected, anchor: str, *, has_runs: bool) -> TaskSection:
    """Return all that is said about a task; `has_runs`: of which run, as well."""
    result = each.result
    named = named_points(result)
    verdict, tone = task_verdict(result)
    figures = [
        throughput_latency([NamedPoint("", name, point) for name, point in named]),
        spectrum(named),
        latency_parts(named),
        batch_sizes(named),
        differences(result.numeric),
        accuracy_speed([NamedResult(each.run, result)]),
        compile_times(result.compile),
        *(
            drawn
            for draw in (offered_achieved, schedule_lag, overhead_latency)
            if (drawn := draw(named)) is not None
        ),
    ]
    return TaskSection(
        anchor=anchor,
        title=f"{result.task} on {result.hardware_type}",
        run=each.run if has_runs else "",
        verdict=verdict,
        tone=tone,
        answers=_answers(result),
        facts=[(name, clean_text(text)) for name, text in task_facts(result)],
        notes=_notes(result),
        figures=[Shown(f"{anchor}-{figure.name}", figure) for figure in figures],
        points=[
            _point(name, point, f"{anchor}-p{index}")
            for index, (name, point) in enumerate(named)
        ],
        command=repeat_command(result.provenance),
        environment=_environment(result),
        tables=_tables(result),
    )


def _tables(result: TaskResult) -> list[ShownTable]:
    """Return what is told of the load and of the harness, where it was kept."""
    loads = load_table(result.points)
    certificates = overhead_table(point_overheads(result.points))
    tables = []
    if loads is not None:
        tables.append(
            shown_table(
                "Open loop: what was offered and what came of it",
                loads,
                "Scheduled queries that were not issued found the queue full, or their "
                "turn never came; dropped ones were still queued at the end.",
            )
        )
    if certificates is not None:
        tables.append(
            shown_table(
                "Overhead certificate: the same load on a predict that does nothing",
                certificates,
                "All of it is ours. Above 10 % of the point it makes it INVALID.",
            )
        )
    return tables


def named_points(result: TaskResult) -> list[tuple[str, Point]]:
    """Return a result's points, each with a name that tells it from the others."""
    return list(zip(point_names(result.points), result.points, strict=True))


def task_verdict(result: TaskResult) -> tuple[str, Tone]:
    """Return a word for a task, and how good it is."""
    is_perf = result.workload.get("test_perf", True)
    if result.status == "ok" and not result.points and is_perf:
        # Nothing failed, and yet there is nothing that could be valid.
        return "NO POINT", "unsure"
    return VERDICTS[result.status], TONES[result.status]


def _notes(result: TaskResult) -> list[Note]:
    """Return what a reader must not miss; what is the same at several points, once."""
    places: dict[str, list[str]] = {}
    for place, told in task_notes(result):
        places.setdefault(told.plain, []).append(place)
    notes = []
    for text, where in places.items():
        word = text.split(" ", 1)[0]
        tone: Tone = NOTE_TONES.get(word, "unsure")
        numbers = [each.removeprefix("batch ") for each in where]
        name = f"batch {', '.join(numbers)}" if len(where) > 1 else where[0]
        notes.append(Note(name, text, tone))
    return notes


def _point(name: str, point: Point, anchor: str) -> PointSection:
    figures = [rate_over_time(point), latency_over_time(point), latency_heat(point)]
    return PointSection(
        anchor=anchor,
        name=name,
        headline=_speed(point),
        tone="unsure" if point.invalid_reasons else "good",
        figures=[Shown(f"{anchor}-{figure.name}", figure) for figure in figures],
    )


def _speed(point: Point) -> str:
    count = point.latency.count
    median = shown_percentile(format_duration_ns(point.latency.p50_ns), 50, count)
    tail = shown_percentile(format_duration_ns(point.latency.p99_ns), 99, count)
    return (
        f"{format_rate(point.throughput_samples_per_s)} samples/s{_interval(point)}, "
        f"p50 {median}, "
        f"p99 {tail}, {count:,} queries"
        f"{'; INVALID' if point.invalid_reasons else ''}"
    )


def _interval(point: Point) -> str:
    """Return the 95 % interval of a point's rate, where there is one."""
    if point.statistics is None:
        return ""
    rate = point.statistics.throughput_samples_per_s
    if rate.low is None or rate.high is None:
        return ""
    return f" [95 %: {format_rate(rate.low)} to {format_rate(rate.high)}]"


def _answers(result: TaskResult) -> list[tuple[str, str]]:
    """Answer what a stranger asks first, in one line each."""
    facts = dict(task_facts(result))
    best = best_point(result)
    valid = sum(not point.invalid_reasons for point in result.points)
    validity = f"{valid} of {len(result.points)} points are valid"
    if result.skipped:
        validity += f"; {len(result.skipped)} skipped"
    if result.failures:
        validity += f"; {len(result.failures)} failures"
    return [
        (
            "How fast?",
            f"{_speed(best)}, at batch size {best.batch_size}" if best else NO_POINT,
        ),
        ("Is it valid?", f"{validity}. {MEANINGS[result.status]}"),
        ("How accurate?", facts.get("accuracy", "not asked for")),
        ("Same numbers as the reference?", facts.get("numeric", "not asked for")),
        ("How completely compiled?", facts.get("compile", "it did not come to that")),
        ("Run on what?", facts.get("host", "not recorded")),
        ("How do I repeat it?", repeat_command(result.provenance) or "not recorded"),
    ]


def repeat_command(provenance: Provenance | None) -> str:
    """Return the command that made a result, for a shell; empty if not recorded."""
    return "" if provenance is None else shell_command(provenance.command_line)


def shell_command(words: Sequence[str]) -> str:
    """Return a recorded command as one types it; empty if there is none."""
    if not words:
        return ""
    start = ["python", "-m", "bytemlperf"] if words[0] == "bytemlperf" else words[:1]
    return shlex.join([*start, *words[1:]])


def _environment(result: TaskResult) -> list[tuple[str, str]]:
    """List what has to be the same for the same numbers."""
    provenance = result.provenance
    if provenance is None:
        return []
    packages = "\n".join(
        f"{name}=={version}" for name, version in sorted(provenance.packages.items())
    )
    variables = "\n".join(
        f"{name}={value}" for name, value in sorted(provenance.environment.items())
    )
    rows: list[tuple[str, str]] = [
        ("bytemlperf", provenance.bytemlperf_version),
        ("source commit", provenance.source_commit or ""),
        ("Python", provenance.python_version),
        ("environment", provenance.environment_kind),
        ("seed", f"{provenance.seed} ({provenance.random_generator})"),
        ("model, SHA-256", result.model.sha256 if result.model else ""),
        ("samples, hash", result.dataset.sha256 if result.dataset else ""),
        ("workload, SHA-256", provenance.workload_sha256),
        ("began", provenance.started_at_utc),
        ("ended", provenance.finished_at_utc),
        ("took", format_seconds(result.duration_seconds)),
        ("packages", packages),
        ("variables", variables),
    ]
    return [(name, text) for name, text in rows if text]


def summary_cells(result: TaskResult) -> list[Cell]:
    """Return a task's row of the table that opens a page of several tasks."""
    best = best_point(result)
    accuracy, numeric = result.accuracy, result.numeric
    score = (
        next(iter(accuracy.values.items()), None)
        if accuracy is not None and accuracy.status == "scored"
        else None
    )
    overall = numeric.overall if numeric is not None else None
    compiled = result.compile
    return [
        Cell(best.throughput_samples_per_s, format_rate(best.throughput_samples_per_s))
        if best
        else Cell(None, NO_POINT),
        Cell(best.batch_size, str(best.batch_size)) if best else Cell(None, "-"),
        Cell(best.latency.p50_ns, format_duration_ns(best.latency.p50_ns))
        if best
        else Cell(None, "-"),
        Cell(
            best.latency.p99_ns,
            shown_percentile(
                format_duration_ns(best.latency.p99_ns), 99, best.latency.count
            ),
        )
        if best
        else Cell(None, "-"),
        Cell(score[1], f"{score[0]} {score[1]:.4f}") if score else Cell(None, "-"),
        Cell(overall.max_diff, format_ratio(overall.max_diff))
        if overall
        else Cell(None, "-"),
        Cell(compiled.sg_percent, f"{compiled.sg_percent:g} %")
        if compiled
        else Cell(None, "-"),
    ]
