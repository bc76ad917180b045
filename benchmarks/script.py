"""The frame of every script: its options, its result, and how that is printed."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from pathlib import PurePath
from typing import Literal, NamedTuple, TypeVar

import msgspec

from benchmarks.contenders.ours import NotBuiltError
from benchmarks.results import ScriptResult, read_machine
from benchmarks.table import format_bars, format_costs, format_details
from benchmarks.windows import Contender

__all__ = ["Settings", "add_options", "enter_ours", "run_script", "settings_from"]

Scale = Literal["tiny", "quick", "thorough"]
T = TypeVar("T")


class Settings(NamedTuple):
    """How much a script measures.

    Parameters
    ----------
    scale : "tiny", "quick" or "thorough"
        Size of the windows; tiny only shows that a script works.
    windows : int
        Rounds of windows, >= 1.
    options : Namespace
        All that was asked for, a script's own options among it.
    """

    scale: Scale
    windows: int
    options: argparse.Namespace

    def pick(self, tiny: T, quick: T, thorough: T) -> T:
        """Choose by scale.

        Parameters
        ----------
        tiny, quick, thorough : object
            What there is to choose from.

        Returns
        -------
        object
            One of them.
        """
        return {"tiny": tiny, "quick": quick, "thorough": thorough}[self.scale]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that all scripts share.

    Parameters
    ----------
    parser : ArgumentParser
        To add them to.
    """
    parser.add_argument("--json", action="store_true", help="print JSON, not tables")
    scale = parser.add_mutually_exclusive_group()
    scale.add_argument(
        "--thorough", action="store_true", help="larger windows, and 11 of them"
    )
    scale.add_argument(
        "--tiny",
        action="store_true",
        help="only show that it works: the figures mean nothing",
    )
    parser.add_argument(
        "--windows", type=int, help="rounds of windows (default 5, tiny 1)"
    )


def settings_from(options: argparse.Namespace) -> Settings:
    """Read the shared options.

    Parameters
    ----------
    options : Namespace
        Parsed.

    Returns
    -------
    Settings
        What they ask for.
    """
    scale: Scale = "quick"
    if options.tiny:
        scale = "tiny"
    elif options.thorough:
        scale = "thorough"
    windows = options.windows or {"tiny": 1, "quick": 5, "thorough": 11}[scale]
    return Settings(scale, max(1, windows), options)


def enter_ours(
    stack: ExitStack,
    contender: Callable[[], AbstractContextManager[Contender]],
    missing: dict[str, str],
    *bars: str,
) -> Contender | None:
    """Open one of our own contenders, if it is built.

    Parameters
    ----------
    stack : ExitStack
        Closes it.
    contender : callable
        Makes it: a function of `benchmarks.contenders.ours`, with its arguments.
    missing : dict of str to str
        Gets why each bar cannot be judged, if it is not built.
    *bars : str
        Bars that depend on it.

    Returns
    -------
    Contender or None
        None if it is not built.
    """
    try:
        return stack.enter_context(contender())
    except NotBuiltError as error:
        for bar in bars:
            missing[bar] = str(error)
        return None


def run_script(
    file: str,
    description: str | None,
    measure: Callable[[Settings, ScriptResult], None],
    add_own: Callable[[argparse.ArgumentParser], None] | None = None,
) -> None:
    """Be the main program of a script.

    Parameters
    ----------
    file : str
        Its ``__file__``.
    description : str or None
        Its docstring: what it measures, and what it does not.
    measure : callable
        ``measure(settings, result)`` measures and reports into the result.
    add_own : callable, optional
        Adds options of its own; `measure` finds them in `Settings.options`.
    """
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_options(parser)
    if add_own is not None:
        add_own(parser)
    options = parser.parse_args()
    settings = settings_from(options)
    result = ScriptResult(
        script=PurePath(file).stem,
        scale=settings.scale,
        windows=settings.windows,
        costs={},
        details={},
        reached=[],
        machine=read_machine(),
    )
    measure(settings, result)
    if options.json:
        print(msgspec.json.format(msgspec.json.encode(result)).decode())
        return
    for text in (
        format_costs(result.costs),
        format_details(result.details),
        format_bars(result.reached, only_these=True),
    ):
        if text:
            print(text, end="\n\n")
