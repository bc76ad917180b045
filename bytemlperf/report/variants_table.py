"""Variants side by side: a row a point, its settings first.

Input: a `VariantsResult`. Output: a rich renderable.
"""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.text import Text

from bytemlperf.report.certainty_table import format_interval_ns
from bytemlperf.report.plain_text import clean_line
from bytemlperf.report.schema.variants import Variant, VariantPoint, VariantsResult
from bytemlperf.report.text_table import TextColumn, TextTable
from bytemlperf.report.units import format_duration_ns, format_rate
from bytemlperf.statistics.search import Capacity

__all__ = ["unmeasured_probes", "variants_notes", "variants_table", "variants_view"]


def variants_view(result: VariantsResult) -> RenderableType:
    """Lay out variants.

    Parameters
    ----------
    result : VariantsResult
        With at least one variant.

    Returns
    -------
    RenderableType
        For a console of any width.
    """
    lines = [
        Text(clean_line(line, max_characters=1000)) for line in variants_notes(result)
    ]
    return Group(variants_table(result), Text(), *lines)


def variants_table(result: VariantsResult) -> TextTable:
    """Return the table alone: a row a point, settings first."""
    names = list(
        dict.fromkeys(name for each in result.variants for name in each.settings)
    )
    percentiles = list(
        dict.fromkeys(
            name
            for each in result.variants
            for point in each.points
            for name in point.percentiles_ns
        )
    )
    points = [point for each in result.variants for point in each.points]
    has_tasks = len({(point.task, point.hardware_type) for point in points}) > 1
    first = [*(["task"] if has_tasks else []), *names]
    if "batch_sizes" not in names and "batch_size" not in names:
        first.append("batch size")
    headings = [*first, "QPS [95 %]", "mean", *percentiles, "CPU", "verdict"]
    rows: list[list[Text]] = []
    for variant in result.variants:
        is_best = variant.name == result.best
        for point in variant.points:
            cells = _row(variant, point, first, percentiles)
            style = "bold" if is_best else ""
            rows.append(
                [
                    *(Text(cell, style=style) for cell in cells),
                    _verdict(point, is_best=is_best),
                ]
            )
        if not variant.points:
            settings = [variant.settings.get(name, "") for name in first]
            blank = [""] * (len(percentiles) + 3)
            rows.append(
                [
                    *(Text(clean_line(cell)) for cell in (*settings, *blank)),
                    Text(variant.status, style="bold red"),
                ]
            )
    return TextTable(
        [
            TextColumn(
                clean_line(heading),
                [row[index] for row in rows],
                is_left=heading in {"task", "verdict"},
                wraps=heading == "verdict",
            )
            for index, heading in enumerate(headings)
        ],
        key_count=len(first),
    )


def _row(
    variant: Variant, point: VariantPoint, first: list[str], percentiles: list[str]
) -> Iterator[str]:
    """Write a row's cells but for the verdict.

    Yields
    ------
    str
        A cell.
    """
    more = {
        "task": f"{point.task} on {point.hardware_type}",
        "batch size": str(point.batch_size),
    }
    for name in first:
        yield clean_line(variant.settings.get(name) or more.get(name, ""))
    low, high = (
        "?" if end is None else format_rate(end) for end in (point.low, point.high)
    )
    yield f"{format_rate(point.throughput_samples_per_s)}\n[{low}, {high}]"
    yield format_duration_ns(point.mean_ns)
    for name in percentiles:
        value = point.percentiles_ns.get(name)
        if value is None:
            yield "too few"
        else:
            interval = format_interval_ns(*point.intervals_ns[name])
            yield f"{format_duration_ns(value)}\n{interval}"
    yield f"{point.cpu_percent:.0f}%"


def _verdict(point: VariantPoint, *, is_best: bool) -> Text:
    if point.invalid_reasons:
        word = point.invalid_reasons[0].partition(":")[0]
        return Text(f"INVALID {clean_line(word)}", style="bold red")
    if point.unmet_slos:
        return Text(clean_line("; ".join(point.unmet_slos)), style="yellow")
    return Text("VALID, best" if is_best else "VALID", style="green")


def variants_notes(result: VariantsResult) -> Iterator[str]:
    """Say what was looked for and found.

    Yields
    ------
    str
        A sentence.
    """
    if result.goal:
        yield f"goal: {result.goal}"
    if result.best is not None:
        yield f"best: {result.best}"
    elif result.goal and result.capacity is None:
        yield "best: none of them is valid and meets the objectives"
    if result.capacity is not None:
        yield _capacity(result.capacity)
        if unmeasured := unmeasured_probes(result):
            reasons = dict.fromkeys(
                clean_line(reason.partition(":")[0])
                for each in unmeasured
                for point in each.points
                for reason in point.invalid_reasons
            )
            yield (
                f"undecided: {', '.join(each.name for each in unmeasured)} INVALID "
                f"({', '.join(reasons)}); what is no measurement shows nothing, so "
                "those rates count as not met"
            )
    if not result.is_complete:
        yield "not complete: --resume goes on with what is left"


def unmeasured_probes(result: VariantsResult) -> list[Variant]:
    """Return the runs of a search that show nothing because they are no measurement.

    Parameters
    ----------
    result : VariantsResult
        Of any kind.

    Returns
    -------
    list of Variant
        INVALID ones at a rate that was not shown to be met nor to be missed.
    """
    probes = result.capacity.probes if result.capacity else []
    undecided = {f"{each.rate:.6g}" for each in probes if each.verdict == "not shown"}
    return [
        each
        for each in result.variants
        if each.settings.get("rate") in undecided
        and any(point.invalid_reasons for point in each.points)
    ]


def _capacity(capacity: Capacity) -> str:
    count = len(capacity.probes)
    if capacity.rate is None:
        return (
            f"capacity: no rate was shown to meet the objectives in {count} probes; "
            f"the lowest was {format_rate(min(p.rate for p in capacity.probes))}/s"
        )
    above = (
        "no higher rate was shown to miss them"
        if capacity.missed_rate is None
        else f"missed at {format_rate(capacity.missed_rate)}/s"
    )
    ended = {
        "precision": "as precise as asked",
        "probes": "the probes were used up",
        "limit": "the highest rate that may be tried meets them",
        "nothing": "",
    }[capacity.ended_by]
    return (
        f"capacity: {format_rate(capacity.rate)} queries/s meet the objectives, shown "
        f"twice; {above}; {count} probes, {ended}"
    )
