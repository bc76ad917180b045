"""Results -> a comparison, or why they cannot be compared. Pure.

Input: results of two or more runs. Output: a `Comparison`. Points are paired by task,
and by what was asked of them; whatever else differs is named. Where that is what was
measured, and not what it was measured on, nothing is compared without `--force`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec

from bytemlperf.errors import ConfigError
from bytemlperf.report.blocks import point_table
from bytemlperf.report.collect import Collected
from bytemlperf.report.schema import Point, TaskResult
from bytemlperf.report.schema.comparison import (
    COMPARISON_VERSION,
    Comparison,
    PointComparison,
)
from bytemlperf.statistics.comparison import (
    METRICS,
    MIN_EFFECT,
    assumed_noise,
    compare_runs,
    judge_comparisons,
    metric_percentile,
)
from bytemlperf.statistics.gate import GateRule, check_gate

__all__ = ["compare_results"]

MAX_NAMED = 8


class _Run(msgspec.Struct, frozen=True):
    """A run's name and its results by task and hardware type."""

    name: str
    results: dict[tuple[str, str], list[TaskResult]]


def compare_results(
    collected: Sequence[Collected],
    *,
    metrics: Sequence[str] = METRICS,
    rules: Sequence[GateRule] = (),
    min_effect: float = MIN_EFFECT,
    run_noise: Mapping[str, float] | None = None,
    detectable: Mapping[str, float] | None = None,
    force: bool = False,
    groups: Mapping[str, str] | None = None,
    is_paired: bool = False,
    varied: Collection[str] = (),
) -> Comparison:
    """Compare every run with the first one.

    Parameters
    ----------
    collected : sequence of Collected
        Results; those of one run have the same `run`.
    metrics : sequence of str
        ``"qps"``, ``"mean"``, or such as ``"p99"``; those of the rules are added.
    rules : sequence of GateRule
        The gate.
    min_effect : float, default 0.02
        Smallest share that counts as a difference.
    run_noise, detectable : mapping of str to float, optional
        Of this host, by metric; see `bytemlperf.statistics.comparison`.
    force : bool, default False
        Compare what is not comparable; the reasons are in the comparison.
    groups : mapping of str to str, optional
        Run to side: runs of one side are repeats of each other.
    is_paired : bool, default False
        Whether repeat i of one side was made next to repeat i of the other.
    varied : collection of str
        Workload fields that are meant to differ: points are paired without them.

    Returns
    -------
    Comparison
        With a verdict for each metric.

    Raises
    ------
    ConfigError
        There is one run only, nothing is in both, or the runs are not comparable: the
        message names the fields that differ.
    """
    for metric in metrics:
        metric_percentile(metric)
    runs = _runs(collected, groups or {})
    if len(runs) < 2:
        raise ConfigError(
            "a comparison needs two runs or more",
            hint="name two results, or two folders that runs were written to",
        )
    wanted = tuple(dict.fromkeys([*metrics, *(rule.metric for rule in rules)]))
    base, *others = runs
    pairs, differences, faults, left_out = [], [], [], []
    for other in others:
        for mine, theirs in _paired_tasks(base, other):
            faults += _not_comparable(mine[0], theirs[0], other.name)
            differences += _differences(mine[0], theirs[0], other.name)
            shared, lonely = _paired_points(mine, theirs, varied)
            left_out += [f"{other.name}: {name}" for name in lonely]
            for name, our_points, their_points in shared:
                faults += _invalid(name, our_points, base.name)
                faults += _invalid(name, their_points, other.name)
                pairs.append((other.name, theirs[0], name, our_points, their_points))
    if not pairs:
        raise ConfigError(
            "the runs have no point in common: "
            + "; ".join(f"{run.name} has {_contents(run)}" for run in runs),
            hint="points are paired by task, batch size and load",
        )
    faults = list(dict.fromkeys(faults))
    if faults and not force:
        raise ConfigError(
            "the runs are not comparable: " + _some(faults),
            hint="--force compares them all the same, and says so",
        )
    noise = dict(run_noise) if run_noise is not None else assumed_noise(wanted)
    judged = judge_comparisons(
        [
            compare_runs(
                [point_table(point) for point in ours],
                [point_table(point) for point in theirs],
                samples_per_query=_query_samples(ours[0]),
                metrics=wanted,
                run_noise=noise,
                is_paired=is_paired,
            )
            for *_, ours, theirs in pairs
        ],
        min_effect=min_effect,
        detectable=detectable,
    )
    return Comparison(
        comparison_version=COMPARISON_VERSION,
        base=base.name,
        others=[other.name for other in others],
        points=[
            PointComparison(
                run=run,
                task=result.task,
                hardware_type=result.hardware_type,
                point=name,
                run_counts=(len(ours), len(theirs)),
                metrics=found,
                gate=check_gate(rules, found),
            )
            for (run, result, name, ours, theirs), found in zip(
                pairs, judged, strict=True
            )
        ],
        differences=list(dict.fromkeys(differences)),
        overridden=faults,
        left_out=left_out,
        min_effect=min_effect,
        detectable=dict(detectable or {}),
        run_noise=noise,
        is_noise_assumed=run_noise is None,
    )


def _runs(collected: Sequence[Collected], groups: Mapping[str, str]) -> list[_Run]:
    runs: dict[str, _Run] = {}
    for each in collected:
        name = groups.get(each.run, each.run)
        run = runs.setdefault(name, _Run(name, {}))
        key = each.result.task, each.result.hardware_type
        run.results.setdefault(key, []).append(each.result)
    return list(runs.values())


def _paired_tasks(
    base: _Run, other: _Run
) -> list[tuple[list[TaskResult], list[TaskResult]]]:
    """Pair tasks: by task and hardware type, or by task where one of each is there."""
    pairs = []
    for (task, hardware_type), theirs in other.results.items():
        mine = base.results.get((task, hardware_type))
        if mine is None:
            same_task = [
                results for key, results in base.results.items() if key[0] == task
            ]
            mine = same_task[0] if len(same_task) == 1 else None
        if mine is None and len(base.results) == len(other.results) == 1:
            (mine,) = base.results.values()
        if mine is not None:
            pairs.append((mine, theirs))
    return pairs


def _paired_points(
    mine: Sequence[TaskResult],
    theirs: Sequence[TaskResult],
    varied: Collection[str],
) -> tuple[list[tuple[str, list[Point], list[Point]]], list[str]]:
    sides = [_by_key(results, varied) for results in (mine, theirs)]
    shared = [key for key in sides[0] if key in sides[1]]
    lonely = [key for side in sides for key in side if key not in shared]
    return (
        [(_point_name(key), sides[0][key], sides[1][key]) for key in shared],
        [_point_name(key) for key in lonely],
    )


Key = tuple[tuple[str, Any], ...]


def _by_key(
    results: Sequence[TaskResult], varied: Collection[str]
) -> dict[Key, list[Point]]:
    found: dict[Key, list[Point]] = {}
    for result in results:
        for point in result.points:
            key = tuple(
                (name, value)
                for name, value in _identity(point).items()
                if name not in varied
            )
            found.setdefault(key, []).append(point)
    return found


def _identity(point: Point) -> dict[str, Any]:
    """Say which point it is; threads, batching and the rest are what is tested."""
    load = point.load
    identity: dict[str, Any] = {
        "batch_sizes": point.batch_size,
        "scenario": load.scenario if load else "closed_loop",
        "samples_per_query": _query_samples(point),
    }
    if load is not None and load.is_open:
        return identity | {
            "rate": load.requested_qps,
            "schedule_seed": load.schedule_seed,
            "point_seconds": point.point_seconds,
        }
    return identity | {
        "clients": point.clients,
        "iterations": point.iterations,
        "point_seconds": point.point_seconds,
    }


def _query_samples(point: Point) -> int:
    return point.load.samples_per_query if point.load else point.batch_size


def _point_name(key: Key) -> str:
    known = dict(key)
    words = [f"batch {known['batch_sizes']}"] if "batch_sizes" in known else []
    if known.get("scenario", "closed_loop") != "closed_loop":
        words.append(str(known["scenario"]))
    if known.get("rate") is not None:
        words.append(f"{known['rate']:g}/s")
    if "clients" in known:
        words.append(f"{known['clients']} clients")
    return ", ".join(words) or "all"


def _invalid(name: str, points: Sequence[Point], run: str) -> list[str]:
    return [
        f"{name} of {run} is INVALID ({point.invalid_reasons[0]})"
        for point in points
        if point.invalid_reasons
    ]


def _not_comparable(mine: TaskResult, theirs: TaskResult, run: str) -> list[str]:
    """Name what was measured, where it is not the same."""
    pairs: list[tuple[str, Any, Any]] = [("task", mine.task, theirs.task)]
    for kind, fields in (
        ("model", ("name", "precision", "sha256")),
        ("dataset", ("name", "origin", "sha256")),
    ):
        ours, other = getattr(mine, kind), getattr(theirs, kind)
        if ours is not None and other is not None:
            pairs += [
                (f"{kind}.{field}", getattr(ours, field), getattr(other, field))
                for field in fields
            ]
    return _different(pairs, run)


def _differences(mine: TaskResult, theirs: TaskResult, run: str) -> list[str]:
    """Name what it was measured on and with, where it is not the same."""
    pairs: list[tuple[str, Any, Any]] = [
        ("hardware_type", mine.hardware_type, theirs.hardware_type),
        ("backend_version", mine.backend_version, theirs.backend_version),
    ]
    pairs += [
        (f"workload.{field}", mine.workload.get(field), theirs.workload.get(field))
        for field in sorted(mine.workload.keys() | theirs.workload.keys())
    ]
    ours, other = mine.provenance, theirs.provenance
    if ours is not None and other is not None:
        pairs += [
            (f"host.{field}", getattr(ours.host, field), getattr(other.host, field))
            for field in ("cpu_model", "usable_cores", "kernel", "governor")
        ]
        pairs += [
            (field, getattr(ours, field), getattr(other, field))
            for field in (
                "bytemlperf_version", "source_commit", "python_version",
                "interact_info", "seed",
            )
        ]  # fmt: skip
        for kind in ("packages", "environment"):
            first, second = getattr(ours, kind), getattr(other, kind)
            pairs += [
                (f"{kind}.{name}", first.get(name), second.get(name))
                for name in sorted(first.keys() | second.keys())
            ]
    return _different(pairs, run)


def _different(pairs: Sequence[tuple[str, Any, Any]], run: str) -> list[str]:
    return [
        f"{field} is {_short(ours)} and {_short(theirs)} ({run})"
        for field, ours, theirs in pairs
        if ours != theirs
    ]


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 48 else f"{text[:16]}...{text[-8:]}"


def _some(texts: Sequence[str]) -> str:
    more = len(texts) - MAX_NAMED
    tail = [f"and {more} more"] if more > 0 else []
    return "; ".join([*texts[:MAX_NAMED], *tail])


def _contents(run: _Run) -> str:
    names = [
        f"{task} on {hardware} ({len(results[0].points)} points)"
        for (task, hardware), results in run.results.items()
    ]
    return _some(names) or "nothing"
