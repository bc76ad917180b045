"""Where a result came from that another tool measured."""

from __future__ import annotations

from typing import Literal

import msgspec

__all__ = ["ImportedFrom"]


class ImportedFrom(msgspec.Struct, frozen=True):
    """Another tool's measurement, in our words.

    Parameters
    ----------
    tool : str
        Who measured.
    version : str or None
        Of the tool, if it says so.
    file : str
        Name of the file that was read.
    notes : list of str
        How its figures differ from ours of the same name, and what it does not tell.
    """

    tool: Literal["ByteMLPerf", "MLPerf LoadGen"]
    version: str | None
    file: str
    notes: list[str]
