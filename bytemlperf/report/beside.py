"""Two results of one task beside each other: what differs, and by how much.

Input: results. Output: lines of text. Pure; no verdict on whether a ratio is more than
chance, which takes the intervals of a comparison.
"""

from __future__ import annotations

from bytemlperf.report.percentiles import min_count
from bytemlperf.report.point_names import point_names
from bytemlperf.report.schema import Point, TaskResult
from bytemlperf.report.units import format_duration_ns, format_rate

__all__ = ["changed_facts", "ratio_lines"]


def changed_facts(before: TaskResult, after: TaskResult) -> list[str]:
    """Say what was not the same in two runs that should be.

    Parameters
    ----------
    before, after : TaskResult
        Of one task.

    Returns
    -------
    list of str
        One line each; empty if all that is recorded is the same.
    """
    pairs: list[tuple[str, object, object]] = [
        ("backend", before.backend_version, after.backend_version)
    ]
    if before.model and after.model:
        pairs.append(("model", before.model.sha256, after.model.sha256))
    if before.dataset and after.dataset:
        pairs.append(("samples", before.dataset.sha256, after.dataset.sha256))
    mine, theirs = before.provenance, after.provenance
    if mine and theirs:
        pairs += [
            ("processor", mine.host.cpu_model, theirs.host.cpu_model),
            ("cores", f"{mine.host.usable_cores:g}", f"{theirs.host.usable_cores:g}"),
            ("kernel", mine.host.kernel, theirs.host.kernel),
            ("Python", mine.python_version, theirs.python_version),
            ("bytemlperf", mine.bytemlperf_version, theirs.bytemlperf_version),
            ("source commit", mine.source_commit, theirs.source_commit),
        ]
        pairs += [
            (name, mine.packages.get(name), theirs.packages.get(name))
            for name in sorted(mine.packages.keys() | theirs.packages.keys())
        ]
    pairs += [
        (f"workload, {name}", before.workload.get(name), after.workload.get(name))
        for name in sorted(before.workload.keys() | after.workload.keys())
    ]
    return [
        f"changed: {name} was {_told(old)}, is {_told(new)}"
        for name, old, new in pairs
        if old != new
    ]


def _told(value: object) -> str:
    return "unknown" if value is None else str(value)


def ratio_lines(before: TaskResult, after: TaskResult) -> list[str]:
    """Say how each point that both have came out the second time.

    Parameters
    ----------
    before, after : TaskResult
        Of one task.

    Returns
    -------
    list of str
        One line a point, throughput and median latency.
    """
    old = dict(zip(point_names(before.points), before.points, strict=True))
    new = dict(zip(point_names(after.points), after.points, strict=True))
    lines = [
        _ratio(name, old[name], point) for name, point in new.items() if name in old
    ]
    alone = [*(old.keys() - new.keys()), *(new.keys() - old.keys())]
    if alone:
        lines.append(f"in one of them only: {', '.join(sorted(alone))}")
    return lines


def _ratio(name: str, old: Point, new: Point) -> str:
    invalid = [
        which
        for which, point in (("before", old), ("now", new))
        if point.invalid_reasons
    ]
    rates = (old.throughput_samples_per_s, new.throughput_samples_per_s)
    text = f"{name}: {format_rate(rates[0])} -> {format_rate(rates[1])} samples/s"
    if rates[0]:
        text += f" (x {rates[1] / rates[0]:.3f})"
    if min(old.latency.count, new.latency.count) >= min_count(50):
        medians = (old.latency.p50_ns, new.latency.p50_ns)
        text += f", p50 {format_duration_ns(medians[0])} -> "
        text += f"{format_duration_ns(medians[1])} (x {medians[1] / medians[0]:.3f})"
    return f"{text}{'; INVALID ' + ' and '.join(invalid) if invalid else ''}"
