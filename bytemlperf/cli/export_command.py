"""The verb `export`: results in formats of other tools."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from bytemlperf.cli.options import WHAT, WHERE

__all__ = ["export"]

Format = Literal["byte_mlperf", "csv", "parquet", "hlog", "openmetrics", "junit"]


def export(
    results: Annotated[list[Path], Parameter(negative=())],
    /,
    *,
    format: Annotated[Format, Parameter(group=WHAT)],
    out: Annotated[Path | None, Parameter(group=WHERE)] = None,
) -> int:
    """Write results in a format of other tools.

    Parameters
    ----------
    results
        Each a result.json, an index.json, or the folder that a run was written to.
    format
        byte_mlperf: its result files, one a task. csv, parquet: a row a point. hlog:
        every point's latency histogram. openmetrics: for Prometheus. junit: a test a
        point, for CI.
    out
        File, or the folder for byte_mlperf. Default: standard output, but for
        byte_mlperf and parquet, which need it.
    """
    from bytemlperf.errors import ConfigError
    from bytemlperf.report.collect import collect_results
    from bytemlperf.report.formats.exporting import (
        export_folder,
        export_single,
        is_folder,
    )
    from bytemlperf.report.storage import make_folder, write_bytes_atomic

    if out is None and (is_folder(format) or format == "parquet"):
        raise ConfigError(
            f"--format {format} is no text to print", hint="say where to with --out"
        )
    collected = collect_results(results)
    if out is None:
        sys.stdout.buffer.write(export_single(collected, format))
        return 0
    if is_folder(format):
        files = {out / name: body for name, body in export_folder(collected).items()}
    else:
        files = {out: export_single(collected, format)}
    for path, body in files.items():
        make_folder(path.absolute().parent)
        write_bytes_atomic(path, body)
        print(path)
    return 0
