"""The options that several commands share, and what they turn into.

Input: words of the command line, parsed by their types. Output: frozen values. Nothing
heavy is imported: `--help` reads this module.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Group, Parameter

from bytemlperf.errors import ConfigError

__all__ = [
    "FIELDS",
    "HOW",
    "WHAT",
    "WHERE",
    "Cluster",
    "Overrides",
    "Places",
    "Ui",
    "Weights",
    "batch_size_list",
    "flag",
]

QUICK_POINT_SECONDS = 3.0
DEFAULT_POINT_SECONDS = 10.0

WHAT = Group.create_ordered("What to measure")
HOW = Group.create_ordered("How to measure it")
FIELDS = Group.create_ordered("Workload fields, overridden in every selected workload")
WHERE = Group.create_ordered("Where things are")

Launcher = Literal["local", "ray"]
Ui = Literal["rich", "plain", "none"]
Weights = Literal["auto", "seeded", "download"]


def flag(group: Group, negative: str = "") -> Any:
    """Return a boolean option's parameter; no negative unless one is named."""
    return Parameter(group=group, negative=negative or ())


@Parameter(name="*")
@dataclass(frozen=True)
class Overrides:
    """Workload fields given on the command line.

    Parameters
    ----------
    model
        Model of the zoo.
    test_perf
        Measure performance.
    test_accuracy
        Score accuracy.
    test_numeric
        Compare outputs with the float64 reference.
    clients
        Client coroutines that submit queries.
    iterations
        Queries submitted by each client.
    batch_sizes
        Samples per query, a comma list; one point each.
    data_percent
        Share of the dataset that accuracy is scored on, up to 100.
    compile_only
        Compile, report and stop.
    point_seconds
        Time limit of one batch size's measured window, and the length of an open loop's
        schedule, in seconds: 10, or 3 with --quick. In a closed loop with --iterations
        alone there is none: so many queries are asked for, so many run.
    processes
        Processes that share the clients, each with its own instance of the model.
    accuracy_target
        Share of the reference score that accuracy must reach, or exit code 1: 0.99.
    min_snr_db
        Signal-to-noise ratio that every output must have, or exit code 1; left out, the
        one that goes with the precision.
    perf_seconds
        Wall time of all batch sizes together, loading and warming up included. One that
        is predicted not to fit is skipped and reported; the first never is. Left out:
        the workload's, or no limit with --point_seconds or --iterations.
    """

    model: Annotated[str | None, Parameter(group=FIELDS)] = None
    test_perf: Annotated[bool | None, flag(FIELDS, "--no_test_perf")] = None
    test_accuracy: Annotated[bool | None, flag(FIELDS, "--no_test_accuracy")] = None
    test_numeric: Annotated[bool | None, flag(FIELDS, "--no_test_numeric")] = None
    clients: Annotated[int | None, Parameter(group=FIELDS)] = None
    iterations: Annotated[int | None, Parameter(group=FIELDS)] = None
    batch_sizes: Annotated[str | None, Parameter(group=FIELDS)] = None
    data_percent: Annotated[float | None, Parameter(group=FIELDS)] = None
    compile_only: Annotated[bool | None, flag(FIELDS, "--no_compile_only")] = None
    point_seconds: Annotated[
        float | None, Parameter(name=["--point_seconds", "--duration"], group=FIELDS)
    ] = None
    processes: Annotated[int | None, Parameter(group=FIELDS)] = None
    accuracy_target: Annotated[float | None, Parameter(group=FIELDS)] = None
    min_snr_db: Annotated[float | None, Parameter(group=FIELDS)] = None
    perf_seconds: Annotated[float | None, Parameter(group=FIELDS)] = None

    def default_point_seconds(self, *, quick: bool) -> float | None:
        """Return the time limit of points whose workload sets none."""
        if self.iterations is not None:
            return None
        return QUICK_POINT_SECONDS if quick else DEFAULT_POINT_SECONDS

    def fields(self) -> dict[str, Any]:
        """Return the fields that were given, by name, in the workload's types."""
        given: dict[str, Any] = {
            name: value for name, value in asdict(self).items() if value is not None
        }
        # A workload's limits fit its own points; who says how long they are wants them.
        if self.iterations is not None:
            given = {"point_seconds": None, "perf_seconds": None} | given
        elif self.point_seconds is not None:
            given = {"perf_seconds": None} | given
        if self.batch_sizes is not None:
            given["batch_sizes"] = batch_size_list(self.batch_sizes)
        return given


@Parameter(name="*")
@dataclass(frozen=True)
class Cluster:
    """Whether other machines take part.

    Parameters
    ----------
    launcher
        local: this machine. ray: the machines of a Ray cluster, one task at a time on
        each.
    address
        The cluster's head node, such as 10.0.0.1:6379; left out: the cluster this
        machine belongs to, or else this machine alone.
    spread
        Load every point from all machines at once, which share its clients.
    """

    launcher: Annotated[Launcher, Parameter(group=WHERE)] = "local"
    address: Annotated[str | None, Parameter(group=WHERE)] = None
    spread: Annotated[bool, flag(WHERE)] = False

    def check(self) -> None:
        """Refuse what would be silently ignored."""
        if self.launcher == "local" and (self.address is not None or self.spread):
            given = "--address" if self.address is not None else "--spread"
            raise ConfigError(
                f"{given} is about a cluster's machines, but the launcher is local",
                hint="add --launcher ray",
            )


@Parameter(name="*")
@dataclass(frozen=True)
class Places:
    """Where things are, and how the run is shown.

    Parameters
    ----------
    out
        Folder for results.
    cache
        Folder for built models, samples and environments.
    data_path
        Folder of real data (default: BYTEMLPERF_DATA).
    download_data
        Fetch the tasks' datasets into the cache where they are missing, checked by
        their hash.
    backend_path
        A hardware folder, or a folder of them, outside the package.
    model_path
        Model file or folder to use instead of the zoo's.
    wheels
        Folder of wheels to install backends' environments from, without a network
        (default: BYTEMLPERF_WHEELS, or else the package index).
    ui
        rich, plain, or none, which prints only where the results are.
    """

    out: Annotated[Path, Parameter(group=WHERE)] = Path("reports")
    cache: Annotated[Path | None, Parameter(group=WHERE)] = None
    data_path: Annotated[Path | None, Parameter(group=WHERE)] = None
    download_data: Annotated[bool, flag(WHERE)] = False
    backend_path: Annotated[Path | None, Parameter(group=WHERE)] = None
    model_path: Annotated[Path | None, Parameter(group=WHERE)] = None
    wheels: Annotated[Path | None, Parameter(group=WHERE)] = None
    ui: Annotated[Ui | None, Parameter(group=WHERE)] = None


def batch_size_list(text: str) -> list[int]:
    """Read a comma list of batch sizes."""
    try:
        sizes = [int(part) for part in text.split(",")]
    except ValueError:
        sizes = []
    if not sizes or min(sizes) < 1 or len(set(sizes)) < len(sizes):
        raise ConfigError(
            f"--batch_sizes {text!r}: expected different whole numbers >= 1",
            hint="for example --batch_sizes 1,8,32",
        )
    return sizes
