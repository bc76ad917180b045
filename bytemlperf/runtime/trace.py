"""Read recorded arrivals: one a line, as csv or as JSON lines.

Input: a file. Output: a `Trace`, with the first arrival at 0. Times are read as decimal
numbers and rounded once, to whole nanoseconds.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import numpy as np

from bytemlperf.errors import ConfigError
from bytemlperf.runtime.arrivals import span_seconds
from bytemlperf.runtime.open_scenario import MAX_SCHEDULE_SECONDS, Trace

__all__ = ["TIME_COLUMNS", "read_trace"]

TIME_COLUMNS = {
    "timestamp": Decimal(10**9),
    "timestamp_s": Decimal(10**9),
    "timestamp_ms": Decimal(10**6),
    "timestamp_us": Decimal(10**3),
    "timestamp_ns": Decimal(1),
}
SIZE_COLUMN = "size"
# A trace of so many arrivals takes a gigabyte while it is read.
MAX_ARRIVALS = 10_000_000

_Line = tuple[int, Mapping[str, Any]]


def read_trace(
    path: str | Path, *, rate_qps: float | None = None, seconds: float | None = None
) -> Trace:
    """Read a trace.

    Parameters
    ----------
    path : str or Path
        ``.csv`` with a header, or ``.jsonl`` with an object a line. It has one of the
        columns ``timestamp_ns``, ``timestamp_us``, ``timestamp_ms``, ``timestamp_s`` or
        ``timestamp`` (in seconds), and perhaps ``size`` (samples of the query). Others
        are not looked at. A csv of one column of numbers needs no header.
    rate_qps : float, optional
        Stretch or squeeze the trace to this mean rate, > 0; None: as recorded.
    seconds : float, optional
        Take only arrivals before this moment, after scaling, > 0.

    Returns
    -------
    Trace
        With its first arrival at 0.

    Raises
    ------
    ConfigError
        It cannot be read, has no such column, a value is not a number, steps back, is
        too long, or holds nothing.
    """
    path = Path(path)
    kind = path.suffix.lower()
    if kind not in (".csv", ".jsonl"):
        raise ConfigError(
            f"a trace is a .csv or .jsonl file, not {path.name!r}",
            hint="one arrival a line, with a column timestamp_ns, _us, _ms or _s",
        )
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read the trace {path}: {error}") from error
    lines = _csv_lines(text) if kind == ".csv" else _json_lines(text, path)
    due: list[int] = []
    sizes: list[int] = []
    for number, fields in lines:
        name = next((name for name in TIME_COLUMNS if name in fields), None)
        where = f"{path}, line {number}"
        if name is None:
            raise ConfigError(
                f"{where}: there is none of {', '.join(TIME_COLUMNS)}",
                hint=f"it has {', '.join(map(str, fields)) or 'nothing'}",
            )
        moment = _whole_number(fields[name], TIME_COLUMNS[name], f"{where}: {name}")
        if due and moment < due[-1]:
            raise ConfigError(
                f"{where}: {name} {fields[name]} is before the line above it",
                hint="sort the trace by time",
            )
        due.append(moment)
        size = fields.get(SIZE_COLUMN)
        size = 1 if size in (None, "") else size
        sizes.append(_whole_number(size, Decimal(1), f"{where}: size"))
        if sizes[-1] < 1:
            raise ConfigError(f"{where}: a size must be >= 1, not {sizes[-1]}")
        if len(due) > MAX_ARRIVALS:
            raise ConfigError(f"{path} has more than {MAX_ARRIVALS:,} arrivals")
    if not due:
        raise ConfigError(f"{path} holds no arrival")
    return _made(due, sizes, path, rate_qps, seconds)


def _made(
    due: list[int],
    sizes: list[int],
    path: Path,
    rate_qps: float | None,
    seconds: float | None,
) -> Trace:
    # Times since 1970 are as good as times since the start.
    moments = np.array([moment - due[0] for moment in due], np.int64)
    counts = np.array(sizes, np.int64)
    if rate_qps is not None:
        if rate_qps <= 0:
            raise ConfigError(f"rate_qps must be > 0, not {rate_qps:g}")
        span_s = span_seconds(moments)
        if span_s == 0:
            raise ConfigError(
                f"{path}: all arrivals are at one moment: there is no rate to scale"
            )
        factor = len(moments) / span_s / rate_qps
        moments = np.floor(moments * factor).astype(np.int64)
    if seconds is not None:
        if seconds <= 0:
            raise ConfigError(f"seconds must be > 0, not {seconds:g}")
        kept = moments < seconds * 1e9
        moments, counts = moments[kept], counts[kept]
    if moments[-1] > MAX_SCHEDULE_SECONDS * 1e9:
        raise ConfigError(
            f"{path} lasts {moments[-1] / 1e9:,.0f} s; a schedule lasts at most "
            f"{MAX_SCHEDULE_SECONDS:,.0f} s",
            hint="take less of it (seconds), or squeeze it (rate_qps)",
        )
    return Trace(
        due_ns=moments,
        sizes=None if (counts == 1).all() else counts,
        source=str(path),
    )


def _csv_lines(text: str) -> Iterator[_Line]:
    rows = csv.reader(text.splitlines())
    header: list[str] | None = None
    for row in rows:
        if not row or not "".join(row).strip():
            continue
        if header is None:
            if len(row) == 1 and _is_number(row[0]):
                header = ["timestamp_s"]
            else:
                header = [name.strip() for name in row]
                continue
        yield rows.line_num, dict(zip(header, row, strict=False))


def _json_lines(text: str, path: Path) -> Iterator[_Line]:
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            fields = json.loads(line, parse_float=Decimal)
        except (ValueError, RecursionError) as error:
            raise ConfigError(
                f"{path}, line {number}: expected JSON: {error}"
            ) from error
        if not isinstance(fields, dict):
            raise ConfigError(
                f"{path}, line {number}: expected an object, not {line!r}"
            )
        yield number, fields


def _is_number(text: str) -> bool:
    try:
        return Decimal(text.strip()).is_finite()
    except InvalidOperation:
        return False


def _whole_number(value: Any, scale: Decimal, where: str) -> int:
    try:
        scaled = Decimal(str(value).strip()) * scale
        if abs(scaled) < 2**62:
            return int(scaled.to_integral_value())
    except (InvalidOperation, ValueError):
        pass
    raise ConfigError(f"{where} must be a number, not {value!r}")
