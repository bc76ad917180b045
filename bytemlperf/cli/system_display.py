"""Show the machine's state, and measure its noise by running one thing again and again.

Input: where the noise is kept, and a request. Output: text, a file, an exit code.
"""

from __future__ import annotations

import sys
from pathlib import Path

from rich.table import Table
from rich.text import Text

from bytemlperf.cli.display import progress_observer
from bytemlperf.cli.options import Ui
from bytemlperf.engine.host_state import host_warnings, read_host_state
from bytemlperf.errors import BackendError
from bytemlperf.launch.index_file import EXIT_CODES
from bytemlperf.launch.noise_file import (
    NOISE_VERSION,
    HostNoise,
    host_key,
    read_noise,
    write_noise,
)
from bytemlperf.launch.request import SessionRequest
from bytemlperf.launch.variants import InterruptedVariantError, run_variant
from bytemlperf.report.blocks import point_table
from bytemlperf.report.console import open_console
from bytemlperf.report.storage import OutFolder
from bytemlperf.report.units import format_bytes
from bytemlperf.runtime.clock import utc_now
from bytemlperf.statistics.comparison import METRICS, noise_between_runs

__all__ = ["calibrate_host", "show_system"]


def show_system(cache: Path) -> int:
    """Print the machine's state, its warnings and its known noise."""
    state = read_host_state()
    limit = state.cgroup_memory_bytes
    quota = state.cgroup_cpu_quota_cores
    steal = state.steal_share
    rows = [
        ("processor", f"{state.cpu_model}, {state.usable_cores:g} cores usable"),
        ("frequency", _frequency(state.frequencies_mhz, state.governor)),
        ("turbo, SMT", f"{_known(state.turbo)}, {_known(state.smt_active)}"),
        ("memory nodes", str(state.numa_nodes or "unknown")),
        (
            "memory",
            ", ".join(
                (
                    format_bytes(state.memory_bytes),
                    f"{format_bytes(state.available_memory_bytes)} free",
                    f"{format_bytes(state.swap_used_bytes)} swapped out",
                )
            ),
        ),
        (
            "limits",
            ", ".join(
                (
                    f"CPU quota {'none' if quota is None else f'{quota:g} cores'}",
                    f"memory {'none' if limit is None else format_bytes(limit)}",
                )
            ),
        ),
        ("load", f"{state.load_average_1min:.2f} in the last minute"),
        ("stolen", "unknown" if steal is None else f"{steal:.2%} since boot"),
        ("energy", "readable (RAPL)" if state.energy_readable else "not readable"),
    ]
    console = open_console(sys.stdout)
    grid = Table.grid(padding=(0, 2, 0, 0))
    for name, text in rows:
        grid.add_row(Text(name, style="dim"), Text(text))
    console.print(grid)
    for warning in host_warnings(state):
        console.print(Text(f"warning: {warning}"), style="yellow")
    noise = read_noise(cache)
    if noise is None:
        console.print("noise: never measured here; system show --calibrate")
    else:
        console.print(noise_table(noise))
    return 0


def noise_table(noise: HostNoise) -> Table:
    """Lay out what runs of one thing differ by."""
    table = Table(
        title=f"{noise.run_count} runs of {noise.task} on {noise.hardware_type}, "
        f"{noise.measured_at_utc[:10]}",
        box=None,
        title_justify="left",
    )
    for heading in (
        "metric",
        "noise between runs",
        "least difference one run shows",
    ):
        table.add_column(heading, header_style="bold", justify="right")
    for metric, share in noise.detectable.items():
        table.add_row(metric, f"{noise.run_noise[metric]:.1%}", f"{share:.1%}")
    return table


def calibrate_host(
    request: SessionRequest, runs: int, cache: Path, *, ui: Ui | None, resume: bool
) -> int:
    """Measure one task again and again, keep the noise, and print it."""
    tables = []
    with progress_observer(ui) as observer:
        folder = OutFolder.prepare(request.out_dir).path
        for number in range(1, runs + 1):
            try:
                _, results = run_variant(
                    request, {}, folder, observer, name=f"aa-{number}", resume=resume
                )
            except InterruptedVariantError:
                return EXIT_CODES["interrupted"]
            points = [point for result in results for point in result.points]
            if not points or points[0].statistics is None:
                raise BackendError(f"run {number} measured nothing; see {folder}")
            tables.append(point_table(points[0]))
    run_noise, detectable = noise_between_runs(tables, metrics=METRICS)
    if not run_noise:
        raise BackendError(
            "the runs were too short to know their noise",
            hint="a longer --point_seconds",
        )
    noise = HostNoise(
        noise_version=NOISE_VERSION,
        host_key=host_key(),
        cpu_model=read_host_state().cpu_model,
        measured_at_utc=utc_now().isoformat(timespec="seconds"),
        task=request.tasks[0].name,
        hardware_type=request.hardware_types[0],
        run_count=runs,
        run_noise=run_noise,
        detectable=detectable,
    )
    path = write_noise(cache, noise)
    console = open_console(sys.stdout)
    console.print(noise_table(noise))
    unknown = [name for name in METRICS if name not in detectable]
    if unknown:
        console.print(
            Text(
                f"warning: not known of {', '.join(unknown)}: the runs were too short; "
                "a longer --point_seconds"
            ),
            style="yellow",
        )
    console.print(f"  noise  {path}")
    return 0


def _frequency(frequencies: list[float], governor: str | None) -> str:
    if not frequencies:
        return f"unknown, governor {governor or 'unknown'}"
    return (
        f"{min(frequencies):.0f} to {max(frequencies):.0f} MHz now, governor "
        f"{governor or 'unknown'}"
    )


def _known(flag: bool | None) -> str:
    return "unknown" if flag is None else "on" if flag else "off"
