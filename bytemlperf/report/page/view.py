"""What a page says, in words and cells: everything but its form.

Input: collected results. Output: structs that the template walks through. Pure.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from bytemlperf.report.collect import Collected
from bytemlperf.report.columns import POINT_COLUMNS, Cell
from bytemlperf.report.console import task_facts, task_notes
from bytemlperf.report.figures import (
    Figure,
    NamedPoint,
    NamedResult,
    accuracy_speed,
    batch_sizes,
    best_point,
    best_throughput,
    compile_times,
    differences,
    latency_heat,
    latency_over_time,
    latency_parts,
    rate_over_time,
    spectrum,
    throughput_latency,
)
from bytemlperf.report.page.compared import Compared, compared
from bytemlperf.report.percentiles import shown_percentile
from bytemlperf.report.plain_text import clean_text
from bytemlperf.report.point_names import point_names
from bytemlperf.report.schema import Point, Provenance, TaskResult
from bytemlperf.report.units import (
    format_bytes,
    format_duration_ns,
    format_rate,
    format_ratio,
    format_seconds,
)
from bytemlperf.report.wall_time import format_clock, time_rows

__all__ = ["SUMMARY_HEADINGS", "PageView", "Shown", "Tone", "page_view",
           "summary_cells", "task_verdict"]  # fmt: skip

SUMMARY_HEADINGS = (
    "task", "verdict", "samples/s", "batch size", "p50", "p99", "accuracy", "max diff",
    "compiled",
)  # fmt: skip

Tone = Literal["good", "bad", "unsure"]
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


class Note(msgspec.Struct, frozen=True):
    """Something a reader must not miss."""

    where: str
    text: str
    tone: Tone


class Shown(msgspec.Struct, frozen=True):
    """A figure under the name that it has on the page."""

    key: str
    figure: Figure


class PointSection(msgspec.Struct, frozen=True):
    """One point in detail."""

    anchor: str
    name: str
    headline: str
    tone: Tone
    figures: list[Shown]


class TaskSection(msgspec.Struct, frozen=True):
    """One task of one run in detail."""

    anchor: str
    title: str
    run: str
    verdict: str
    tone: Tone
    answers: list[tuple[str, str]]
    facts: list[tuple[str, str]]
    notes: list[Note]
    figures: list[Shown]
    points: list[PointSection]
    command: str
    environment: list[tuple[str, str]]


class HostSection(msgspec.Struct, frozen=True):
    """A machine, and the tasks that ran on it."""

    facts: list[tuple[str, str]]
    tasks: list[str]


class TableRow(msgspec.Struct, frozen=True):
    """A row of the table of all points."""

    tone: Tone
    cells: list[Cell]


class PageView(msgspec.Struct, frozen=True):
    """Everything on a page, in its order."""

    title: str
    subtitle: str
    generated_at_utc: str
    version: str
    has_runs: bool
    tasks: list[TaskSection]
    hosts: list[HostSection]
    figures: list[Shown]
    headings: list[tuple[str, str]]
    rows: list[TableRow]
    compared: Compared | None = None
    times: list[tuple[str, list[Cell]]] = []


def page_view(
    collected: Sequence[Collected], *, generated_at_utc: str, version: str
) -> PageView:
    """Say everything that is to be said about some results.

    Parameters
    ----------
    collected : sequence of Collected
        At least one.
    generated_at_utc, version : str
        When the page was made, and by which version.

    Returns
    -------
    PageView
        In the order of the page.
    """
    runs = list(dict.fromkeys(each.run for each in collected))
    has_runs = len(runs) > 1
    tasks = [
        _task(each, f"t{index}", has_runs=has_runs)
        for index, each in enumerate(collected)
    ]
    names = list(dict.fromkeys(each.result.task for each in collected))
    hardware = list(dict.fromkeys(each.result.hardware_type for each in collected))
    title = names[0] if len(names) == 1 else f"{len(names)} tasks"
    subtitle = f"on {', '.join(hardware)}"
    if has_runs:
        subtitle += f"; {len(runs)} runs: {', '.join(runs)}"
    return PageView(
        title=title,
        subtitle=subtitle,
        generated_at_utc=generated_at_utc,
        version=version,
        has_runs=has_runs,
        tasks=tasks,
        hosts=_hosts(collected),
        figures=_overview(collected) if len(collected) > 1 else [],
        headings=[
            ("run", "run"), ("task", "task"), ("hardware_type", "hardware"),
            *((column.key, column.heading) for column in POINT_COLUMNS),
        ],
        rows=_rows(collected),
        compared=compared(collected),
        times=_times(collected) if len(collected) > 1 else [],
    )  # fmt: skip


def _times(collected: Sequence[Collected]) -> list[tuple[str, list[Cell]]]:
    """Say where the wall time went, by task and in all."""
    has_runs = len({each.run for each in collected}) > 1
    named = [
        (
            f"{each.result.task} on {each.result.hardware_type}"
            + (f" ({each.run})" if has_runs else ""),
            each.result,
        )
        for each in collected
    ]
    return [
        (name, [Cell(each, format_clock(each)) for each in seconds])
        for name, seconds in time_rows(named, None)
    ]


def _overview(collected: Sequence[Collected]) -> list[Shown]:
    named = [NamedResult(each.run, each.result) for each in collected]
    shown = [best_throughput(named), accuracy_speed(named)]
    by_task: dict[str, list[Collected]] = {}
    for each in collected:
        by_task.setdefault(each.result.task, []).append(each)
    figures = [Shown(f"all-{figure.name}", figure) for figure in shown]
    for index, (task, several) in enumerate(by_task.items()):
        if len(several) > 1:
            figures += _beside(task, several, f"both{index}")
    return figures


def _beside(task: str, several: Sequence[Collected], key: str) -> list[Shown]:
    """Lay the runs of one task over each other."""
    points = [
        NamedPoint(f"{each.run} ({each.result.hardware_type})", name, point)
        for each in several
        for name, point in _named(each.result)
    ]
    best = [
        (f"{each.run} ({each.result.hardware_type})", point)
        for each in several
        if (point := best_point(each.result)) is not None
    ]
    figures = [throughput_latency(points), spectrum(best, with_service=False)]
    return [
        Shown(
            f"{key}-{figure.name}",
            msgspec.structs.replace(figure, title=f"{task}: {figure.title}"),
        )
        for figure in figures
    ]


def _task(each: Collected, anchor: str, *, has_runs: bool) -> TaskSection:
    result = each.result
    named = _named(result)
    verdict, tone = task_verdict(result)
    figures = [
        throughput_latency([NamedPoint("", name, point) for name, point in named]),
        spectrum(named),
        latency_parts(named),
        batch_sizes(named),
        differences(result.numeric),
        accuracy_speed([NamedResult(each.run, result)]),
        compile_times(result.compile),
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
        command=_command(result.provenance),
        environment=_environment(result),
    )


def _named(result: TaskResult) -> list[tuple[str, Point]]:
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
        ("How do I repeat it?", _command(result.provenance) or "not recorded"),
    ]


def _command(provenance: Provenance | None) -> str:
    if provenance is None or not provenance.command_line:
        return ""
    words = list(provenance.command_line)
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


def _hosts(collected: Sequence[Collected]) -> list[HostSection]:
    """Describe each machine once; load is of the moment, and stays with its task."""
    by_host: dict[bytes, tuple[Any, list[str]]] = {}
    for each in collected:
        if each.result.provenance is None:
            continue
        host = each.result.provenance.host
        known = msgspec.json.encode(
            msgspec.structs.replace(host, load_average_1min=0.0)
        )
        by_host.setdefault(known, (host, []))[1].append(each.result.task)
    sections = []
    for host, tasks in by_host.values():
        virtual = host.hypervisor or "no"
        affinity = ", ".join(map(str, host.affinity)) or "any"
        cores = f"{host.usable_cores:g} of {host.logical_cores} usable"
        rows = [
            ("processor", host.cpu_model),
            ("architecture", host.architecture),
            ("cores", f"{cores}; affinity {affinity}"),
            ("memory", format_bytes(host.memory_bytes)),
            ("system", f"{host.os}, kernel {host.kernel}"),
            ("frequency governor", host.governor or "not readable"),
            ("load before (1 min)", f"{host.load_average_1min:g}"),
            ("virtual", virtual + (", in a container" if host.in_container else "")),
        ]
        sections.append(HostSection(rows, list(dict.fromkeys(tasks))))
    return sections


def _rows(collected: Sequence[Collected]) -> list[TableRow]:
    rows = []
    for each in collected:
        for point in each.result.points:
            names = (each.run, each.result.task, each.result.hardware_type)
            rows.append(
                TableRow(
                    tone="unsure" if point.invalid_reasons else "good",
                    cells=[
                        *(Cell(name, name) for name in names),
                        *(column.cell(point) for column in POINT_COLUMNS),
                    ],
                )
            )
    return rows


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
