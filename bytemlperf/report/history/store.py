"""The local store of results' figures: one SQLite file, appended to by every run.

Input: results and a path. Output: rows. The same result is kept once, however often it
is added; results themselves stay where they are.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec
import platformdirs

from bytemlperf.errors import ConfigError, StorageError
from bytemlperf.report.collect import Collected
from bytemlperf.report.columns import POINT_COLUMNS
from bytemlperf.report.point_names import point_names
from bytemlperf.report.schema import TaskResult

__all__ = ["METRICS", "Entry", "Reading", "add_results", "history_path", "read_series"]

VARIABLE = "BYTEMLPERF_HISTORY"
LAYOUT = 1
METRICS = (
    "throughput_samples_per_s", "latency_p50_ns", "latency_p90_ns", "latency_p99_ns",
    "service_mean_ns", "peak_rss_bytes",
)  # fmt: skip
TABLES = """
CREATE TABLE IF NOT EXISTS result (
    id INTEGER PRIMARY KEY,
    task TEXT NOT NULL,
    hardware_type TEXT NOT NULL,
    host TEXT NOT NULL,
    started_at_utc TEXT NOT NULL,
    version TEXT NOT NULL,
    source_commit TEXT,
    backend_version TEXT,
    status TEXT NOT NULL,
    path TEXT NOT NULL,
    UNIQUE (task, hardware_type, host, started_at_utc)
);
CREATE TABLE IF NOT EXISTS figure (
    result_id INTEGER NOT NULL REFERENCES result (id) ON DELETE CASCADE,
    point TEXT NOT NULL,
    metric TEXT NOT NULL,
    value REAL NOT NULL,
    is_valid INTEGER NOT NULL,
    PRIMARY KEY (result_id, point, metric)
);
"""
ADD_RESULT = """
INSERT INTO result (task, hardware_type, host, started_at_utc, version, source_commit,
                    backend_version, status, path)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (task, hardware_type, host, started_at_utc) DO UPDATE SET
    status = excluded.status, path = excluded.path
RETURNING id
"""
READ = """
SELECT result.*, figure.point, figure.value, figure.is_valid
FROM figure JOIN result ON result.id = figure.result_id
WHERE figure.metric = ? AND result.task GLOB ? AND result.hardware_type GLOB ?
ORDER BY result.task, result.hardware_type, result.host, figure.result_id,
         result.started_at_utc
"""


class Entry(msgspec.Struct, frozen=True):
    """A result in the store.

    Parameters
    ----------
    started_at_utc : str
        When it began.
    version, source_commit, backend_version : str or None
        What measured and what was measured.
    status : str
        Of the task.
    path : str
        Where the result was.
    value : float
        In the unit of the metric's name.
    is_valid : bool
        Whether the point is a valid measurement.
    """

    started_at_utc: str
    version: str
    source_commit: str | None
    backend_version: str | None
    status: str
    path: str
    value: float
    is_valid: bool


class Reading(msgspec.Struct, frozen=True):
    """One metric of one point, over time.

    Parameters
    ----------
    task, hardware_type, host, point : str
        What and where: only equal ones are one series.
    metric : str
        One of `METRICS`.
    entries : list of Entry
        By when they began.
    """

    task: str
    hardware_type: str
    host: str
    point: str
    metric: str
    entries: list[Entry]


def history_path() -> Path | None:
    """Return where the store is.

    Returns
    -------
    Path or None
        What the variable BYTEMLPERF_HISTORY names, else a file in the user's data
        folder; None if the variable is ``off``.
    """
    named = os.environ.get(VARIABLE)
    if named == "off":
        return None
    if named:
        return Path(named)
    return Path(platformdirs.user_data_dir("bytemlperf")) / "history.sqlite"


def add_results(path: Path, collected: Sequence[Collected]) -> int:
    """Add results to a store.

    Parameters
    ----------
    path : Path
        Made with its folder if it is missing.
    collected : sequence of Collected
        Those that another tool measured, or that do not say when, are left out.

    Returns
    -------
    int
        How many were added or renewed.

    Raises
    ------
    StorageError
        It cannot be written.
    ConfigError
        The file is no store of ours.
    """
    added = 0
    with _opened(path, write=True) as store, store:
        for each in collected:
            row = _row(each)
            if row is None:
                continue
            (result_id,) = store.execute(ADD_RESULT, row).fetchone()
            store.execute("DELETE FROM figure WHERE result_id = ?", (result_id,))
            store.executemany(
                "INSERT INTO figure VALUES (?, ?, ?, ?, ?)",
                ((result_id, *figure) for figure in _figures(each.result)),
            )
            added += 1
    return added


def read_series(
    path: Path, metric: str, *, task: str = "*", hardware_type: str = "*"
) -> list[Reading]:
    """Read what a store knows of one metric.

    Parameters
    ----------
    path : Path
        The store.
    metric : str
        One of `METRICS`.
    task, hardware_type : str
        Glob patterns.

    Returns
    -------
    list of Reading
        By task, hardware type, host and point; empty if there is no such file.

    Raises
    ------
    StorageError
        It cannot be read.
    ConfigError
        The file is no store of ours.
    """
    if not path.exists():
        return []
    series: dict[tuple[str, str, str, str], list[Entry]] = {}
    with _opened(path, write=False) as store:
        for row in store.execute(READ, (metric, task, hardware_type)):
            key = (row["task"], row["hardware_type"], row["host"], row["point"])
            entry = Entry(
                **{
                    name: row[name]
                    for name in Entry.__struct_fields__
                    if name != "is_valid"
                },
                is_valid=bool(row["is_valid"]),
            )
            series.setdefault(key, []).append(entry)
    return [
        Reading(*key, metric, sorted(entries, key=lambda each: each.started_at_utc))
        for key, entries in series.items()
    ]


@contextmanager
def _opened(path: Path, *, write: bool) -> Iterator[sqlite3.Connection]:
    """Open a store, and say whose fault it is if that fails.

    Yields
    ------
    sqlite3.Connection
        Closed at the end.
    """
    try:
        if write:
            path.absolute().parent.mkdir(parents=True, exist_ok=True)
        # Two commands may end at the same moment.
        with closing(sqlite3.connect(path, timeout=20)) as store:
            store.row_factory = sqlite3.Row
            (layout,) = store.execute("PRAGMA user_version").fetchone()
            tables = store.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
            if layout != LAYOUT and (layout or tables):
                raise ConfigError(
                    f"{path}: expected a history of layout {LAYOUT}, got {layout}",
                    hint=f"name another file with {VARIABLE}",
                )
            if write:
                store.execute("PRAGMA foreign_keys = ON")
                store.executescript(TABLES)
                store.execute(f"PRAGMA user_version = {LAYOUT}")
            yield store
    except sqlite3.DatabaseError as error:
        kind = ConfigError if "not a database" in str(error) else StorageError
        raise kind(f"the history {path} cannot be used: {error}") from error
    except OSError as error:
        if isinstance(error, StorageError):
            raise
        raise StorageError(f"the history {path} cannot be made: {error}") from error


def _row(each: Collected) -> tuple[str | None, ...] | None:
    result = each.result
    provenance = result.provenance
    if provenance is None or result.imported_from is not None:
        return None
    host = provenance.host
    return (
        result.task,
        result.hardware_type,
        # What decides a speed: not the name of a machine, which comes and goes.
        f"{host.cpu_model}, {host.usable_cores:g} cores",
        provenance.started_at_utc,
        provenance.bytemlperf_version,
        provenance.source_commit,
        result.backend_version,
        result.status,
        str(each.path.absolute()),
    )


def _figures(result: TaskResult) -> Iterator[tuple[str, str, float, int]]:
    """Name every figure of every point.

    Yields
    ------
    (str, str, float, int)
        Point, metric, value, whether it is valid.
    """
    columns = [column for column in POINT_COLUMNS if column.key in METRICS]
    for name, point in zip(point_names(result.points), result.points, strict=True):
        label = f"{name}, {point.clients} clients"
        for column in columns:
            value = column.cell(point).value
            if isinstance(value, int | float):
                yield label, column.key, float(value), int(not point.invalid_reasons)
