"""How differences are spread: counted by sign and size, and in units of last place.

Input: reference and actual values. Output: counts, and distances. Sizes are octaves:
the bin of a difference is its binary exponent, which is read off and not computed, so
no rounding can put it elsewhere, and bins of two runs add up.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

__all__ = ["DifferenceBins", "Octave", "OctaveCounts", "float32_ulps"]

Floats = npt.NDArray[np.float64]

# Exponents of float64, denormal ones included.
_LOWEST, _HIGHEST = -1074, 1023
_FLOAT32_MANTISSA_BITS = 23
_FLOAT32_LOWEST_EXPONENT = -126


class Octave(msgspec.Struct, frozen=True):
    """How many differences have one size.

    Parameters
    ----------
    exponent : int
        e: ``2^e <= |d| < 2^(e+1)``.
    count : int, > 0
        Elements.
    """

    exponent: int
    count: int


class DifferenceBins(msgspec.Struct, frozen=True, kw_only=True):
    """The distribution of ``b - a`` over the elements that are finite on both sides.

    Parameters
    ----------
    zero_count : int
        Elements where both are equal.
    below : tuple of Octave
        ``b < a``, exponents ascending; octaves that are empty are left out.
    above : tuple of Octave
        ``b > a``, likewise.
    """

    zero_count: int
    below: tuple[Octave, ...]
    above: tuple[Octave, ...]


class OctaveCounts:
    """Counts that can be added to."""

    def __init__(self) -> None:
        self._zero = 0
        self._signed = np.zeros((2, _HIGHEST - _LOWEST + 1), np.int64)

    def add(self, difference: Floats) -> None:
        """Count differences.

        Parameters
        ----------
        difference : numpy.ndarray
            Finite ``b - a``, float64, any shape.
        """
        values = difference[difference != 0.0]
        self._zero += difference.size - values.size
        # frexp gives m * 2^e with 0.5 <= m < 1.
        at = np.frexp(values)[1].astype(np.intp) - 1 - _LOWEST
        for side, chosen in enumerate((values < 0.0, values > 0.0)):
            self._signed[side] += np.bincount(
                at[chosen], minlength=self._signed.shape[1]
            )

    def merge(self, other: OctaveCounts) -> None:
        """Add another's counts.

        Parameters
        ----------
        other : OctaveCounts
            Stays as it is.
        """
        self._zero += other._zero
        self._signed += other._signed

    def freeze(self) -> DifferenceBins:
        """Return what was counted.

        Returns
        -------
        DifferenceBins
            Without empty octaves.
        """
        below, above = (
            tuple(Octave(int(at) + _LOWEST, int(row[at])) for at in np.flatnonzero(row))
            for row in self._signed
        )
        return DifferenceBins(zero_count=self._zero, below=below, above=above)


def float32_ulps(reference: Floats, actual: Floats) -> Floats:
    """Return how far values are from the reference, in float32's units of last place.

    The unit is the gap between float32 numbers where the reference lies (Goldberg
    1991): ``2^(floor(log2 |a|) - 23)``, and ``2^-149`` below the smallest normal one.

    Parameters
    ----------
    reference, actual : numpy.ndarray
        Finite float64 of the same shape.

    Returns
    -------
    numpy.ndarray
        ``|b - a|`` in those units, float64, >= 0, not rounded.
    """
    exponent: npt.NDArray[Any] = np.frexp(reference)[1] - 1
    exponent = np.where(reference == 0.0, _FLOAT32_LOWEST_EXPONENT, exponent)
    exponent = np.maximum(exponent, _FLOAT32_LOWEST_EXPONENT) - _FLOAT32_MANTISSA_BITS
    with np.errstate(over="ignore"):
        ulps: Floats = np.ldexp(np.abs(actual - reference), -exponent)
    return ulps
