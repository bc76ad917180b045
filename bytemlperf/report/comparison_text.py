"""A comparison as a table for a terminal, or as Markdown for a pull request.

Input: a `Comparison`. Output: a rich renderable, or text. One row a metric.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping

from rich.console import Group, RenderableType
from rich.text import Text

from bytemlperf.report.plain_text import clean_line
from bytemlperf.report.schema.comparison import Comparison, PointComparison
from bytemlperf.report.text_table import TextColumn, TextTable
from bytemlperf.report.units import format_duration_ns, format_rate
from bytemlperf.statistics.comparison import MIN_RUNS, MetricComparison

__all__ = ["comparison_markdown", "comparison_view"]

STYLES = {"faster": "bold green", "slower": "bold red", "same": "", "undecided": "dim"}
HEADINGS = (
    "point",
    "metric",
    "base",
    "other",
    "change",
    "95 % interval",
    "p",
    "verdict",
)


def comparison_view(comparison: Comparison) -> RenderableType:
    """Lay out a comparison.

    Parameters
    ----------
    comparison : Comparison
        Of two runs or more.

    Returns
    -------
    RenderableType
        For a console of any width.
    """
    parts: list[RenderableType] = []
    for title, points in _sections(comparison):
        rows = [
            [*map(Text, row[:-1]), Text(row[-1], style=STYLES[metric.verdict])]
            for point in points
            for row, metric in zip(_rows(point), point.metrics, strict=True)
        ]
        table = TextTable(
            [
                TextColumn(
                    heading,
                    [row[index] for row in rows],
                    is_left=heading in {"point", "metric", "verdict"},
                )
                for index, heading in enumerate(HEADINGS)
            ],
            key_count=2,
        )
        parts += [Text(title, style="bold"), table, Text()]
    for line in _notes(comparison):
        parts.append(Text(clean_line(line, max_characters=2000)))
    return Group(*parts)


def comparison_markdown(comparison: Comparison) -> str:
    """Write a comparison as Markdown.

    Parameters
    ----------
    comparison : Comparison
        Of two runs or more.

    Returns
    -------
    str
        Headings, tables and a list.
    """
    lines: list[str] = []
    for title, points in _sections(comparison):
        lines += [f"### {_escaped(title)}", ""]
        lines.append("| " + " | ".join(HEADINGS) + " |")
        lines.append("|---|---|---:|---:|---:|---:|---:|---|")
        for point in points:
            for row in _rows(point):
                lines.append("| " + " | ".join(map(_escaped, row)) + " |")
        lines.append("")
    lines += [f"- {_escaped(line)}" for line in _notes(comparison)]
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    return clean_line(text, max_characters=2000).replace("|", "\\|")


def _sections(
    comparison: Comparison,
) -> Iterator[tuple[str, list[PointComparison]]]:
    """Group points by what they compare.

    Yields
    ------
    (str, list of PointComparison)
        A title and its points.
    """
    groups: dict[tuple[str, str, str], list[PointComparison]] = {}
    for point in comparison.points:
        key = point.run, point.task, point.hardware_type
        groups.setdefault(key, []).append(point)
    for (run, task, hardware_type), points in groups.items():
        yield f"{task} on {hardware_type}: {run} against {comparison.base}", points


def _rows(point: PointComparison) -> Iterator[tuple[str, ...]]:
    """Write one row a metric.

    Yields
    ------
    tuple of str
        As many as there are headings.
    """
    for place, each in enumerate(point.metrics):
        name = point.point if place == 0 else ""
        if each.ratio is None or each.base is None or each.other is None:
            needed = f"n < {each.needed_count}"
            yield name, each.metric, needed, needed, "", "", "", each.verdict
            continue
        interval = "unknown"
        if each.low is not None and each.high is not None:
            interval = f"[{_change(each.low)}, {_change(each.high)}]"
        p_value = each.corrected_p_value
        yield (
            name,
            each.metric,
            _figure(each, each.base),
            _figure(each, each.other),
            _change(each.ratio),
            interval,
            "" if p_value is None else f"{p_value:.2g}",
            each.verdict,
        )


def _figure(each: MetricComparison, value: float) -> str:
    return format_rate(value) if each.metric == "qps" else format_duration_ns(value)


def _change(ratio: float) -> str:
    """Write a ratio as a change, or as a factor where it is large."""
    if not 0.5 <= ratio <= 2:
        return f"x{ratio:.3g}"
    return f"{ratio - 1:+.1%}"


def _notes(comparison: Comparison) -> Iterable[str]:
    """Say what a reader must not miss.

    Yields
    ------
    str
        A sentence.
    """
    for point in comparison.points:
        for outcome in point.gate:
            where = f"{point.task}, {point.point}, {point.run}"
            said = f"{outcome.verdict.upper()} ({where}): {outcome.reason}"
            yield f"gate {outcome.rule}: {said}"
    for fault in comparison.overridden:
        yield f"NOT COMPARABLE, compared all the same: {fault}"
    for difference in comparison.differences:
        yield f"differs: {difference}"
    for name in comparison.left_out:
        yield f"in one of the runs only: {name}"
    count = sum(len(point.metrics) for point in comparison.points)
    yield (
        f"a difference below {comparison.min_effect:.1%} is none; p-values are "
        f"corrected for {count} comparisons"
    )
    if comparison.detectable:
        known = _shares(comparison.detectable)
        yield f"smallest difference this host can tell from noise: {known}"
        yield from _beyond_this_host(comparison)
    elif comparison.is_noise_assumed and any(
        min(point.run_counts) < MIN_RUNS for point in comparison.points
    ):
        yield (
            f"with fewer than {MIN_RUNS} runs a side, noise between runs is assumed, "
            f"not known: {_shares(comparison.run_noise)}; measure it with system show "
            "--calibrate, or compare more runs with ab --rounds"
        )


def _beyond_this_host(comparison: Comparison) -> Iterator[str]:
    """Name differences that would count on a quieter host.

    Yields
    ------
    str
        A warning for each point.
    """
    for point in comparison.points:
        if min(point.run_counts) >= MIN_RUNS:
            continue
        hidden = [
            f"{each.metric} {_change(each.ratio)} (below "
            f"{comparison.detectable[each.metric]:.1%})"
            for each in point.metrics
            if each.ratio is not None
            and each.metric in comparison.detectable
            and math.log1p(comparison.min_effect)
            <= abs(math.log(each.ratio))
            < math.log1p(comparison.detectable[each.metric])
        ]
        if hidden:
            yield (
                f"warning: less than this host can tell from noise ({point.task}, "
                f"{point.point}, {point.run}): {', '.join(hidden)}; ab --rounds 3, or "
                "a quieter host, shows whether it is there"
            )


def _shares(by_metric: Mapping[str, float]) -> str:
    return ", ".join(f"{metric} {share:.1%}" for metric, share in by_metric.items())
