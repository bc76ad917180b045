"""The verb `search`: the highest rate that meets the objectives."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from bytemlperf.cli.load_options import LoadOverrides
from bytemlperf.cli.options import HOW, Overrides, Places
from bytemlperf.cli.statistics_options import Judgement
from bytemlperf.cli.variants_options import Asked

__all__ = ["search"]


def search(
    *,
    start_rate: Annotated[float | None, Parameter(group=HOW)] = None,
    max_rate: Annotated[float | None, Parameter(group=HOW)] = None,
    precision: Annotated[float, Parameter(group=HOW)] = 5.0,
    max_probes: Annotated[int, Parameter(group=HOW)] = 12,
    asked: Asked = Asked(),
    overrides: Overrides = Overrides(),
    load: LoadOverrides = LoadOverrides(),
    judgement: Judgement = Judgement(),
    places: Places = Places(),
) -> int:
    """Find the highest rate of an open loop that meets the objectives of --slo.

    A rate is met only if it is shown with 99 % confidence, and the result is shown
    twice, with schedules of their own. Every probe is a run of its own in --out, and
    all of them together are the throughput-latency curve.

    Parameters
    ----------
    start_rate
        First rate, queries per second; left out, half of what a closed loop reaches.
    max_rate
        Highest rate that may be tried.
    precision
        Width of the interval between met and not met, in percent.
    max_probes
        Probes at most.
    asked
        What is measured: one task, one hardware type.
    overrides
        Workload fields; one batch size.
    load
        How load arrives: server (Poisson) unless another open loop is named.
    judgement
        Objectives, as --slo: required.
    places
        Files and folders.
    """
    from bytemlperf.cli import search_display
    from bytemlperf.errors import ConfigError

    if not judgement.parsed_slos():
        raise ConfigError(
            "search needs an objective", hint="for example --slo 'p99<=20ms'"
        )
    if load.rate is not None:
        raise ConfigError(
            "search looks for the rate itself, but --rate was given",
            hint="--start_rate is where it begins",
        )
    for option, value in (
        ("--start_rate", start_rate), ("--max_rate", max_rate),
        ("--precision", precision),
    ):  # fmt: skip
        if value is not None and not 0 < value < float("inf"):
            raise ConfigError(f"{option} is above 0, not {value:g}")
    if max_probes < 2:
        raise ConfigError(f"--max_probes is 2 or more, not {max_probes}")
    request = asked.request(overrides, load, judgement, places, axes=("rate",))
    sizes = {size for task in request.tasks for size in task.workload.batch_sizes}
    if len(request.tasks) * len(request.hardware_types) != 1 or len(sizes) != 1:
        raise ConfigError(
            "search is about one task, one hardware type and one batch size",
            hint="name them with --tasks, --hardware_type and --batch_sizes",
        )
    if not request.tasks[0].workload.is_open:
        raise ConfigError(
            f"the scenario {request.tasks[0].workload.scenario} has no rate",
            hint="--scenario server, constant_rate, gamma or burst",
        )
    return search_display.show_search(
        request,
        start_rate=start_rate,
        max_rate=max_rate,
        precision=precision / 100,
        max_probes=max_probes,
        ui=places.ui,
        resume=asked.resume,
    )
