"""Two results of one task beside each other: what was not the same for both.

Input: results. Output: lines of text. By how much they differ, a comparison says.
"""

from __future__ import annotations

from bytemlperf.report.schema import TaskResult

__all__ = ["changed_facts"]


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
