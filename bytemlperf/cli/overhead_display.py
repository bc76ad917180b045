"""Measure and print what the harness costs, in this process.

Input: checked options. Output: text, and an exit code.
"""

from __future__ import annotations

import sys
from typing import Any

import msgspec
import numpy as np
from rich.text import Text

from bytemlperf.cli.options import batch_size_list
from bytemlperf.engine.overhead import replay
from bytemlperf.engine.point_load import batching_for, scenario_for
from bytemlperf.errors import ConfigError, InvalidRunError
from bytemlperf.report.console import open_console
from bytemlperf.report.overhead_table import overhead_table
from bytemlperf.report.schema import OverheadReport
from bytemlperf.runtime import (
    ArraySamples,
    OpenScenario,
    check_scenario,
    parse_affinity,
)
from bytemlperf.workloads import Load

__all__ = ["show_overhead"]

EXIT_NOT_BROUGHT = 4
# A closed loop ends by time.
ENDLESS = 2**31
# What a query is taken to cost when a load is to fill the time.
ASSUMED_NS = 1000


def show_overhead(
    *,
    batch_sizes: str,
    clients: int,
    sample_bytes: int,
    seconds: float,
    seed: int,
    as_json: bool,
    fields: dict[str, Any],
) -> int:
    """Measure every batch size, then print."""
    try:
        load = msgspec.convert(fields, Load)
        load.check()
    except ValueError as error:
        raise ConfigError(f"command line: {str(error).replace('$.', '--')}") from error
    if sample_bytes < 1 or not 0 < seconds <= 3600 or clients < 1:
        raise ConfigError(
            "overhead needs --clients >= 1, --sample_bytes >= 1 and --duration in "
            f"(0, 3600], not {clients}, {sample_bytes} and {seconds:g}"
        )
    affinity = parse_affinity(load.affinity)
    rows: list[tuple[int, OverheadReport, bool]] = []
    complaints: list[str] = []
    for batch_size in batch_size_list(batch_sizes):
        scenario = scenario_for(
            load,
            batch_size,
            clients=clients,
            iterations=ENDLESS,
            seconds=seconds,
            batch_ns=ASSUMED_NS,
            predict_threads=1,
        )
        check_scenario(scenario)
        count = max(64, 2 * scenario.samples_per_query)
        samples = ArraySamples({"x": np.zeros((count, sample_bytes), np.uint8)})
        try:
            report = replay(
                scenario,
                batching_for(load, batch_size, predict_threads=1),
                samples,
                seed=seed,
                schedule_seed=load.schedule_seed,
                seconds=seconds,
                affinity=affinity,
            )
        except InvalidRunError as error:
            complaints.append(f"batch size {batch_size}: {error.message}")
            continue
        if report is None:
            complaints.append(f"batch size {batch_size}: nothing was due in the time")
            continue
        rows.append((batch_size, report, isinstance(scenario, OpenScenario)))
    if as_json:
        print(
            msgspec.json.format(
                msgspec.json.encode({str(size): report for size, report, _ in rows})
            ).decode()
        )
    else:
        console = open_console(sys.stdout)
        table = overhead_table(rows)
        if table is not None:
            console.print(Text(f"{load.scenario} on a predict that does nothing"))
            console.print()
            console.print(table)
    for complaint in complaints:
        print(f"bytemlperf: {complaint}", file=sys.stderr)
    return EXIT_NOT_BROUGHT if complaints else 0
