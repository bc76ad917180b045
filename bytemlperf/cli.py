"""A command line in, one call into the launcher, an exit code out.

The only module that prints and that decides exit codes: 0 ok, 2 usage, 3 a backend or a
point failed, 4 ran but not a valid measurement, 130 interrupted, 70 our own bug.
Nothing heavy is imported before the arguments are known, so that ``--help`` is quick.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, CycloptsError, Group, Parameter

import bytemlperf
from bytemlperf.errors import BytemlperfError, ConfigError

if TYPE_CHECKING:
    from bytemlperf.launch.request import SessionRequest
    from bytemlperf.report.live import PlainObserver, SilentObserver
    from bytemlperf.workloads import WorkloadFile

__all__ = ["run"]

EXIT_USAGE = 2
EXIT_INTERNAL = 70
EXIT_INTERRUPTED = 130
QUICK_POINT_SECONDS = 3.0
QUICK_BATCH_SIZES = 2
DEFAULT_POINT_SECONDS = 10.0

WHAT = Group.create_ordered("What to measure")
HOW = Group.create_ordered("How to measure it")
FIELDS = Group.create_ordered("Workload fields, overridden in every selected workload")
WHERE = Group.create_ordered("Where things are")

Ui = Literal["rich", "plain", "none"]
Weights = Literal["auto", "seeded", "download"]


def _flag(group: Group, negative: str = "") -> Any:
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
        Time limit of one batch size's measured window: 10, or 3 with --quick. With
        --iterations alone there is none: so many queries are asked for, so many run.
    """

    model: Annotated[str | None, Parameter(group=FIELDS)] = None
    test_perf: Annotated[bool | None, _flag(FIELDS, "--no_test_perf")] = None
    test_accuracy: Annotated[bool | None, _flag(FIELDS, "--no_test_accuracy")] = None
    test_numeric: Annotated[bool | None, _flag(FIELDS, "--no_test_numeric")] = None
    clients: Annotated[int | None, Parameter(group=FIELDS)] = None
    iterations: Annotated[int | None, Parameter(group=FIELDS)] = None
    batch_sizes: Annotated[str | None, Parameter(group=FIELDS)] = None
    data_percent: Annotated[float | None, Parameter(group=FIELDS)] = None
    compile_only: Annotated[bool | None, _flag(FIELDS, "--no_compile_only")] = None
    point_seconds: Annotated[float | None, Parameter(group=FIELDS)] = None

    def default_point_seconds(self, *, quick: bool) -> float | None:
        """Return the time limit of points whose workload sets none."""
        if self.iterations is not None:
            return None
        return QUICK_POINT_SECONDS if quick else DEFAULT_POINT_SECONDS

    def fields(self) -> dict[str, Any]:
        """Return the fields that were given, by name, in the workload's types."""
        given = {
            name: value for name, value in asdict(self).items() if value is not None
        }
        if self.batch_sizes is not None:
            given["batch_sizes"] = _batch_sizes(self.batch_sizes)
        return given


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
    backend_path
        A hardware folder, or a folder of them, outside the package.
    model_path
        Model file or folder to use instead of the zoo's.
    ui
        rich, plain, or none, which prints only where the results are.
    """

    out: Annotated[Path, Parameter(group=WHERE)] = Path("reports")
    cache: Annotated[Path | None, Parameter(group=WHERE)] = None
    data_path: Annotated[Path | None, Parameter(group=WHERE)] = None
    backend_path: Annotated[Path | None, Parameter(group=WHERE)] = None
    model_path: Annotated[Path | None, Parameter(group=WHERE)] = None
    ui: Annotated[Ui | None, Parameter(group=WHERE)] = None


app = App(
    name="bytemlperf",
    version=bytemlperf.__version__,
    help="Measure inference systems: how fast, how accurate, how faithful, how "
    "completely compiled a model is on a piece of hardware.",
    help_epilogue="Exit codes: 0 ok, 2 usage, 3 a backend or point failed, 4 ran but "
    "not a valid measurement, 130 interrupted.",
    usage="Usage: python -m bytemlperf [prepare] --tasks all --hardware_type CPU",
    # The original's spelling; the parser takes dashes for underscores as well.
    default_parameter=Parameter(name_transform=lambda name: name),
    exit_on_error=False,
    print_error=False,
)


@app.default
def measure(
    *,
    tasks: Annotated[str, Parameter(name=["--tasks", "--task"], group=WHAT)] = "all",
    hardware_type: Annotated[str | None, Parameter(group=WHAT)] = None,
    show_task_list: Annotated[bool, _flag(WHAT)] = False,
    show_hardware_list: Annotated[bool, _flag(WHAT)] = False,
    quick: Annotated[bool, _flag(HOW)] = False,
    seed: Annotated[int, Parameter(group=HOW)] = 0,
    weights: Annotated[Weights, Parameter(group=HOW)] = "auto",
    keep_timeline: Annotated[bool, _flag(HOW)] = False,
    answers: Annotated[Path | None, Parameter(group=HOW)] = None,
    overrides: Overrides = Overrides(),
    places: Places = Places(),
) -> int:
    """Run tasks on a hardware type and report.

    Parameters
    ----------
    tasks
        all, or a comma list of task names, glob patterns and .json paths.
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
        JSON file that answers the backend's questions.
    overrides
        Workload fields.
    places
        Files and folders.
    """
    if show_task_list or show_hardware_list:
        return _show_lists(show_task_list, show_hardware_list, places.backend_path)
    hardware_types = _hardware_types(hardware_type, places.backend_path)
    selected = _select(tasks, overrides, quick)
    request = _request(
        selected,
        places,
        hardware_types=hardware_types,
        weights=weights,
        seed=seed,
        point_seconds=overrides.default_point_seconds(quick=quick),
        keep_timeline=keep_timeline,
        answers=answers,
    )
    return _measure(request, places.ui)


@app.command
def prepare(
    *,
    tasks: Annotated[str, Parameter(name=["--tasks", "--task"], group=WHAT)] = "all",
    weights: Annotated[Weights, Parameter(group=HOW)] = "auto",
    seed: Annotated[int, Parameter(group=HOW)] = 0,
    places: Places = Places(),
) -> int:
    """Build or download models and samples into the cache, and measure nothing.

    Parameters
    ----------
    tasks
        all, or a comma list of task names, glob patterns and .json paths.
    weights
        download: fetch trained weights where they exist, checked by their hash.
    seed
        Seed of the samples.
    places
        Files and folders.
    """
    from bytemlperf.launch.session import prepare_session

    request = _request(
        _select(tasks, Overrides(), quick=False),
        places,
        hardware_types=("CPU",),
        weights=weights,
        seed=seed,
    )
    with _observer(places.ui) as observer:
        return prepare_session(request, observer)


def run(argv: Sequence[str]) -> int:
    """Run a command line.

    Parameters
    ----------
    argv : sequence of str
        Arguments without the program's name.

    Returns
    -------
    int
        The exit code.
    """
    try:
        code = app(list(argv))
    except CycloptsError as error:
        print(f"bytemlperf: {_parse_message(error)}", file=sys.stderr)
        print("hint: python -m bytemlperf --help", file=sys.stderr)
        return EXIT_USAGE
    except BytemlperfError as error:
        print(f"bytemlperf: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("bytemlperf: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has gone; what is measured is on disk.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception:
        traceback.print_exc()
        print("bytemlperf: this is our own bug; please report it", file=sys.stderr)
        return EXIT_INTERNAL
    return code if isinstance(code, int) else 0


def _select(asked: str, overrides: Overrides, quick: bool) -> list[WorkloadFile]:
    """Resolve tasks and lay the command line's fields over them."""
    import msgspec

    from bytemlperf.workloads import Workload, find_workloads

    fields = overrides.fields()
    selected = []
    for file in find_workloads(asked):
        merged = msgspec.to_builtins(file.workload) | fields
        if quick and overrides.batch_sizes is None:
            merged["batch_sizes"] = merged["batch_sizes"][:QUICK_BATCH_SIZES]
        try:
            workload = msgspec.convert(merged, Workload)
        except msgspec.ValidationError as error:
            raise ConfigError(
                f"command line: {str(error).replace('$.', '--')}",
                hint="see the workload fields in --help",
            ) from error
        selected.append(msgspec.structs.replace(file, workload=workload))
    return selected


def _batch_sizes(text: str) -> list[int]:
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


def _hardware_types(asked: str | None, backend_path: Path | None) -> tuple[str, ...]:
    """Resolve the hardware types; there is no default."""
    from bytemlperf.backends import find_backend, list_backends

    names = [name.strip() for name in (asked or "").split(",") if name.strip()]
    if not names:
        known = ", ".join(info.hardware_type for info in list_backends(backend_path))
        raise ConfigError(
            "--hardware_type is required", hint=f"hardware types that exist: {known}"
        )
    found = [find_backend(name, backend_path).hardware_type for name in names]
    return tuple(dict.fromkeys(found))


def _request(
    selected: list[WorkloadFile],
    places: Places,
    *,
    hardware_types: tuple[str, ...],
    weights: Weights,
    seed: int,
    point_seconds: float | None = DEFAULT_POINT_SECONDS,
    keep_timeline: bool = False,
    answers: Path | None = None,
) -> SessionRequest:
    """Put everything that was asked for into one value."""
    import platformdirs

    from bytemlperf.datasets import find_data_root
    from bytemlperf.launch.request import SessionRequest

    if places.model_path is not None and len(selected) != 1:
        raise ConfigError(
            f"--model_path replaces one task's model, but {len(selected)} are selected",
            hint="name one task with --tasks",
        )
    for option, path in (
        ("--model_path", places.model_path),
        ("--data_path", places.data_path),
        ("--answers", answers),
    ):
        if path is not None and not path.exists():
            raise ConfigError(f"{option} {path}: there is no such file or folder")
    cache = places.cache or Path(
        os.environ.get("BYTEMLPERF_CACHE") or platformdirs.user_cache_dir("bytemlperf")
    )
    return SessionRequest(
        tasks=tuple(selected),
        hardware_types=hardware_types,
        backend_path=places.backend_path,
        out_dir=places.out,
        cache_dir=cache,
        data_root=places.data_path or find_data_root(),
        model_path=places.model_path,
        weights=weights,
        seed=seed,
        point_seconds=point_seconds,
        keep_timeline=keep_timeline,
        answers=answers,
        command_line=("bytemlperf", *sys.argv[1:]),
    )


def _measure(request: SessionRequest, ui: Ui | None) -> int:
    """Run, then print what a person wants to read: results on standard output."""
    from bytemlperf.launch.session import run_session
    from bytemlperf.report.console import invocation_report, open_console, task_report
    from bytemlperf.report.storage import OutFolder, read_result

    with _observer(ui) as observer:
        index = run_session(request, observer)
    out = OutFolder(request.out_dir)
    if ui == "none":
        print(out.index)
        return index.exit_code
    console = open_console(sys.stdout)
    results = []
    for entry in index.tasks:
        if entry.result_file is not None:
            path = out.path / entry.result_file
            results.append(read_result(path))
            console.print(task_report(results[-1], path))
            console.print()
    console.print(invocation_report(index, results, out.index))
    return index.exit_code


def _observer(ui: Ui | None) -> PlainObserver | SilentObserver:
    """Return what shows the progress: a bar on a terminal, else plain lines."""
    from bytemlperf.report.console import open_console
    from bytemlperf.report.live import PlainObserver, RichObserver, SilentObserver
    from bytemlperf.runtime.clock import now_ns

    if ui == "none":
        return SilentObserver()
    if ui == "rich" or (ui is None and sys.stderr.isatty()):
        return RichObserver(open_console(sys.stderr), now_ns)
    return PlainObserver(lambda line: print(line, file=sys.stderr, flush=True))


def _show_lists(tasks: bool, hardware: bool, backend_path: Path | None) -> int:
    """Print what exists, one name a line."""
    from bytemlperf.backends import list_backends
    from bytemlperf.workloads import list_workloads

    if tasks:
        for name in list_workloads():
            print(name)
    if hardware:
        for info in list_backends(backend_path):
            print(info.hardware_type)
    return 0


def _parse_message(error: CycloptsError) -> str:
    """Return the parser's complaint as one line, without its box."""
    return " ".join(str(error).split())
