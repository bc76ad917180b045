"""A task's facts and notes in words, for a terminal, a page and a document alike.

Input: a `TaskResult`. Output: names with sentences; a note's first word says how bad it
is. What a backend, a model or a log said is shown as plain text, never as markup.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
from rich.text import Text

from bytemlperf.report.compile_facts import compile_details, compile_summary
from bytemlperf.report.hardware_card import best_efficiency
from bytemlperf.report.load_table import affinity_words, load_words
from bytemlperf.report.path_words import input_words, path_words
from bytemlperf.report.plain_text import clean_text
from bytemlperf.report.schema import (
    AccuracyReport,
    DatasetReport,
    Failure,
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
)
from bytemlperf.report.vendor_figures import vendor_figures
from bytemlperf.report.wall_time import wall_time_words

__all__ = ["task_facts", "task_notes"]


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
    # The host's own card is derived, and says so itself.
    doubt = "" if found.is_verified or found.sku == "host" else ", peaks unverified"
    return (
        f"{found.share:.1%} of {found.peak_ops_per_s / 1e12:.3g} {found.precision} "
        f"TOPS at batch {found.batch_size} ({found.ops_per_s / 1e12:.3g} in products "
        f"and convolutions; card: {found.sku}{doubt})"
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
