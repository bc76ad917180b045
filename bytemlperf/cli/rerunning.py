"""A result's measurement made again: its request, and what came out beside it.

Input: a result. Output: text and an exit code.
"""

from __future__ import annotations

import dataclasses
import sys
import tempfile
from pathlib import Path

import msgspec

from bytemlperf.cli import display
from bytemlperf.cli.options import Overrides, Places, Weights
from bytemlperf.cli.recorded_options import Recorded, recorded_options
from bytemlperf.cli.request import make_request, select_hardware, select_tasks
from bytemlperf.cli.statistics_options import Judgement
from bytemlperf.errors import ConfigError
from bytemlperf.launch.noise_file import read_noise
from bytemlperf.report.beside import changed_facts
from bytemlperf.report.collect import collect_results
from bytemlperf.report.comparing import compare_results
from bytemlperf.report.comparison_text import comparison_view
from bytemlperf.report.console import open_console
from bytemlperf.report.schema import TaskResult
from bytemlperf.report.storage import OutFolder, read_result

__all__ = ["run_again"]


def run_again(
    path: Path, *, weights: Weights | None, answers: Path | None, places: Places
) -> int:
    """Measure again, then print the new result and how it stands to the old one."""
    old = read_result(path)
    seed = _check(old, path)
    new_path = OutFolder(places.out).task(old.hardware_type, old.task).result
    if new_path.exists() and new_path.samefile(path):
        raise ConfigError(
            f"{path} would be replaced", hint="choose another folder with --out"
        )
    provenance = old.provenance
    recorded = recorded_options(provenance.command_line if provenance else [])
    places = dataclasses.replace(
        places,
        model_path=recorded.path("model_path", places.model_path),
        data_path=recorded.path("data_path", places.data_path),
        backend_path=recorded.path("backend_path", places.backend_path),
        download_data=places.download_data or "download_data" in recorded.flags,
    )
    judgement = Judgement(
        percentiles=recorded.values.get("percentiles", Judgement.percentiles),
        slo=recorded.values.get("slo"),
    )
    with tempfile.TemporaryDirectory(prefix="bytemlperf-") as folder:
        # A task is named by its file; the result has all of the workload's fields.
        workload = Path(folder) / f"{old.task}.json"
        workload.write_bytes(msgspec.json.encode(old.workload))
        if answers is None and provenance is not None and provenance.interact_info:
            answers = Path(folder) / "answers.json"
            answers.write_bytes(msgspec.json.encode(provenance.interact_info))
        request = make_request(
            select_tasks(str(workload), Overrides(), quick=False),
            places,
            hardware_types=select_hardware(old.hardware_type, places.backend_path),
            weights=weights or _weights(recorded),
            seed=seed,
            point_seconds=_point_seconds(recorded),
            answers=answers,
            hardware_card=recorded.values.get("hardware_card", "auto"),
            judgement=judgement,
        )
        code = display.show_measurement(request, places.ui)
    if places.ui == "none" or not new_path.exists():
        return code
    new = read_result(new_path)
    console = open_console(sys.stdout)
    console.print(f"\nagain: {new_path}\nbefore: {path}\n")
    for line in changed_facts(old, new):
        console.print(f"  {line}")
    noise = read_noise(request.cache_dir)
    # What differs was just said: whoever asks for a run again wants to see both.
    comparison = compare_results(
        collect_results([path, new_path]),
        run_noise=noise.run_noise if noise else None,
        detectable=noise.detectable if noise else None,
        force=True,
    )
    console.print(comparison_view(comparison))
    return code


def _check(old: TaskResult, path: Path) -> int:
    """Return the seed of a result that can be made again."""
    if old.imported_from is not None:
        raise ConfigError(
            f"{path} was measured by {old.imported_from.tool}, and does not say how",
            hint="only results of this program can be run again",
        )
    if not old.workload:
        raise ConfigError(f"{path} has no workload: it ended before it was known")
    return old.provenance.seed if old.provenance is not None else 0


def _weights(recorded: Recorded) -> Weights:
    word = recorded.values.get("weights", "auto")
    try:
        known: Weights = msgspec.convert(word, Weights)
    except msgspec.ValidationError as error:
        raise ConfigError(
            f"it was measured with --weights {word}, which this version does not know",
            hint="give --weights",
        ) from error
    return known


def _point_seconds(recorded: Recorded) -> float | None:
    """Return the time limit of points that the command gave to those without one."""
    given = Overrides(iterations=1 if "iterations" in recorded.values else None)
    return given.default_point_seconds(quick="quick" in recorded.flags)
