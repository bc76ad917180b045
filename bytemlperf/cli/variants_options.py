"""What the verbs that run a request several times have in common.

Input: words of the command line. Output: a request, axes and settings. Nothing heavy is
imported: `--help` reads this module.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from bytemlperf.cli.load_options import LoadOverrides
from bytemlperf.cli.options import HOW, WHAT, Overrides, Places, Weights, flag
from bytemlperf.cli.statistics_options import Judgement
from bytemlperf.errors import ConfigError

if TYPE_CHECKING:
    from bytemlperf.launch.request import SessionRequest

__all__ = [
    "Asked",
    "command_line",
    "is_repeated",
    "parse_axes",
    "parse_settings",
]


@Parameter(name="*")
@dataclass(frozen=True)
class Asked:
    """What is measured in every one of the runs.

    Parameters
    ----------
    tasks
        all, or a comma list of task names, glob patterns and .json paths.
    hardware_type
        Backend to measure, such as CPU. Required.
    quick
        Short points, and the first two batch sizes.
    seed
        Seed of the samples and of their order.
    weights
        auto, seeded or download.
    answers
        JSON file that answers the backend's questions.
    with_quality
        Also score accuracy and compare numerics, in every run.
    resume
        Go on with a command that was cut off: runs in --out that are done stay.
    """

    tasks: Annotated[str, Parameter(name=["--tasks", "--task"], group=WHAT)] = "all"
    hardware_type: Annotated[str | None, Parameter(group=WHAT)] = None
    quick: Annotated[bool, flag(HOW)] = False
    seed: Annotated[int, Parameter(group=HOW)] = 0
    weights: Annotated[Weights, Parameter(group=HOW)] = "auto"
    answers: Annotated[Path | None, Parameter(group=HOW)] = None
    with_quality: Annotated[bool, flag(HOW)] = False
    resume: Annotated[bool, flag(HOW)] = False

    def request(
        self,
        overrides: Overrides,
        load: LoadOverrides,
        judgement: Judgement,
        places: Places,
        *,
        axes: Sequence[str] = (),
    ) -> SessionRequest:
        """Return what all runs have in common; `axes` are set later, by name."""
        import dataclasses

        from bytemlperf.cli.request import make_request, select_hardware, select_tasks

        if not self.with_quality:
            overrides = dataclasses.replace(
                overrides, test_accuracy=False, test_numeric=False
            )
        if "rate" in axes and load.rate is None:
            # Any will do: every run sets its own.
            load = dataclasses.replace(load, rate=1000.0)
        if ("rate" in axes or load.rate is not None) and load.scenario is None:
            load = dataclasses.replace(load, scenario="server")
        return make_request(
            select_tasks(self.tasks, overrides, quick=self.quick, load=load),
            places,
            hardware_types=select_hardware(self.hardware_type, places.backend_path),
            weights=self.weights,
            seed=self.seed,
            point_seconds=overrides.default_point_seconds(quick=self.quick),
            answers=self.answers,
            judgement=judgement,
        )


def parse_axes(texts: Sequence[str]) -> dict[str, list[str]]:
    """Read ``name=value,value`` for every axis."""
    axes: dict[str, list[str]] = {}
    for text in texts:
        name, sign, values = text.partition("=")
        found = [value.strip() for value in values.split(",") if value.strip()]
        name = name.strip().replace("-", "_")
        if not sign or not name or not found or len(set(found)) < len(found):
            raise ConfigError(
                f"--axis {text!r}: expected a name and different values",
                hint="for example --axis max_delay_us=0,200,1000",
            )
        if name in axes:
            raise ConfigError(f"--axis {name} is given twice")
        axes[name] = found
    if not axes:
        raise ConfigError(
            "there is nothing to vary", hint="for example --axis clients=1,4,16"
        )
    return axes


def parse_settings(option: str, text: str) -> dict[str, str]:
    """Read ``name=value,name=value``; an empty text changes nothing."""
    settings: dict[str, str] = {}
    for part in (piece.strip() for piece in text.split(",")):
        if not part:
            continue
        name, sign, value = part.partition("=")
        if not sign or not name.strip() or not value.strip():
            raise ConfigError(
                f"{option} {text!r}: expected name=value, several divided by commas",
                hint=f"for example {option} max_batch=8,max_delay_us=500",
            )
        settings[name.strip().replace("-", "_")] = value.strip()
    return settings


def is_repeated(folder: Path) -> bool:
    """Whether a folder holds a run that was asked for with --repeat."""
    from bytemlperf.report.storage import VARIANTS_NAME

    return (folder / VARIANTS_NAME).exists() and (folder / "request.json").exists()


def command_line() -> list[str]:
    """Return the command as typed, for the result."""
    import sys

    return ["bytemlperf", *sys.argv[1:]]
