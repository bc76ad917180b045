"""The options of a recorded command line that a repetition takes over.

Input: the words of a command, as a result keeps them. Output: options by name, or what
cannot be known of them. Workload fields are not read here: the result has them all.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from bytemlperf.errors import ConfigError

__all__ = ["Recorded", "recorded_options"]

PATHS = ("model_path", "data_path", "backend_path")
VALUES = (*PATHS, "weights", "slo", "percentiles", "hardware_card", "iterations")
FLAGS = ("quick", "download_data")


class Recorded(msgspec.Struct, frozen=True):
    """What was typed.

    Parameters
    ----------
    values : dict of str to str
        Options with a value, by name with underscores; the last one counts.
    flags : set of str
        Those that were given without one.
    """

    values: dict[str, str]
    flags: set[str]

    def path(self, name: str, given: Path | None) -> Path | None:
        """Return a path: the one given now, else the recorded one, which must exist.

        Parameters
        ----------
        name : str
            Of the option.
        given : Path or None
            On the command line that repeats it.

        Returns
        -------
        Path or None
            None: it was measured without.

        Raises
        ------
        ConfigError
            There is nothing at the recorded place.
        """
        recorded = self.values.get(name)
        if given is not None or recorded is None:
            return given
        path = Path(recorded)
        if not path.exists():
            raise ConfigError(
                f"it was measured with --{name} {recorded}, and there is no such file "
                "or folder here",
                hint=f"give --{name}, or run it from the folder that it was run from",
            )
        return path


def recorded_options(words: Sequence[str]) -> Recorded:
    """Read a recorded command line.

    Parameters
    ----------
    words : sequence of str
        The program's name and what followed it.

    Returns
    -------
    Recorded
        Of the options that are not in the workload.

    Raises
    ------
    ConfigError
        A setting of one of several runs (``sweep``, ``ab``) says where the run came
        from; which of its values this run had is not recorded.
    """
    values: dict[str, str] = {}
    flags: set[str] = set()
    for place, word in enumerate(words):
        if not word.startswith("--"):
            continue
        name, sign, value = word.removeprefix("--").partition("=")
        name = name.replace("-", "_")
        following = words[place + 1] if place + 1 < len(words) else ""
        if name in FLAGS:
            flags.add(name)
        elif name in VALUES:
            values[name] = value if sign else following
        elif name in {"axis", "a", "b"}:
            settings = value if sign else following
            for each in ("model_path", "backend_path", "weights"):
                if f"{each}=" in settings.replace("-", "_"):
                    raise ConfigError(
                        f"it was one of several runs with --{name} {settings}, and "
                        f"which {each} it had is not recorded",
                        hint="repeat the whole command instead",
                    )
    return Recorded(values, flags)
