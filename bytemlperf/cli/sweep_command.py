"""The verbs `sweep` and `tune`: one request under many settings, in one table."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from bytemlperf.cli.load_options import LoadOverrides
from bytemlperf.cli.options import HOW, Overrides, Places
from bytemlperf.cli.statistics_options import Judgement
from bytemlperf.cli.variants_options import Asked, parse_axes

__all__ = ["sweep", "tune"]

MAX_CELLS = 200


def sweep(
    *,
    axis: Annotated[list[str], Parameter(group=HOW, negative=())],
    asked: Asked = Asked(),
    overrides: Overrides = Overrides(),
    load: LoadOverrides = LoadOverrides(),
    judgement: Judgement = Judgement(),
    places: Places = Places(),
) -> int:
    """Measure every combination of settings.

    Parameters
    ----------
    axis
        Setting and its values: --axis max_delay_us=0,200,1000. May be given several
        times. Workload fields (clients, batch_size, max_batch, max_delay_us,
        predict_threads, rate ...), hardware_type, model_path, weights, seed, or answers
        to the backend's questions (intra_op_threads ...).
    asked
        What is measured.
    overrides
        Workload fields.
    load
        How load arrives.
    judgement
        What is said about each point.
    places
        Files and folders.
    """
    from bytemlperf.cli import variants_display
    from bytemlperf.errors import ConfigError
    from bytemlperf.statistics.search import grid

    axes = parse_axes(axis)
    cells = grid(axes)
    if len(cells) > MAX_CELLS:
        raise ConfigError(
            f"{len(cells)} combinations are more than {MAX_CELLS}",
            hint="fewer values, or tune, which looks for the best without trying all",
        )
    request = asked.request(overrides, load, judgement, places, axes=tuple(axes))
    return variants_display.show_sweep(request, axes, ui=places.ui, resume=asked.resume)


def tune(
    *,
    axis: Annotated[list[str], Parameter(group=HOW, negative=())],
    max_runs: Annotated[int, Parameter(group=HOW)] = 20,
    goal: Annotated[str, Parameter(group=HOW)] = "qps",
    asked: Asked = Asked(),
    overrides: Overrides = Overrides(),
    load: LoadOverrides = LoadOverrides(),
    judgement: Judgement = Judgement(),
    places: Places = Places(),
) -> int:
    """Look for the best settings: most throughput, or least latency, under the SLO.

    Parameters
    ----------
    axis
        Setting and its values, as for sweep; the first value is where it begins.
    max_runs
        Settings tried at most. If they are enough for all combinations, all are tried;
        else one axis at a time is improved until nothing is better.
    goal
        qps (the most samples per second), or the least of a latency: mean, p50, p99 ...
        Settings that miss an objective of --slo, or are not valid, are not usable.
    asked
        What is measured: one task, one hardware type.
    overrides
        Workload fields.
    load
        How load arrives.
    judgement
        Objectives, as --slo.
    places
        Files and folders.
    """
    from bytemlperf.cli import variants_display
    from bytemlperf.errors import ConfigError
    from bytemlperf.statistics.comparison import metric_percentile

    axes = parse_axes(axis)
    metric_percentile(goal)
    if max_runs < 1:
        raise ConfigError(f"--max_runs is 1 or more, not {max_runs}")
    request = asked.request(overrides, load, judgement, places, axes=tuple(axes))
    if len(request.tasks) * len(request.hardware_types) != 1:
        raise ConfigError(
            f"tune is about one task on one hardware type, not {len(request.tasks)} on "
            f"{len(request.hardware_types)}",
            hint="name one with --tasks",
        )
    return variants_display.show_tuning(
        request, axes, goal, max_runs, ui=places.ui, resume=asked.resume
    )
