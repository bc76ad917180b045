"""Several runs of one request, each with settings of its own: sweeps and searches."""

from __future__ import annotations

from typing import Literal

import msgspec

from bytemlperf.report.schema.task import Status
from bytemlperf.statistics.search import Capacity

__all__ = ["VARIANTS_VERSION", "Variant", "VariantPoint", "VariantsResult"]

VARIANTS_VERSION = 1


class VariantPoint(msgspec.Struct, frozen=True):
    """A point's figures, beside those of other settings.

    Parameters
    ----------
    task, hardware_type : str
        Which.
    batch_size : int
        Of the point.
    offered_qps : float or None
        Queries per second of an open loop's schedule.
    throughput_samples_per_s, low, high : float or None
        Completed samples per second, and the ends of the 95 % interval.
    mean_ns : float
        Latency.
    percentiles_ns : dict of str to int
        Percentile to latency; those with too few queries are left out.
    intervals_ns : dict of str to (int or None, int or None)
        Percentile to the ends of its 95 % interval.
    cpu_percent : float
        100 is one core.
    unmet_slos : list of str
        Objectives that were not shown to be met, with the verdict.
    invalid_reasons : list of str
        Empty means VALID.
    """

    task: str
    hardware_type: str
    batch_size: int
    offered_qps: float | None
    throughput_samples_per_s: float
    low: float | None
    high: float | None
    mean_ns: float
    percentiles_ns: dict[str, int]
    intervals_ns: dict[str, tuple[int | None, int | None]]
    cpu_percent: float
    unmet_slos: list[str]
    invalid_reasons: list[str]


class Variant(msgspec.Struct, frozen=True):
    """One run with its settings.

    Parameters
    ----------
    name : str
        Its folder, below that of the result.
    settings : dict of str to str
        As asked, by name.
    status : str
        The worst of its tasks.
    points : list of VariantPoint
        What was measured.
    """

    name: str
    settings: dict[str, str]
    status: Status
    points: list[VariantPoint]


class VariantsResult(msgspec.Struct, frozen=True):
    """All runs of a sweep, a tuning or a search.

    Parameters
    ----------
    variants_version : int
        Of this format.
    kind : {"sweep", "tune", "search", "repeat"}
        What made it.
    command_line : list of str
        As typed.
    goal : str
        What was looked for, in words; empty for a sweep.
    axes : dict of str to list of str
        Values by name.
    variants : list of Variant
        In the order run.
    best : str or None
        Name of the best usable variant, where one was looked for.
    capacity : Capacity or None
        Of a search.
    is_complete : bool
        Whether nothing is left to run.
    """

    variants_version: int
    kind: Literal["sweep", "tune", "search", "repeat"]
    command_line: list[str]
    goal: str
    axes: dict[str, list[str]]
    variants: list[Variant]
    best: str | None = None
    capacity: Capacity | None = None
    is_complete: bool = False
