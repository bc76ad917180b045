"""The verb `env`: the environments made for backends, listed and removed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from bytemlperf.cli.options import WHERE

__all__ = ["environments"]

environments = App(
    name="env",
    help="List or remove the environments that were made for backends.",
    default_parameter=Parameter(name_transform=lambda name: name),
)


@environments.command(name="list")
def list_made(*, cache: Annotated[Path | None, Parameter(group=WHERE)] = None) -> int:
    """List the environments, with their size and what they were made for.

    Parameters
    ----------
    cache
        Folder for built models, samples and environments.
    """
    from bytemlperf.cli.request import cache_folder
    from bytemlperf.launch.environments import list_environments
    from bytemlperf.report.units import format_bytes

    made = list_environments(cache_folder(cache))
    for each in made:
        what = each.requirements or "never finished"
        print(f"{each.key}  {format_bytes(each.bytes)}  {what}")
    if not made:
        print("no environments: every backend so far ran in this Python")
    return 0


@environments.command(name="remove")
def remove_made(
    *names: str, cache: Annotated[Path | None, Parameter(group=WHERE)] = None
) -> int:
    """Remove environments; a run that needs one makes it again.

    Parameters
    ----------
    names
        Keys as `env list` shows them, hardware types, or all.
    cache
        Folder for built models, samples and environments.
    """
    from bytemlperf.cli.request import cache_folder
    from bytemlperf.errors import ConfigError
    from bytemlperf.launch.environments import remove_environments
    from bytemlperf.report.units import format_bytes

    if not names:
        raise ConfigError(
            "env remove: expected what to remove",
            hint="a key of `env list`, a hardware type, or all",
        )
    gone = remove_environments(cache_folder(cache), list(names))
    for each in gone:
        print(f"removed {each.key}, {format_bytes(each.bytes)}")
    if not gone:
        print("no environments")
    return 0
