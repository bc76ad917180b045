"""What `compare` found: runs side by side, with a verdict for each metric."""

from __future__ import annotations

import msgspec

from bytemlperf.statistics.comparison import MetricComparison
from bytemlperf.statistics.gate import GateOutcome

__all__ = ["COMPARISON_VERSION", "Comparison", "PointComparison"]

COMPARISON_VERSION = 1


class PointComparison(msgspec.Struct, frozen=True):
    """One point of the base beside the same point of another run.

    Parameters
    ----------
    run : str
        Which other run.
    task, hardware_type : str
        Of the other run.
    point : str
        What tells the point from its neighbours, such as ``"batch 8"``.
    run_counts : (int, int)
        Runs on the base's side and on the other's that went into it.
    metrics : list of MetricComparison
        Judged.
    gate : list of GateOutcome
        One a rule.
    """

    run: str
    task: str
    hardware_type: str
    point: str
    run_counts: tuple[int, int]
    metrics: list[MetricComparison]
    gate: list[GateOutcome] = []


class Comparison(msgspec.Struct, frozen=True):
    """Runs side by side.

    Parameters
    ----------
    comparison_version : int
        Of this format.
    base : str
        The run that others are compared with.
    others : list of str
        In order.
    points : list of PointComparison
        All that were found in both.
    differences : list of str
        What else is not the same: the reason for a ratio may be here.
    overridden : list of str
        Why the runs are not comparable, if ``--force`` made them so.
    left_out : list of str
        Points that only one of two runs has.
    min_effect : float
        Smallest share that counts as a difference.
    detectable : dict of str to float
        Smallest difference that this host can tell from noise, by metric; empty: it was
        never calibrated.
    run_noise : dict of str to float
        Standard deviation of a metric's logarithm between runs, which is added where
        there are fewer than three runs a side.
    is_noise_assumed : bool
        Whether that was taken for granted, because this host was never calibrated.
    """

    comparison_version: int
    base: str
    others: list[str]
    points: list[PointComparison]
    differences: list[str]
    overridden: list[str]
    left_out: list[str]
    min_effect: float
    detectable: dict[str, float]
    run_noise: dict[str, float] = {}
    is_noise_assumed: bool = False

    @property
    def has_failed(self) -> bool:
        """Whether a rule of the gate fails."""
        return any(
            outcome.verdict == "failed"
            for point in self.points
            for outcome in point.gate
        )
