"""A result as text for a terminal, a pipe or a log.

Input: result structs. Output: rich renderables; nothing is printed here. What a
backend, a model or a log said is shown as plain text, never as markup.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TextIO, cast

import msgspec
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from bytemlperf.report.certainty_table import CertaintyTable
from bytemlperf.report.compile_facts import compile_details, compile_summary
from bytemlperf.report.hardware_card import best_efficiency
from bytemlperf.report.load_table import affinity_words, load_table, load_words
from bytemlperf.report.overhead_table import overhead_table
from bytemlperf.report.parts_table import parts_table
from bytemlperf.report.path_words import input_words, path_words
from bytemlperf.report.plain_text import clean_line, clean_text
from bytemlperf.report.points_table import PointsTable
from bytemlperf.report.schema import (
    AccuracyReport,
    DatasetReport,
    Failure,
    InvocationIndex,
    ModelReport,
    NumericReport,
    Point,
    Provenance,
    SkippedPoint,
    TaskResult,
)
from bytemlperf.report.schema.statistics import SloJudgement
from bytemlperf.report.target_words import missed_sentence, target_summary
from bytemlperf.report.units import (
    format_bytes,
    format_count,
    format_duration_ns,
    format_rate,
    format_ratio,
    format_seconds,
)
from bytemlperf.report.vendor_figures import vendor_figures
from bytemlperf.report.wall_time import time_table, wall_time_words

__all__ = ["invocation_report", "open_console", "task_facts", "task_notes",
           "task_report"]  # fmt: skip

PIPE_WIDTH = 160
STATUS_STYLES = {
    "ok": "bold green",
    "off_target": "bold red",
    "invalid": "bold yellow",
    "failed": "bold red",
    "interrupted": "bold yellow",
}


def open_console(stream: TextIO, *, width: int | None = None) -> Console:
    """Return a console for a stream, terminal or not.

    Parameters
    ----------
    stream : TextIO
        Where it will print.
    width : int, optional
        Columns. Default: the terminal's own; 160 where there is no terminal, so that a
        log or a pipe gets whole rows.

    Returns
    -------
    rich.console.Console
        With neither markup, nor emoji, nor highlighting of what is printed.
    """
    is_terminal = stream.isatty()
    return Console(
        file=stream if is_terminal else cast(TextIO, _TrimmedStream(stream)),
        width=width or (None if is_terminal else PIPE_WIDTH),
        markup=False,
        emoji=False,
        highlight=False,
    )


class _TrimmedStream:
    """A stream without blanks at the ends of lines, which rich pads for terminals."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    @property
    def encoding(self) -> str:
        return self._stream.encoding

    def write(self, text: str) -> int:
        self._stream.write(re.sub(r" +(?=\n|$)", "", text))
        return len(text)

    def flush(self) -> None:
        self._stream.flush()

    def isatty(self) -> bool:
        return False

    def fileno(self) -> int:
        return self._stream.fileno()


def task_report(result: TaskResult, result_file: Path | None = None) -> RenderableType:
    """Lay out everything worth reading about a task.

    Parameters
    ----------
    result : TaskResult
        Complete or not.
    result_file : Path, optional
        Named at the end.

    Returns
    -------
    RenderableType
        For a console of any width.
    """
    facts = _grid((name, Text(clean_line(text))) for name, text in task_facts(result))
    parts: list[RenderableType] = [Text(), _title(result), facts]
    if result.points:
        parts += [Text(), Padding(PointsTable(result.points), (0, 0, 0, 2))]
    certificates = overhead_table(
        [
            (
                point.batch_size,
                point.overhead,
                point.load is not None and point.load.is_open,
            )
            for point in result.points
            if point.overhead is not None
        ]
    )
    loads = load_table(result.points)
    if loads is not None:
        parts += [Text(), Padding(loads, (0, 0, 0, 2))]
    if any(point.statistics for point in result.points):
        parts += [Text(), Padding(CertaintyTable(result.points), (0, 0, 0, 2))]
    if certificates is not None:
        parts += [
            Text(),
            Padding(Text("the same load on a predict that does nothing"), (0, 0, 0, 2)),
            Padding(certificates, (0, 0, 0, 2)),
        ]
    shares = parts_table(result.points)
    if shares is not None:
        parts += [Text(), Padding(shares, (0, 0, 0, 2))]
    notes = list(task_notes(result))
    if notes:
        parts += [Text(), _grid(notes)]
    files = [("result", result_file), ("log", result.log_file)]
    shown = [(name, Text(str(file))) for name, file in files if file is not None]
    return Group(*parts, Text(), _grid(shown))


def invocation_report(
    index: InvocationIndex, results: Sequence[TaskResult], index_file: Path
) -> RenderableType:
    """Lay out all tasks of a command, one row each.

    Parameters
    ----------
    index : InvocationIndex
        Of the command.
    results : sequence of TaskResult
        Those that exist, in any order.
    index_file : Path
        Named at the end.

    Returns
    -------
    RenderableType
        For a console of any width.
    """
    by_key = {(result.task, result.hardware_type): result for result in results}
    has_several = len({entry.hardware_type for entry in index.tasks}) > 1
    table = Table(box=None, pad_edge=False)
    for heading in ("task", *(["hardware"] if has_several else []), "status"):
        table.add_column(heading, header_style="bold", overflow="fold")
    for heading in ("points", "skip", "fail", "best QPS", "took"):
        table.add_column(heading, header_style="bold", justify="right")
    for entry in index.tasks:
        result = by_key.get((entry.task, entry.hardware_type))
        best = _best(result.points) if result else None
        is_reached = entry.result_file is not None
        table.add_row(
            Text(clean_line(entry.task)),
            *([Text(entry.hardware_type)] if has_several else []),
            Text(
                entry.status if is_reached else "not reached",
                style=STATUS_STYLES[entry.status],
            ),
            *(
                Text(str(count) if is_reached else "-")
                for count in (
                    entry.point_count,
                    entry.skipped_count,
                    entry.failure_count,
                )
            ),
            Text(format_rate(best.throughput_samples_per_s) if best else "-"),
            Text(format_seconds(entry.duration_seconds) if is_reached else "-"),
        )
    parts: list[RenderableType] = [table, Text()]
    times = time_table(index)
    if times is not None and len(index.tasks) > 1:
        parts += [times, Text()]
    return Group(*parts, _grid([("index", Text(str(index_file)))]))


def _best(points: Sequence[Point]) -> Point | None:
    """Return the fastest valid point."""
    return max(
        (point for point in points if not point.invalid_reasons),
        key=lambda point: point.throughput_samples_per_s,
        default=None,
    )


def _title(result: TaskResult) -> Text:
    return Text.assemble(
        (clean_line(f"{result.task} on {result.hardware_type}"), "bold"),
        "   ",
        (result.status.upper(), STATUS_STYLES[result.status]),
        f"   {format_seconds(result.duration_seconds)}",
    )


def _grid(rows: Iterable[tuple[str, Text]]) -> Table:
    """Name on the left, words on the right, wrapped under each other, never cut."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, text in rows:
        grid.add_row(Text(f"  {clean_line(name, max_characters=24)}"), text)
    return grid


def task_facts(result: TaskResult) -> list[tuple[str, str]]:
    """Say what was measured on what, and what came out besides speed.

    Parameters
    ----------
    result : TaskResult
        Of a task, whole or partial.

    Returns
    -------
    list of (str, str)
        What it is about, and the fact; what is not known is left out.
    """
    facts = [
        ("model", result.model and _model(result.model)),
        ("dataset", result.dataset and _dataset(result.dataset)),
        ("backend", result.backend_version),
        ("host", result.provenance and _host(result.provenance)),
        ("compile", result.compile and compile_summary(result.compile)),
        *_compile_details(result),
        ("load", _load(result.points)),
        ("path", path_words(result.points)),
        ("inputs", input_words(result.points)),
        ("peak", _efficiency(result)),
        ("accuracy", result.accuracy and _accuracy(result.accuracy)),
        ("numeric", result.numeric and _numeric(result.numeric)),
        *_vendor(result),
        ("time", wall_time_words(result)),
    ]
    return [(name, text) for name, text in facts if text]


def _compile_details(result: TaskResult) -> list[tuple[str, str]]:
    """Say more of the compilation, and all where it is all that was asked for."""
    if result.compile is None:
        return []
    only = bool(result.workload.get("compile_only"))
    return list(compile_details(result.compile, is_complete=only))


def _model(model: ModelReport) -> str:
    parameters = (
        f", {format_count(model.parameter_count)} parameters"
        if model.parameter_count is not None
        else ""
    )
    licence = f", {model.weights_licence}" if model.weights_licence else ""
    return (
        f"{model.framework} {model.format} {model.precision}{parameters}, "
        f"{format_bytes(model.artefact_bytes)}; weights: {model.weights}"
        f"{licence} ({model.weights_source})"
    )


def _dataset(dataset: DatasetReport) -> str:
    why = f" ({dataset.reason})" if dataset.reason else ""
    which = f": {dataset.subset}" if dataset.subset else ""
    return (
        f"{dataset.name}, {dataset.origin}{why}, "
        f"{format_count(dataset.sample_count)} samples{which}"
    )


def _host(provenance: Provenance) -> str:
    host = provenance.host
    # "yes": the CPU says that there is one, and nobody says which.
    known = f" ({host.hypervisor})" if host.hypervisor != "yes" else ""
    hypervisor = f", virtual{known}" if host.hypervisor else ""
    return (
        f"{host.cpu_model}, "
        f"{host.usable_cores:g} of {host.logical_cores} cores usable, "
        f"{format_bytes(host.memory_bytes)}{hypervisor}"
    )


def _efficiency(result: TaskResult) -> str | None:
    """Say what share of the device's peak the fastest point reached."""
    found = best_efficiency(result)
    if found is None:
        return None
    return (
        f"{found.share:.1%} of {found.peak_ops_per_s / 1e12:.3g} {found.precision} "
        f"TOPS at batch {found.batch_size} ({found.ops_per_s / 1e12:.3g} in products "
        f"and convolutions; card: {found.sku})"
    )


def _load(points: Sequence[Point]) -> str | None:
    """Describe the load: the same for all points but for the batch size."""
    if not points:
        return None
    point = points[0]
    return (
        f"{load_words(point)}; {point.predict_threads} predict "
        f"{'thread' if point.predict_threads == 1 else 'threads'}, {point.event_loop}"
        + (
            f", {point.client_kind} clients by {point.predict_path}"
            if point.client_kind and point.load is None
            else ""
        )
        + (f"; shared by {len(point.parts)} processes" if point.parts else "")
        + affinity_words(points)
    )


def _accuracy(accuracy: AccuracyReport) -> str:
    if accuracy.status != "scored":
        return f"{accuracy.status.replace('_', ' ')}: {accuracy.reason}"
    scores = []
    for name, value in accuracy.values.items():
        low, high = accuracy.interval_95.get(name, (None, None))
        interval = "" if low is None else f" [{low:.4f}, {high:.4f}]"
        scores.append(f"{name} {value:.4f}{interval}")
    left_out = [
        (accuracy.incomplete_count, "left out"),
        (accuracy.nonfinite_count, "not finite"),
    ]
    notes = "".join(f", {count} {what}" for count, what in left_out if count)
    return (
        f"{', '.join(scores)} (95 % interval) on {format_count(accuracy.n)} "
        f"{accuracy.unit or 'samples'}{notes}{target_summary(accuracy)}"
    )


def _numeric(numeric: NumericReport) -> str:
    if numeric.status != "compared" or numeric.overall is None:
        return f"unavailable: {numeric.reason}"
    overall = numeric.overall
    cosine = overall.cosine_similarity
    nonfinite = (
        f", {format_count(overall.actual_nonfinite_count)} values are not finite"
        if overall.actual_nonfinite_count
        else ""
    )
    return (
        f"max diff {format_ratio(overall.max_diff)}, "
        f"mean diff {format_ratio(overall.mean_diff)}, "
        f"max relative {format_ratio(overall.max_rel_diff)}, "
        f"cosine {'-' if cosine is None else f'{cosine:.7f}'}{nonfinite}; "
        f"{numeric.sample_count} samples against {numeric.reference}"
        f"{target_summary(numeric)}"
    )


def _vendor(result: TaskResult) -> list[tuple[str, str]]:
    """Show the vendor's own figures beside ours."""
    if not result.vendor_benchmark:
        return []
    if result.imported_from is not None:
        # What the other tool said is what the points were made of.
        said = msgspec.json.encode(result.vendor_benchmark).decode()
        return [("vendor", f"as published: {said}")]
    lines = list(vendor_figures(result.vendor_benchmark, result.points))
    return list(zip(["vendor", *[""] * (len(lines) - 1)], lines, strict=True))


def task_notes(result: TaskResult) -> Iterable[tuple[str, Text]]:
    """Collect everything a reader must not miss.

    Parameters
    ----------
    result : TaskResult
        Of a task, whole or partial.

    Yields
    ------
    (str, Text)
        What it is about, and the note.
    """
    for point in result.points:
        name = f"batch {point.batch_size}"
        for reason in point.invalid_reasons:
            yield name, _note("INVALID", reason, "bold red")
        for warning in point.warnings:
            yield name, _note("warning", warning, "yellow")
        if point.failed_count:
            asked = point.query_count + point.failed_count
            lost = (
                f"{format_count(point.failed_count)} of {format_count(asked)} queries"
            )
            yield name, _note("FAILED", lost, "bold red")
        for judgement in point.statistics.slos if point.statistics else ():
            style = "green" if judgement.verdict == "met" else "bold red"
            yield name, _note(judgement.verdict.upper(), _slo(judgement), style)
        for error in point.errors:
            yield name, _note("error", error, "red")
    for name, report in (("accuracy", result.accuracy), ("numeric", result.numeric)):
        for check in report.targets if report else ():
            if not check.is_met:
                yield name, _note("OFF TARGET", missed_sentence(check), "bold red")
    for skipped in result.skipped:
        yield f"batch {skipped.batch_size}", _note("skipped", _skip(skipped), "yellow")
    for failure in result.failures:
        size = failure.batch_size
        name = failure.phase if size is None else f"batch {size}"
        yield name, _failure(failure)
    for warning in result.warnings:
        yield "task", _note("warning", warning, "yellow")


def _slo(judgement: SloJudgement) -> str:
    """Say what an objective's verdict rests on."""
    slo = judgement.slo
    if slo.metric == "qps":
        value = format_rate(judgement.value)
    else:
        value = format_duration_ns(judgement.value)
    goodput = ""
    if judgement.goodput_samples_per_s is not None:
        goodput = f"; goodput {format_rate(judgement.goodput_samples_per_s)} samples/s"
    return f"{slo.text}: {value}; {judgement.reason}{goodput}"


def _skip(skipped: SkippedPoint) -> str:
    if skipped.predicted_batch_ns is None:
        return skipped.reason
    predicted = format_duration_ns(skipped.predicted_batch_ns)
    return f"{skipped.reason} (predicted: {predicted} a batch)"


def _note(word: str, text: str, style: str) -> Text:
    return Text.assemble((word, style), " ", clean_text(text))


def _failure(failure: Failure) -> Text:
    """Cause first, then what is known of it, then the last lines of the log."""
    text = _note("FAILED", failure.message, "bold red")
    if failure.detail:
        # Of a traceback or a dump of stacks the end; all of it is in the result.
        lines = clean_text(failure.detail).split("\n")
        text.append("".join(f"\n{line}" for line in lines[-6:]))
    if failure.log_tail:
        lines = clean_text(failure.log_tail).split("\n")
        text.append("".join(f"\n| {line}" for line in lines[-6:]), "dim")
    return text
