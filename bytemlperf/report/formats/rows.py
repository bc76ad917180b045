"""A flat table, one row a point: CSV and Parquet.

Input: collected results. Output: bytes of a file. A cell without a value is empty: a
percentile that too few queries carry has none.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

from bytemlperf.errors import ConfigError
from bytemlperf.report.collect import Collected
from bytemlperf.report.columns import POINT_COLUMNS

__all__ = ["point_rows", "to_csv", "to_parquet"]

# A spreadsheet takes text that begins so for a formula.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def point_rows(collected: Sequence[Collected]) -> list[dict[str, Any]]:
    """Return a row for each point.

    Parameters
    ----------
    collected : sequence of Collected
        Any results.

    Returns
    -------
    list of dict
        All with the same keys, in the same order; units are in the keys.
    """
    return [
        {
            "run": each.run,
            "task": each.result.task,
            "hardware_type": each.result.hardware_type,
            "backend_version": each.result.backend_version,
            "model_sha256": each.result.model.sha256 if each.result.model else None,
            "started_at_utc": (
                each.result.provenance.started_at_utc
                if each.result.provenance
                else None
            ),
            "cpu_model": (
                each.result.provenance.host.cpu_model
                if each.result.provenance
                else None
            ),
            **{column.key: column.cell(point).value for column in POINT_COLUMNS},
            "invalid_reasons": "; ".join(point.invalid_reasons),
        }
        for each in collected
        for point in each.result.points
    ]


def to_csv(collected: Sequence[Collected]) -> bytes:
    """Write the table as CSV.

    Parameters
    ----------
    collected : sequence of Collected
        With at least one point.

    Returns
    -------
    bytes
        UTF-8, with a line of keys; text that a spreadsheet would run begins with ``'``.

    Raises
    ------
    ConfigError
        There is no point.
    """
    rows = _at_least_one(point_rows(collected))
    stream = io.StringIO(newline="")
    writer = csv.DictWriter(stream, fieldnames=list(rows[0]))
    writer.writeheader()
    for row in rows:
        writer.writerow({key: _tame(value) for key, value in row.items()})
    return stream.getvalue().encode("utf-8", "replace")


def to_parquet(collected: Sequence[Collected]) -> bytes:
    """Write the table as Parquet.

    Parameters
    ----------
    collected : sequence of Collected
        With at least one point.

    Returns
    -------
    bytes
        The same columns as in CSV, typed.

    Raises
    ------
    ConfigError
        There is no point, or pyarrow is not installed.
    """
    rows = _at_least_one(point_rows(collected))
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise ConfigError(
            "Parquet needs pyarrow, which is not installed",
            hint="pip install 'bytemlperf[parquet]'",
        ) from error
    sink = pyarrow.BufferOutputStream()
    table = pyarrow.Table.from_pylist(rows, schema=_parquet_schema(rows))
    pyarrow.parquet.write_table(table, sink)
    return bytes(sink.getvalue())


def _parquet_schema(rows: Sequence[dict[str, Any]]) -> Any:
    """Type columns by their unit: a column without any value has its type too."""
    import pyarrow

    texts = {"run", "task", "hardware_type", "verdict", "invalid_reasons", "cpu_model",
             "backend_version", "model_sha256", "started_at_utc"}  # fmt: skip
    floats = {"mean_batch_samples", "cpu_percent"}
    return pyarrow.schema(
        (
            key,
            pyarrow.string()
            if key in texts
            else pyarrow.float64()
            if key in floats or key.endswith(("_mean_ns", "_samples_per_s"))
            else pyarrow.int64(),
        )
        for key in rows[0]
    )


def _at_least_one(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    if not rows:
        raise ConfigError("there is no measured point to write")
    return rows


def _tame(value: Any) -> Any:
    if isinstance(value, str) and value.startswith(FORMULA_STARTS):
        return f"'{value}"
    return value
