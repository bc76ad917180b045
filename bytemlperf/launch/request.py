"""What one command asks for, as a value.

Input: nothing. Output: `SessionRequest`, checked and complete: nothing after it looks
at the command line or fills in a default.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from bytemlperf.statistics.slo import Slo
from bytemlperf.statistics.summary import DEFAULT_PERCENTILES
from bytemlperf.workloads import WorkloadFile

__all__ = ["SessionRequest"]


class SessionRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Which tasks to measure on which hardware types, and where things are.

    Parameters
    ----------
    tasks : tuple of WorkloadFile
        Overrides already applied; names are unique.
    hardware_types : tuple of str
        At least one; every task is measured on each.
    out_dir : Path
        Results go below it. Results of an earlier run of the same task on the same
        hardware type are replaced.
    cache_dir : Path
        Built models, samples, references and environments.
    data_root : Path or None
        Folder of real sample data.
    backend_path : Path or None
        A hardware folder, or a folder of them, that goes before the package's.
    model_path : Path or None
        Model file or folder to use instead of the zoo's.
    weights : {"auto", "seeded", "download"}
        Where weights come from.
    download_data : bool
        Whether data that is missing is downloaded.
    seed : int
        Of the samples and of their order.
    point_seconds : float or None
        Longest measured window of a point that does not set its own, > 0; None: no
        limit.
    keep_timeline : bool
        Whether every query's row is written too.
    answers : Path or None
        JSON object of answers to backends' questions; others get their default.
    command_line : tuple of str
        As typed, for the report.
    resume : bool
        Whether results in `out_dir` are gone on with instead of replaced.
    hardware_card : str
        Peaks to hold the points against: a card's name or file; ``"host"``: of the
        processor itself; ``"none"``; ``"auto"``: the host's for backends of the package
        that run on it, else none.
    start_gate : str or None
        Socket where a warm point asks when to begin, on a machine of a cluster.
    percentiles : tuple of float
        Of the latency, in percent, whose intervals are reported.
    slos : tuple of Slo
        Objectives that every point is judged by.
    silence_seconds : float or None
        Longest silence of a worker before it is taken for hung, > 0; None: what each
        phase asks for.
    wheels : Path or None
        Folder that backends' environments are installed from, instead of an index.
    """

    tasks: tuple[WorkloadFile, ...]
    hardware_types: tuple[str, ...]
    out_dir: Path
    cache_dir: Path
    data_root: Path | None = None
    backend_path: Path | None = None
    model_path: Path | None = None
    weights: Literal["auto", "seeded", "download"] = "auto"
    download_data: bool = False
    seed: int = 0
    point_seconds: float | None = 10.0
    keep_timeline: bool = False
    answers: Path | None = None
    command_line: tuple[str, ...] = ()
    resume: bool = False
    start_gate: str | None = None
    hardware_card: str = "auto"
    percentiles: tuple[float, ...] = DEFAULT_PERCENTILES
    slos: tuple[Slo, ...] = ()
    silence_seconds: float | None = None
    wheels: Path | None = None
