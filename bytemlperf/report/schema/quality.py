"""Accuracy against labels, and fidelity to a reference."""

from __future__ import annotations

from typing import Literal

import msgspec

from bytemlperf.report.schema.target import DifferenceBins, TargetCheck

__all__ = ["AccuracyReport", "NumericOutput", "NumericReport", "WorstSample"]


class AccuracyReport(msgspec.Struct, frozen=True):
    """Quality against labels.

    `status` is ``"scored"``, or ``"not_meaningful"`` and ``"unavailable"`` with a
    `reason` and no value: a number that means nothing is not printed.

    Parameters
    ----------
    values : dict of str to float
        Figures by name, shares in [0, 1], the main one first.
    interval_95 : dict of str to (low, high)
        95 % confidence interval of each.
    n, unit : int, str
        The denominator, and what was counted.
    sample_count, incomplete_count, nonfinite_count : int
        Samples answered; units left out because a part of them was not run; samples
        with NaN or infinity, scored as wrong.
    data_percent : float
        Share of the dataset that was asked for.
    subset : str
        What was run of which data.
    targets : list of TargetCheck
        Figures held against their reference.
    unjudged : str or None
        Why there is no target.
    """

    status: Literal["scored", "not_meaningful", "unavailable"]
    reason: str | None = None
    metric: str | None = None
    values: dict[str, float] = {}
    interval_95: dict[str, tuple[float, float]] = {}
    n: int = 0
    unit: str | None = None
    sample_count: int = 0
    incomplete_count: int = 0
    nonfinite_count: int = 0
    data_percent: float = 100.0
    subset: str | None = None
    targets: list[TargetCheck] = []
    unjudged: str | None = None


class NumericOutput(msgspec.Struct, frozen=True):
    """Differences of one output (or of all, name ``"*"``) from the reference.

    Over the elements that are finite on both sides; a figure is None where there are
    none, or where it is not defined. Formulas: docs/measurement.md.
    """

    name: str
    element_count: int
    compared_count: int
    reference_nonfinite_count: int
    actual_nonfinite_count: int
    agreeing_nonfinite_count: int
    mean_diff: float | None
    std_diff: float | None
    max_diff: float | None
    max_rel_diff: float | None
    mean_rel_diff: float | None
    p50_diff: float | None
    p90_diff: float | None
    p99_diff: float | None
    p999_diff: float | None
    cosine_similarity: float | None
    snr_db: float | None
    mean_ulp: float | None = None
    p50_ulp: float | None = None
    p99_ulp: float | None = None
    max_ulp: float | None = None
    bins: DifferenceBins | None = None


class WorstSample(msgspec.Struct, frozen=True):
    """A sample whose outputs differ most."""

    sample_id: int
    max_diff: float
    disagreeing_nonfinite_count: int


class NumericReport(msgspec.Struct, frozen=True):
    """Fidelity of the outputs to the reference.

    `status` is ``"compared"``, or ``"unavailable"`` with a `reason`. `targets` are the
    bounds of the precision that was computed in; `unjudged` says why there are none.
    """

    status: Literal["compared", "unavailable"]
    reason: str | None = None
    reference: str | None = None
    sample_count: int = 0
    overall: NumericOutput | None = None
    outputs: list[NumericOutput] = []
    worst_samples: list[WorstSample] = []
    targets: list[TargetCheck] = []
    unjudged: str | None = None
