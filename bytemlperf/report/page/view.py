"""What a page says, in words and cells: everything but its form.

Input: collected results. Output: structs that the template walks through. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from bytemlperf.report.collect import Collected, CollectedVariants, name_apart
from bytemlperf.report.columns import POINT_COLUMNS, Cell
from bytemlperf.report.figures import (
    PALETTE,
    NamedPoint,
    NamedResult,
    accuracy_speed,
    best_point,
    best_throughput,
    spectrum,
    throughput_latency,
)
from bytemlperf.report.page.compared import Compared, compared
from bytemlperf.report.page.sections import (
    HostSection,
    Shown,
    TableRow,
    TaskSection,
    VariantsSection,
)
from bytemlperf.report.page.task_section import named_points, task_section
from bytemlperf.report.page.variants_section import variants_section
from bytemlperf.report.units import (
    format_bytes,
)
from bytemlperf.report.wall_time import format_clock, time_rows

__all__ = ["PageView", "page_view"]


MAX_RUNS_NAMED = 8
# More curves than colours say nothing.
MAX_BESIDE = len(PALETTE)


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
    variants: list[VariantsSection] = []


def page_view(
    collected: Sequence[Collected],
    variants: Sequence[CollectedVariants] = (),
    *,
    generated_at_utc: str,
    version: str,
) -> PageView:
    """Say everything that is to be said about some results.

    Parameters
    ----------
    collected : sequence of Collected
        At least one.
    variants : sequence of CollectedVariants
        What their sweeps and searches found.
    generated_at_utc, version : str
        When the page was made, and by which version.

    Returns
    -------
    PageView
        In the order of the page.
    """
    beside = compared(collected)
    collected = name_apart(collected)
    runs = list(dict.fromkeys(each.run for each in collected))
    has_runs = len(runs) > 1
    tasks = [
        task_section(each, f"t{index}", has_runs=has_runs)
        for index, each in enumerate(collected)
    ]
    names = list(dict.fromkeys(each.result.task for each in collected))
    hardware = list(dict.fromkeys(each.result.hardware_type for each in collected))
    title = names[0] if len(names) == 1 else f"{len(names)} tasks"
    subtitle = f"on {', '.join(hardware)}"
    if has_runs:
        subtitle += f"; {len(runs)} runs: {', '.join(runs[:MAX_RUNS_NAMED])}"
        subtitle += " and more" if len(runs) > MAX_RUNS_NAMED else ""
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
        compared=beside,
        times=_times(collected) if len(collected) > 1 else [],
        variants=[
            variants_section(each, f"v{index}") for index, each in enumerate(variants)
        ],
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
        if 1 < len(several) <= MAX_BESIDE:
            figures += _beside(task, several, f"both{index}")
    return figures


def _beside(task: str, several: Sequence[Collected], key: str) -> list[Shown]:
    """Lay the runs of one task over each other."""
    points = [
        NamedPoint(f"{each.run} ({each.result.hardware_type})", name, point)
        for each in several
        for name, point in named_points(each.result)
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
