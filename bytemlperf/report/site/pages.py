"""The pages of a site, and of a history.

Input: results, or figures. Output: HTML. Pure.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import msgspec

from bytemlperf.report.collect import Collected
from bytemlperf.report.figures import Figure, best_point
from bytemlperf.report.history.store import Entry, Reading
from bytemlperf.report.history.view import reading_figure
from bytemlperf.report.page.assemble import assemble
from bytemlperf.report.page.sections import Shown, Tone
from bytemlperf.report.page.task_section import task_verdict
from bytemlperf.report.percentiles import shown_percentile
from bytemlperf.report.units import format_duration_ns, format_rate

__all__ = ["SiteResult", "history_page", "site_page", "site_results"]

ID_DIGITS = 12
METRIC = "throughput_samples_per_s"


class SiteResult(msgspec.Struct, frozen=True):
    """A result as a site lists it.

    Parameters
    ----------
    id : str
        Made of what was measured where and when: the same on every site.
    task, hardware_type, host, started_at_utc, version, precision : str
        Of the result; empty where it is not known.
    verdict : str
        One or two words.
    tone : {"good", "bad", "unsure"}
        How good that is.
    throughput : float or None
        Best valid, samples per second.
    headline, details : str
        For a cell.
    """

    id: str
    task: str
    hardware_type: str
    host: str
    started_at_utc: str
    version: str
    precision: str
    verdict: str
    tone: Tone
    throughput: float | None
    headline: str
    details: str


class _Column(msgspec.Struct, frozen=True):
    hardware_type: str
    host: str


class _Row(msgspec.Struct, frozen=True):
    task: str
    cells: list[SiteResult | None]


def site_results(collected: Sequence[Collected]) -> list[SiteResult]:
    """List results as a site does.

    Parameters
    ----------
    collected : sequence of Collected
        In any order.

    Returns
    -------
    list of SiteResult
        In the same order.
    """
    return [_listed(each) for each in collected]


def _listed(each: Collected) -> SiteResult:
    result = each.result
    provenance = result.provenance
    host = (
        f"{provenance.host.cpu_model}, {provenance.host.usable_cores:g} cores"
        if provenance
        else ""
    )
    began = provenance.started_at_utc if provenance else ""
    best = best_point(result)
    verdict, tone = task_verdict(result)
    details = "no valid point"
    if best is not None:
        count = best.latency.count
        median = shown_percentile(format_duration_ns(best.latency.p50_ns), 50, count)
        details = f"batch {best.batch_size}, p50 {median}"
    # Without a time, what is published is all that tells two results apart.
    told = began or msgspec.json.encode(result).decode()
    named = "\0".join((result.task, result.hardware_type, host, told))
    return SiteResult(
        id=hashlib.sha256(named.encode("utf-8", "replace")).hexdigest()[:ID_DIGITS],
        task=result.task,
        hardware_type=result.hardware_type,
        host=host or (result.imported_from.tool if result.imported_from else ""),
        started_at_utc=began,
        version=provenance.bytemlperf_version if provenance else "",
        precision=_precision(each),
        verdict=verdict,
        tone=tone,
        throughput=best.throughput_samples_per_s if best else None,
        headline=format_rate(best.throughput_samples_per_s) if best else "-",
        details=details,
    )


def _precision(each: Collected) -> str:
    """Return what was computed in, in capitals, or the model's own precision."""
    result = each.result
    found = result.compile.precision if result.compile else ""
    return (found or (result.model.precision if result.model else "")).upper()


def site_page(
    listed: Sequence[SiteResult], *, generated_at_utc: str, version: str, assets: str
) -> str:
    """Return the first page of a site.

    Parameters
    ----------
    listed : sequence of SiteResult
        At least one.
    generated_at_utc, version : str
        When it is made, and by which version.
    assets : str
        Where its scripts are, relative to the page.

    Returns
    -------
    str
        HTML: the latest result of every task on every hardware, trends, and a list.

    Raises
    ------
    ConfigError
        jinja2 is not installed.
    """
    by_time = sorted(listed, key=lambda each: each.started_at_utc)
    columns = list(
        dict.fromkeys(_Column(each.hardware_type, each.host) for each in listed)
    )
    latest = {
        (each.task, _Column(each.hardware_type, each.host)): each for each in by_time
    }
    rows = [
        _Row(task, [latest.get((task, column)) for column in columns])
        for task in sorted({each.task for each in listed})
    ]
    shown = [
        Shown(f"trend-{index}", reading_figure(reading, f"trend-{index}"))
        for index, reading in enumerate(_trends(by_time))
    ]
    tasks = len(rows)
    return assemble(
        "site.html.j2",
        shown,
        title="Inference results",
        subtitle=f"{tasks} tasks, {len(columns)} machines, {len(listed)} results",
        generated_at_utc=generated_at_utc,
        version=version,
        assets=assets,
        scripts=("site.js",),
        columns=columns,
        rows=rows,
        figures=shown,
        results=by_time[::-1],
        precisions=sorted({each.precision for each in listed if each.precision}),
        verdicts=sorted({each.verdict for each in listed}),
    )


def _trends(by_time: Sequence[SiteResult]) -> list[Reading]:
    """Return best valid throughputs over time, where there is more than one."""
    series: dict[tuple[str, str, str], list[Entry]] = {}
    for each in by_time:
        if each.throughput is None or not each.started_at_utc:
            continue
        entry = Entry(
            started_at_utc=each.started_at_utc,
            version=each.version,
            source_commit=None,
            backend_version=None,
            status=each.verdict,
            path=each.id,
            value=each.throughput,
            is_valid=True,
        )
        key = (each.task, each.hardware_type, each.host)
        series.setdefault(key, []).append(entry)
    return [
        Reading(*key, "best valid point", METRIC, entries)
        for key, entries in series.items()
        if len(entries) > 1
    ]


def history_page(
    figures: Sequence[Figure], *, metric: str, generated_at_utc: str, version: str
) -> str:
    """Return a page of series.

    Parameters
    ----------
    figures : sequence of Figure
        One each, with different names.
    metric, generated_at_utc, version : str
        For the head.

    Returns
    -------
    str
        One HTML file that needs no other.

    Raises
    ------
    ConfigError
        jinja2 is not installed.
    """
    shown = [Shown(figure.name, figure) for figure in figures]
    return assemble(
        "history.html.j2",
        shown,
        title="History",
        subtitle=metric,
        generated_at_utc=generated_at_utc,
        version=version,
        figures=shown,
    )
