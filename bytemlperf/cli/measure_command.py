"""The command without a verb: run tasks on hardware types and report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from bytemlperf.cli.load_options import LoadOverrides
from bytemlperf.cli.options import HOW, WHAT, Cluster, Overrides, Places, Weights, flag
from bytemlperf.cli.statistics_options import Judgement
from bytemlperf.cli.variants_options import is_repeated
from bytemlperf.errors import ConfigError

__all__ = ["measure"]


def measure(
    *,
    tasks: Annotated[str, Parameter(name=["--tasks", "--task"], group=WHAT)] = "all",
    hardware_type: Annotated[str | None, Parameter(group=WHAT)] = None,
    show_task_list: Annotated[bool, flag(WHAT)] = False,
    show_hardware_list: Annotated[bool, flag(WHAT)] = False,
    quick: Annotated[bool, flag(HOW)] = False,
    seed: Annotated[int, Parameter(group=HOW)] = 0,
    weights: Annotated[Weights, Parameter(group=HOW)] = "auto",
    keep_timeline: Annotated[bool, flag(HOW)] = False,
    answers: Annotated[Path | None, Parameter(group=HOW)] = None,
    ask: Annotated[bool | None, flag(HOW, "--no_ask")] = None,
    hardware_card: Annotated[str, Parameter(group=HOW)] = "auto",
    repeat: Annotated[int, Parameter(group=HOW)] = 1,
    silence_seconds: Annotated[float | None, Parameter(group=HOW)] = None,
    resume: Annotated[Path | None, Parameter(group=WHAT)] = None,
    overrides: Overrides = Overrides(),
    load: LoadOverrides = LoadOverrides(),
    judgement: Judgement = Judgement(),
    places: Places = Places(),
    cluster: Cluster = Cluster(),
) -> int:
    """Run tasks on a hardware type and report.

    Parameters
    ----------
    tasks
        all: every model; ops: the parts that models are made of; or a comma list of
        task names, glob patterns and .json paths.
    hardware_type
        Backend to measure, such as CPU; several as a comma list. Required.
    show_task_list
        List the tasks and exit.
    show_hardware_list
        List the hardware types and exit.
    quick
        A first look: each task's first two batch sizes, short points.
    seed
        Seed of the samples and of their order.
    weights
        auto: trained weights if they were downloaded before, else seeded ones;
        download: fetch them first.
    keep_timeline
        Also write every query's row (.npy) beside the result.
    answers
        JSON file that answers the backend's questions; nobody is asked then.
    ask
        Ask the backend's questions, if there is a terminal; --no_ask takes defaults.
        Left out: a backend's that does not come with the package.
    hardware_card
        Peaks of the device, to say what share was reached: a name such as nvidia-t4, a
        .json file, host, or none. auto: the host's for backends that run on it.
    repeat
        Measure everything so many times, each time anew in a folder of its own below
        --out, and report the spread between them.
    silence_seconds
        Longest silence of a worker before it is taken for hung and ended. Default:
        what its phase may need, from minutes (start) to an hour (compile).
    resume
        Go on with a run that was cut off: its --out folder. Everything else is as that
        run was asked for; only --ui may be given with it.
    overrides
        Workload fields.
    load
        Workload fields about load.
    judgement
        What is said about each point's latency.
    places
        Files and folders.
    cluster
        Other machines.
    """
    from bytemlperf.cli import display
    from bytemlperf.cli.request import (
        make_request,
        resume_request,
        select_hardware,
        select_tasks,
    )

    if show_task_list or show_hardware_list:
        return display.show_lists(
            show_task_list, show_hardware_list, places.backend_path
        )
    cluster.check()
    if repeat < 1:
        raise ConfigError(f"--repeat is 1 or more, not {repeat}")
    if resume is not None and is_repeated(resume):
        from bytemlperf.cli.variants_display import resume_repeats

        return resume_repeats(resume, resume_request(resume), ui=places.ui)
    if resume is not None:
        return display.show_measurement(resume_request(resume), places.ui, cluster)
    request = make_request(
        select_tasks(tasks, overrides, quick=quick, load=load),
        places,
        hardware_types=select_hardware(hardware_type, places.backend_path),
        weights=weights,
        seed=seed,
        point_seconds=overrides.default_point_seconds(quick=quick),
        keep_timeline=keep_timeline,
        answers=answers,
        hardware_card=hardware_card,
        judgement=judgement,
        silence_seconds=silence_seconds,
    )
    for task in request.tasks:
        if cluster.launcher != "local" and task.workload.affinity is not None:
            raise ConfigError(
                f"the affinity of {task.name} names processors of one machine, but "
                "the launcher brings it to others",
                hint="leave --launcher out, or the affinity",
            )
        if cluster.spread and task.workload.is_open:
            raise ConfigError(
                f"--spread shares clients between machines, but the scenario "
                f"{task.workload.scenario} of {task.name} has none",
                hint="leave --spread out, or measure a closed loop",
            )
    if repeat > 1:
        from bytemlperf.cli.variants_display import show_repeats

        return show_repeats(request, repeat, ui=places.ui)
    return display.show_measurement(request, places.ui, cluster, ask=ask)
