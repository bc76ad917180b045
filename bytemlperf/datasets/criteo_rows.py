"""Criteo's rows, read and checked: csv or tsv, with or without a header.

Input: a file. Output: rows, one at a time, so that the 11 GB file can be read as well.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from bytemlperf.errors import PrepareError

__all__ = ["CATEGORY_COUNT", "NUMERIC_COUNT", "ClickRow", "read_rows"]

NUMERIC_COUNT = 13
CATEGORY_COUNT = 26

_NUMERIC = [f"i{number}" for number in range(1, NUMERIC_COUNT + 1)]
_CATEGORIES = [f"c{number}" for number in range(1, CATEGORY_COUNT + 1)]


class ClickRow(NamedTuple):
    """One impression.

    Parameters
    ----------
    clicked : int
        1 for a click, else 0.
    numeric : list of float
        I1 to I13; a missing one is 0.
    categories : list of str
        C1 to C26; a missing one is empty.
    """

    clicked: int
    numeric: list[float]
    categories: list[str]


def read_rows(path: Path) -> Iterator[ClickRow]:
    """Read a Criteo file.

    Columns are ``label, I1 .. I13, C1 .. C26``, in this order or as a header says; a
    header may name more columns. Tabs separate them if the first line has any, else
    commas.

    Parameters
    ----------
    path : Path
        The file.

    Yields
    ------
    ClickRow
        One a line.

    Raises
    ------
    PrepareError
        If a line has another number of columns, a label other than 0 and 1, or a
        numeric field that is no number; it names the line.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            first_line = file.readline()
            file.seek(0)
            reader = csv.reader(file, delimiter="\t" if "\t" in first_line else ",")
            columns: list[int] | None = None
            width = 0
            for fields in reader:
                where = f"{path}, line {reader.line_num}"
                if columns is None:
                    width = len(fields)
                    columns, is_header = _columns(fields, where)
                    if is_header:
                        continue
                if len(fields) != width:
                    raise PrepareError(
                        f"{where}: expected {width} columns, got {len(fields)}"
                    )
                yield _row([fields[column] for column in columns], where)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise PrepareError(f"cannot read {path}", detail=str(error)) from error


def _columns(fields: list[str], where: str) -> tuple[list[int], bool]:
    """Find the wanted columns, and whether the line that says so is a header."""
    names = [field.strip().lower() for field in fields]
    wanted = ["label", *_NUMERIC, *_CATEGORIES]
    if "label" in names:
        missing = [name for name in wanted if name not in names]
        if missing:
            raise PrepareError(f"{where}: the header has no column {missing[0]!r}")
        return [names.index(name) for name in wanted], True
    if len(fields) != len(wanted):
        raise PrepareError(
            f"{where}: expected {len(wanted)} columns (label, {NUMERIC_COUNT} numbers, "
            f"{CATEGORY_COUNT} categories) or a header, got {len(fields)} columns"
        )
    return list(range(len(wanted))), False


def _row(fields: list[str], where: str) -> ClickRow:
    label = fields[0].strip()
    if label not in ("0", "1"):
        raise PrepareError(f"{where}: the label should be 0 or 1, it is {label!r}")
    numeric = []
    for position, text in enumerate(fields[1 : 1 + NUMERIC_COUNT], 1):
        try:
            value = float(text) if text.strip() else 0.0
        except ValueError as error:
            raise PrepareError(f"{where}: I{position}={text!r} is no number") from error
        if not math.isfinite(value):
            raise PrepareError(f"{where}: I{position}={text!r} is not finite")
        numeric.append(value)
    return ClickRow(int(label), numeric, fields[1 + NUMERIC_COUNT :])
