"""What an accuracy score says: figures with n and an interval, and what was left out.

Input: numbers from the metrics. Output: frozen values. No arithmetic here.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from bytemlperf.quality.intervals import Interval

__all__ = ["AccuracyScore", "Figure"]


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One number of a score.

    Parameters
    ----------
    name : str
        Such as ``"top1"``, ``"f1"``, ``"auc"``.
    value : float
        The number, always in the unit of the name's definition: shares and areas in
        [0, 1], never percent.
    unit : {"fraction", "nats"}
        ``"nats"`` for log loss.
    interval : Interval
        95 %, same unit.
    is_better : {"higher", "lower"}
        Which way is better.
    """

    name: str
    value: float
    unit: Literal["fraction", "nats"]
    interval: Interval
    is_better: Literal["higher", "lower"] = "higher"


class AccuracyScore(msgspec.Struct, frozen=True, kw_only=True):
    """How accurate a run was.

    Parameters
    ----------
    metric : str
        As in `score`.
    figures : tuple of Figure
        The main one first.
    n : int, > 0
        The denominator, in `unit`.
    unit : str
        What was counted: ``"images"``, ``"questions"``, ``"rows"``.
    sample_count : int
        Samples that were answered; more than `n` where a question has several.
    incomplete_count : int
        Units left out because some of their samples were not run.
    nonfinite_count : int
        Samples whose output held NaN or infinity: counted, and scored as wrong.
    subset : str
        What was run of which data, for people.
    """

    metric: str
    figures: tuple[Figure, ...]
    n: int
    unit: str
    sample_count: int
    incomplete_count: int
    nonfinite_count: int
    subset: str

    def figure(self, name: str) -> Figure:
        """Look up a figure.

        Parameters
        ----------
        name : str
            Its name.

        Returns
        -------
        Figure
            The one of that name.

        Raises
        ------
        KeyError
            If there is none.
        """
        for figure in self.figures:
            if figure.name == name:
                return figure
        raise KeyError(name)
