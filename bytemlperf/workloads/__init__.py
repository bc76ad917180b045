"""What is measured: one JSON file a task, found by name, pattern or path.

Input: what the user wrote after ``--tasks``. Output: workload files, in order. The
parts that models are made of have no files: their tasks come from one table.
"""

from __future__ import annotations

import fnmatch
import hashlib
from pathlib import Path

from bytemlperf import substructures
from bytemlperf.errors import ConfigError, UnknownNameError
from bytemlperf.plug_ins import module_folder, plug_ins
from bytemlperf.substructures import FRAMEWORKS, SUBSTRUCTURES, find_substructure
from bytemlperf.workloads.load import OPEN_SCENARIOS, SCENARIOS, Load
from bytemlperf.workloads.schema import (
    Workload,
    WorkloadFile,
    parse_workload,
    read_workload,
)

__all__ = [
    "OPEN_SCENARIOS",
    "SCENARIOS",
    "Load",
    "Workload",
    "WorkloadFile",
    "find_workloads",
    "list_ops",
    "list_plug_ins",
    "list_workloads",
    "parse_workload",
    "read_workload",
]

FOLDER = Path(__file__).parent
OPS_TABLE = Path(substructures.__file__)
LEGACY_PREFIX = "open_"
ENTRY_POINT_GROUP = "bytemlperf.workloads"


def list_workloads(folder: Path = FOLDER) -> list[str]:
    """Return the names of all workloads that are whole models, sorted.

    Parameters
    ----------
    folder : Path
        Where the files are.

    Returns
    -------
    list of str
        File stems.
    """
    return sorted(path.stem for path in folder.glob("*.json"))


def list_ops() -> list[str]:
    """Return the names of all workloads that are parts of models.

    Returns
    -------
    list of str
        Such as ``"encoder_block_s128-torch-fp32"``, in the order of their table.
    """
    return [f"{part}-{name}-fp32" for part in SUBSTRUCTURES for name in FRAMEWORKS]


def list_plug_ins() -> dict[str, Path]:
    """Return the workloads that installed distributions bring.

    An entry point of the group ``bytemlperf.workloads`` names a package; the ``.json``
    files in its folder are workloads, those in its folder ``models`` model files.

    Returns
    -------
    dict of str to Path
        File by name, sorted. A name of the package's own is not among them.
    """
    own = {*list_workloads(), *list_ops()}
    files = [
        path
        for point in plug_ins(ENTRY_POINT_GROUP)
        for path in module_folder(point).glob("*.json")
        if path.stem not in own
    ]
    return {path.stem: path for path in sorted(files, key=lambda path: path.stem)}


def find_workloads(asked: str, folder: Path = FOLDER) -> list[WorkloadFile]:
    """Resolve what was asked for into workload files.

    Parameters
    ----------
    asked : str
        ``"all"``: every model of the package, so that it is the same everywhere;
        ``"ops"``: every part of models; or a comma list of names (a leading ``open_``
        is ignored), glob patterns over these and over plug-ins, and paths of ``.json``
        files.
    folder : Path
        Where named workloads are.

    Returns
    -------
    list of WorkloadFile
        Each once, in the order asked; a pattern's matches are sorted, models first.

    Raises
    ------
    UnknownNameError
        A name does not exist.
    ConfigError
        A pattern matches nothing, nothing was asked, two files share a name, or a
        file is malformed.
    """
    names = list_workloads(folder)
    found: dict[str, Path] = {}
    for part in (piece.strip() for piece in asked.split(",")):
        if not part:
            continue
        for name, path in _resolve(part, names, folder):
            known = found.setdefault(name, path)
            if known.resolve() != path.resolve():
                raise ConfigError(
                    f"two workloads are named {name!r}: {known} and {path}",
                    hint="rename one file: results are stored under its name",
                )
    if not found:
        raise ConfigError(
            "--tasks is empty", hint=f"tasks that exist: {', '.join(names)}"
        )
    return [
        _op_workload(name) if path == OPS_TABLE else read_workload(path)
        for name, path in found.items()
    ]


def _resolve(part: str, names: list[str], folder: Path) -> list[tuple[str, Path]]:
    """Resolve one element of the comma list into names and files."""
    files = {name: folder / f"{name}.json" for name in names}
    every = files | {name: OPS_TABLE for name in list_ops() if name not in files}
    every |= list_plug_ins()
    if part == "all":
        return list(files.items())
    if part == "ops":
        return [(name, OPS_TABLE) for name in list_ops()]
    if part.endswith(".json") or "/" in part:
        return [(Path(part).stem, Path(part))]
    if any(mark in part for mark in "*?["):
        matches = fnmatch.filter(every, part) or fnmatch.filter(
            every, part.removeprefix(LEGACY_PREFIX)
        )
        if not matches:
            raise ConfigError(
                f"no task matches {part!r}", hint=f"tasks: {', '.join(every)}"
            )
        return [(name, every[name]) for name in matches]
    for name in (part, part.removeprefix(LEGACY_PREFIX)):
        if name in every:
            return [(name, every[name])]
    raise UnknownNameError("task", part, every)


def _op_workload(name: str) -> WorkloadFile:
    """Make the workload of a part of models."""
    found = find_substructure(name)
    if found is None:
        raise UnknownNameError("task", name, list_ops())
    return WorkloadFile(
        name=name,
        path=OPS_TABLE,
        sha256=hashlib.sha256(OPS_TABLE.read_bytes()).hexdigest(),
        workload=Workload(
            model=name,
            test_accuracy=False,
            batch_sizes=SUBSTRUCTURES[found[0]].batch_sizes,
        ),
    )
