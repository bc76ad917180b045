"""Results of one task that several machines measured by hand -> one result. Pure.

Input: task results. Output: a `TaskResult` whose points are all machines' together, as
a cluster would have put them together but for the common start.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from bytemlperf.engine.merge import merge_points
from bytemlperf.engine.placement import Placement
from bytemlperf.engine.point_plan import MIN_QUERIES
from bytemlperf.errors import ConfigError
from bytemlperf.launch.assemble import missed_targets, task_status
from bytemlperf.report.schema import Point, TaskResult
from bytemlperf.workloads import OPEN_SCENARIOS

__all__ = ["merge_results"]

# What has to be the same for the sum to mean something.
SAME_FIELDS = (
    "model", "batch_sizes", "iterations", "point_seconds", "processes",
)  # fmt: skip


def merge_results(results: Sequence[TaskResult]) -> TaskResult:
    """Put the shares of several machines together.

    Parameters
    ----------
    results : sequence of TaskResult
        At least two, of the same task, hardware type, model and samples, measured at
        the same time.

    Returns
    -------
    TaskResult
        Clients are summed; accuracy and numerics are the first result's that has them.
        A batch size that is missing in one of them is left out, with a warning.

    Raises
    ------
    ConfigError
        There are fewer than two, or they are not of the same thing.
    """
    if len(results) < 2:
        raise ConfigError(f"expected at least two results to merge, got {len(results)}")
    first = results[0]
    for number, other in enumerate(results[1:], start=2):
        _check_same(first, other, number)
    clients = sum(_clients(result) for result in results)
    by_size = [
        {point.batch_size: point for point in result.points} for result in results
    ]
    sizes = [size for size in by_size[0] if all(size in known for known in by_size)]
    left_out = sorted({size for known in by_size for size in known} - set(sizes))
    points = [_merged([known[size] for known in by_size], results) for size in sizes]
    warnings = list(
        dict.fromkeys(warning for result in results for warning in result.warnings)
    )
    warnings.append(
        f"merged from {len(results)} results measured by hand: their windows are taken "
        "as begun at the same moment"
    )
    if left_out:
        warnings.append(
            f"batch sizes {', '.join(map(str, left_out))} are not in every result"
        )
    failures = [failure for result in results for failure in result.failures]
    accuracy = next((each.accuracy for each in results if each.accuracy), None)
    numeric = next((each.numeric for each in results if each.numeric), None)
    return msgspec.structs.replace(
        first,
        workload={**first.workload, "clients": clients},
        status=task_status(
            points,
            failures,
            is_finished=all(result.status != "interrupted" for result in results),
            missed=missed_targets(accuracy, numeric),
        ),
        accuracy=accuracy,
        numeric=numeric,
        points=points,
        failures=failures,
        warnings=warnings,
        log_file=None,
        duration_seconds=max(result.duration_seconds for result in results),
    )


def _clients(result: TaskResult) -> int:
    """Return how many clients a result was measured with."""
    scenario = result.workload.get("scenario", "closed_loop")
    if scenario in OPEN_SCENARIOS:
        raise ConfigError(
            f"{result.task}: the open loop {scenario} has no clients to add up",
            hint="results of closed loops can be merged",
        )
    clients = result.workload.get("clients")
    if not isinstance(clients, int) or clients < 1:
        raise ConfigError(
            f"{result.task}: workload.clients: expected a whole number >= 1, got "
            f"{clients!r}"
        )
    return clients


def _merged(points: list[Point], results: Sequence[TaskResult]) -> Point:
    """Merge one batch size's points, each part under its machine's name."""
    clients = sum(point.clients for point in points)
    together = [msgspec.structs.replace(point, window_start_ns=0) for point in points]
    names = [f"result {number}" for number in range(1, len(points) + 1)]
    merged = merge_points(
        together,
        placements=[Placement()] * len(points),
        clients=clients,
        min_queries=min(MIN_QUERIES, clients * points[0].iterations),
        names=names,
    )
    parts = [
        msgspec.structs.replace(inner, host=name)
        for name, point, part in zip(names, points, merged.parts, strict=True)
        for inner in point.parts or [part]
    ]
    return msgspec.structs.replace(merged, parts=parts, window_start_ns=0)


def _check_same(first: TaskResult, other: TaskResult, number: int) -> None:
    """Refuse to add up what was not the same."""
    pairs = [
        ("task", first.task, other.task),
        ("hardware_type", first.hardware_type, other.hardware_type),
        *(
            (f"workload.{name}", first.workload.get(name), other.workload.get(name))
            for name in SAME_FIELDS
        ),
    ]
    if first.model is not None and other.model is not None:
        pairs.append(("model.sha256", first.model.sha256, other.model.sha256))
    if first.dataset is not None and other.dataset is not None:
        pairs.append(("dataset.sha256", first.dataset.sha256, other.dataset.sha256))
    different = [
        f"{name} is {mine!r} and {theirs!r}"
        for name, mine, theirs in pairs
        if mine != theirs
    ]
    if different:
        raise ConfigError(
            f"results 1 and {number} cannot be merged: {'; '.join(different)}",
            hint="merge results of the same task, measured at the same time",
        )
