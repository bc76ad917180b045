"""The verb `backend`: start a new one, and check one against the contract."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from bytemlperf.cli.options import HOW, WHERE, Ui

__all__ = ["backend"]

backend = App(
    name="backend",
    help="Start a backend of your own, or check one against the contract.",
    default_parameter=Parameter(name_transform=lambda name: name),
)


@backend.command
def init(
    name: str,
    /,
    *,
    out: Annotated[Path, Parameter(group=WHERE)] = Path(),
) -> int:
    """Write a folder with a backend that works: replace its runtime by yours.

    Parameters
    ----------
    name
        The hardware type, such as GOYA: letters, digits and underscores.
    out
        The folder is made in this one.
    """
    from bytemlperf.launch.skeleton import write_skeleton

    folder = write_skeleton(name, out)
    for path in sorted(folder.iterdir()):
        print(path)
    where = f"{folder.name} --backend_path {folder}"
    print(
        "\nNow: put your compiler into the marked places, then\n"
        f"  python -m bytemlperf backend check {where}\n"
        f"  python -m bytemlperf --tasks 'yolov5*' --quick --hardware_type {where}"
    )
    return 0


@backend.command
def check(
    name: str,
    /,
    *,
    answers: Annotated[Path | None, Parameter(group=HOW)] = None,
    backend_path: Annotated[Path | None, Parameter(group=WHERE)] = None,
    out: Annotated[Path, Parameter(group=WHERE)] = Path("reports"),
    cache: Annotated[Path | None, Parameter(group=WHERE)] = None,
    wheels: Annotated[Path | None, Parameter(group=WHERE)] = None,
    ui: Annotated[Ui | None, Parameter(group=WHERE)] = None,
) -> int:
    """Try every rule of the contract on a backend, and grade it.

    Exit code: 0 if all rules that must hold do (grade A or B), else 3.

    Parameters
    ----------
    name
        The hardware type.
    answers
        JSON file that answers the backend's questions.
    backend_path
        A hardware folder, or a folder of them, outside the package.
    out
        Folder for the report.
    cache
        Folder for environments.
    wheels
        Folder of wheels to install an environment from, without a network (default:
        BYTEMLPERF_WHEELS, or else the package index).
    ui
        rich, plain, or none, which prints only where the report is.
    """
    from bytemlperf.cli import display
    from bytemlperf.cli.request import cache_folder
    from bytemlperf.launch.conformance import ConformanceRequest

    return display.show_conformance(
        ConformanceRequest(
            hardware_type=name,
            backend_path=backend_path,
            out_dir=out,
            cache_dir=cache_folder(cache),
            answers=answers,
            wheels=wheels,
        ),
        ui,
    )
