"""Which formats there are, and what a result is in each.

Input: collected results and a format's name. Output: files' names and bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import msgspec

from bytemlperf.errors import ConfigError
from bytemlperf.report.collect import Collected
from bytemlperf.report.formats.byte_mlperf import file_name, to_byte_mlperf
from bytemlperf.report.formats.hlog import to_hlog
from bytemlperf.report.formats.junit import to_junit
from bytemlperf.report.formats.openmetrics import to_openmetrics
from bytemlperf.report.formats.rows import to_csv, to_parquet

__all__ = ["Format", "export_folder", "export_single", "is_folder"]

Format = Literal["byte_mlperf", "csv", "parquet", "hlog", "openmetrics", "junit"]
SINGLE: dict[str, Callable[[Sequence[Collected]], bytes]] = {
    "csv": to_csv,
    "parquet": to_parquet,
    "hlog": to_hlog,
    "openmetrics": to_openmetrics,
    "junit": to_junit,
}


def is_folder(form: Format) -> bool:
    """Return whether a format has a file for each result."""
    return form not in SINGLE


def export_single(collected: Sequence[Collected], form: Format) -> bytes:
    """Write all results into one file.

    Parameters
    ----------
    collected : sequence of Collected
        At least one.
    form : str
        A format of one file.

    Returns
    -------
    bytes
        The file's content.

    Raises
    ------
    ConfigError
        Nothing in the results can be said in the format, or a package is missing.
    """
    return SINGLE[form](collected)


def export_folder(collected: Sequence[Collected]) -> dict[str, bytes]:
    """Write each result into a file of ByteMLPerf's.

    Parameters
    ----------
    collected : sequence of Collected
        Of different tasks or hardware types.

    Returns
    -------
    dict of str to bytes
        By path below its folder of reports.

    Raises
    ------
    ConfigError
        Two results would be the same file.
    """
    files: dict[str, bytes] = {}
    for each in collected:
        name = file_name(each.result)
        if name in files:
            raise ConfigError(
                f"two results would be {name}, one a task and precision",
                hint="export the runs into different folders",
            )
        encoded = msgspec.json.encode(to_byte_mlperf(each.result))
        files[name] = msgspec.json.format(encoded, indent=4) + b"\n"
    return files
