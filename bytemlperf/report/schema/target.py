"""Figures held against what they should be, and how differences are spread."""

from __future__ import annotations

from typing import Literal

import msgspec

__all__ = ["DifferenceBins", "TargetCheck"]


class TargetCheck(msgspec.Struct, frozen=True):
    """One figure against its bound.

    Parameters
    ----------
    figure : str
        Such as ``"top1"`` or ``"snr_db"``.
    value : float
        What was measured.
    bound : float
        What it is held against, in the same unit.
    wanted : {"at_least", "at_most"}
        On which side of the bound it should be.
    is_met : bool
        Whether it is.
    source : str
        Where the bound comes from.
    reference : float or None
        The reference score that the bound is a share of.
    output : str or None
        Output of the model that the figure is of.
    """

    figure: str
    value: float
    bound: float
    wanted: Literal["at_least", "at_most"]
    is_met: bool
    source: str
    reference: float | None = None
    output: str | None = None


class DifferenceBins(msgspec.Struct, frozen=True):
    """The distribution of actual minus reference, sign kept.

    Parameters
    ----------
    zero_count : int
        Elements that are equal.
    below, above : list of (exponent, count)
        Elements with ``2^exponent <= |difference| < 2^(exponent + 1)`` below and above
        the reference; exponents ascending, empty octaves left out.
    """

    zero_count: int
    below: list[tuple[int, int]]
    above: list[tuple[int, int]]
