"""How far a backend's outputs are from the reference's.

Input: two runs' outputs and their sample ids. Output: a `NumericComparison`. Formulas
are ByteMLPerf's (general_perf/datasets/test_accuracy.py), with one difference: it set
NaN and infinity to zero on both sides; here they are counted and left out openly.

Everything is computed in float64, over chunks: memory does not grow with the outputs,
which may be memory maps.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from bytemlperf.errors import InternalError, PredictError
from bytemlperf.quality.difference_bins import OctaveCounts, float32_ulps
from bytemlperf.quality.numeric_result import (
    NumericComparison,
    OutputDifference,
    WorstSample,
)
from bytemlperf.quality.order_statistics import percentiles
from bytemlperf.quality.sample_outputs import (
    Arrays,
    SampleIds,
    check_ids,
    rows_by_sample,
    take_output,
)

__all__ = ["compare_outputs"]

PERCENTS = (50.0, 90.0, 99.0, 99.9)
ULP_PERCENTS = (50.0, 99.0)
WORST_COUNT = 5
CHUNK_ELEMENTS = 1 << 20

Floats = npt.NDArray[np.float64]
Pair = tuple[Floats, Floats]


def compare_outputs(
    reference: Arrays,
    actual: Arrays,
    *,
    reference_ids: npt.ArrayLike,
    actual_ids: npt.ArrayLike,
) -> NumericComparison:
    """Compare a backend's outputs with the reference's, aligned by sample id.

    Parameters
    ----------
    reference, actual : mapping of str to numpy.ndarray
        Output name to an array of shape ``(samples * rows, ...)``, any real dtype;
        rows stand in the order of the ids. Memory maps are read in chunks.
    reference_ids, actual_ids : array_like of int
        Sample ids, all different; order and subset may differ between the two.

    Returns
    -------
    NumericComparison
        Over the samples in both.

    Raises
    ------
    PredictError
        If an output is missing, holds no real numbers, or has another shape than the
        reference's; the message names it.
    InternalError
        If ids repeat, or the runs have no sample or output in common.
    """
    reference_samples = check_ids(reference_ids, "reference")
    actual_samples = check_ids(actual_ids, "backend")
    common = np.intersect1d(reference_samples.ids, actual_samples.ids)
    if common.size == 0 or not reference:
        raise InternalError(
            f"nothing to compare: {common.size} samples in common, "
            f"reference outputs {sorted(reference)}"
        )
    pairs = [
        _PairedOutput(
            name, reference, actual, reference_samples, actual_samples, common
        )
        for name in reference
    ]
    sums = {pair.name: _sum_up(pair, common.size) for pair in pairs}
    outputs = tuple(_finish(pair.name, [pair], sums[pair.name]) for pair in pairs)
    total = _Sums(common.size)
    for partial in sums.values():
        total.merge(partial)
    if len(outputs) == 1:
        overall = msgspec.structs.replace(outputs[0], output="*")
    else:
        overall = _finish("*", pairs, total)
    return NumericComparison(
        sample_count=common.size,
        reference_only_count=reference_samples.ids.size - common.size,
        actual_only_count=actual_samples.ids.size - common.size,
        outputs=outputs,
        overall=overall,
        worst_samples=_worst_samples(common, total),
        ignored_outputs=tuple(sorted(set(actual) - set(reference))),
    )


_FIGURES = (
    "mean_diff",
    "std_diff",
    "max_diff",
    "max_rel_diff",
    "mean_rel_diff",
    "p50_diff",
    "p90_diff",
    "p99_diff",
    "p999_diff",
    "cosine_similarity",
    "snr_db",
    "mean_ulp",
    "p50_ulp",
    "p99_ulp",
    "max_ulp",
)
_ADDITIVE = (
    "elements",
    "compared",
    "left_nonfinite",
    "right_nonfinite",
    "agreeing",
    "relative_sum",
    "ulp_sum",
    "aa",
    "bb",
    "ab",
    "dd",
)


class _PairedOutput:
    """One output of both runs, read in chunks of whole samples or of a sample."""

    def __init__(
        self,
        name: str,
        reference: Arrays,
        actual: Arrays,
        reference_samples: SampleIds,
        actual_samples: SampleIds,
        common: npt.NDArray[np.int64],
    ) -> None:
        self.name = name
        self._left = rows_by_sample(
            take_output(reference, name, "reference"),
            name,
            reference_samples,
            "reference",
        )
        self._right = rows_by_sample(
            take_output(actual, name, "backend"), name, actual_samples, "backend"
        )
        if self._left.shape[1:] != self._right.shape[1:]:
            raise PredictError(
                f"output {name!r} should have shape {self._left.shape[1:]} a sample as "
                f"in the reference, the backend's has {self._right.shape[1:]}"
            )
        self._left_at = reference_samples.positions(common)
        self._right_at = actual_samples.positions(common)

    def chunks(self) -> Iterator[tuple[slice, Floats, Floats]]:
        """Read (samples, reference, actual), values of shape (samples, elements).

        Yields
        ------
        tuple of (slice, numpy.ndarray, numpy.ndarray)
            The part of the common samples, and float64 values on both sides.
        """
        sample_elements = math.prod(self._left.shape[1:])
        step = max(1, CHUNK_ELEMENTS // max(1, sample_elements))
        for start in range(0, self._left_at.size, step):
            part = slice(start, min(start + step, self._left_at.size))
            left = self._left[self._left_at[part]].reshape(part.stop - start, -1)
            right = self._right[self._right_at[part]].reshape(part.stop - start, -1)
            for first in range(0, sample_elements, CHUNK_ELEMENTS):
                columns = slice(first, first + CHUNK_ELEMENTS)
                yield (
                    part,
                    left[:, columns].astype(np.float64),
                    right[:, columns].astype(np.float64),
                )

    def finite(self) -> Iterator[Pair]:
        """Read the elements that are finite on both sides.

        Yields
        ------
        tuple of numpy.ndarray
            Reference and actual, float64, shape (elements,).
        """
        for _, left, right in self.chunks():
            both = np.isfinite(left) & np.isfinite(right)
            yield left[both], right[both]


class _Sums:
    """What one pass over the elements adds up; two of them can be merged."""

    def __init__(self, sample_count: int) -> None:
        self.elements = self.compared = 0
        self.left_nonfinite = self.right_nonfinite = self.agreeing = 0
        self.mean = self.squares = 0.0
        self.relative_sum = self.largest_relative = self.largest = 0.0
        self.ulp_sum = self.largest_ulp = 0.0
        self.aa = self.bb = self.ab = self.dd = 0.0
        self.sample_largest = np.zeros(sample_count)
        self.sample_disagreeing = np.zeros(sample_count, np.int64)
        self.octaves = OctaveCounts()

    def merge(self, other: _Sums) -> None:
        both = self.compared + other.compared
        if other.compared:
            # Chan's rule: no difference of large squares, so no cancellation.
            shift = other.mean - self.mean
            self.squares += (
                other.squares + shift**2 * self.compared * other.compared / both
            )
            self.mean += shift * other.compared / both
        for name in _ADDITIVE:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.largest = max(self.largest, other.largest)
        self.largest_relative = max(self.largest_relative, other.largest_relative)
        self.largest_ulp = max(self.largest_ulp, other.largest_ulp)
        self.octaves.merge(other.octaves)
        np.maximum(self.sample_largest, other.sample_largest, out=self.sample_largest)
        self.sample_disagreeing += other.sample_disagreeing


def _sum_up(pair: _PairedOutput, sample_count: int) -> _Sums:
    total = _Sums(sample_count)
    for part, left, right in pair.chunks():
        total.merge(_sum_chunk(part, left, right, sample_count))
    return total


def _sum_chunk(part: slice, left: Floats, right: Floats, sample_count: int) -> _Sums:
    sums = _Sums(sample_count)
    left_finite, right_finite = np.isfinite(left), np.isfinite(right)
    finite = left_finite & right_finite
    agreeing = ~finite & ((left == right) | (np.isnan(left) & np.isnan(right)))
    sums.elements = left.size
    sums.compared = int(finite.sum())
    sums.left_nonfinite = int(left.size - left_finite.sum())
    sums.right_nonfinite = int(right.size - right_finite.sum())
    sums.agreeing = int(agreeing.sum())
    sums.sample_disagreeing[part] = (~finite & ~agreeing).sum(axis=1)
    if not sums.compared:
        return sums
    a, b = np.where(finite, left, 0.0), np.where(finite, right, 0.0)
    difference = np.abs(a - b)
    # Excluded elements became 0 - 0: they add nothing to any sum or maximum, and the
    # mean divides by the number compared.
    sums.sample_largest[part] = difference.max(axis=1)
    sums.largest = float(difference.max())
    sums.mean = float(difference.sum() / sums.compared)
    sums.squares = float(np.square(difference[finite] - sums.mean).sum())
    with np.errstate(over="ignore"):
        relative = difference / np.abs(np.where(a == 0.0, 1.0, a))
    sums.relative_sum = float(relative.sum())
    sums.largest_relative = float(relative.max())
    ulps = float32_ulps(a, b)
    sums.ulp_sum, sums.largest_ulp = float(ulps.sum()), float(ulps.max())
    sums.octaves.add((b - a)[finite])
    sums.aa, sums.bb = float(np.vdot(a, a)), float(np.vdot(b, b))
    sums.ab, sums.dd = float(np.vdot(a, b)), float(np.vdot(difference, difference))
    return sums


def _finish(name: str, pairs: list[_PairedOutput], sums: _Sums) -> OutputDifference:
    def differences() -> Iterator[Floats]:
        for pair in pairs:
            for left, right in pair.finite():
                yield np.abs(left - right)

    def ulps() -> Iterator[Floats]:
        for pair in pairs:
            for left, right in pair.finite():
                yield float32_ulps(left, right)

    # Without a comparable element there is no figure, and none is made up.
    values: dict[str, float | None] = dict.fromkeys(_FIGURES)
    if sums.compared:
        p50, p90, p99, p999 = percentiles(differences, sums.compared, PERCENTS)
        p50_ulp, p99_ulp = percentiles(ulps, sums.compared, ULP_PERCENTS)
        values = {
            "mean_diff": sums.mean,
            "std_diff": math.sqrt(sums.squares / sums.compared),
            "max_diff": sums.largest,
            "max_rel_diff": sums.largest_relative,
            "mean_rel_diff": sums.relative_sum / sums.compared,
            "p50_diff": p50,
            "p90_diff": p90,
            "p99_diff": p99,
            "p999_diff": p999,
            "cosine_similarity": _cosine(sums),
            "snr_db": _snr_db(sums),
            "mean_ulp": sums.ulp_sum / sums.compared,
            "p50_ulp": p50_ulp,
            "p99_ulp": p99_ulp,
            "max_ulp": sums.largest_ulp,
        }
    return OutputDifference(
        output=name,
        element_count=sums.elements,
        compared_count=sums.compared,
        reference_nonfinite_count=sums.left_nonfinite,
        actual_nonfinite_count=sums.right_nonfinite,
        agreeing_nonfinite_count=sums.agreeing,
        bins=sums.octaves.freeze(),
        **values,
    )


def _cosine(sums: _Sums) -> float | None:
    # The square roots are taken apart: their product cannot overflow.
    norms = math.sqrt(sums.aa) * math.sqrt(sums.bb)
    return max(-1.0, min(1.0, sums.ab / norms)) if norms > 0.0 else None


def _snr_db(sums: _Sums) -> float | None:
    if sums.aa <= 0.0 or sums.dd <= 0.0:
        return None
    return 10.0 * (math.log10(sums.aa) - math.log10(sums.dd))


def _worst_samples(
    common: npt.NDArray[np.int64], total: _Sums
) -> tuple[WorstSample, ...]:
    order: Any = np.lexsort((common, -total.sample_largest, -total.sample_disagreeing))
    return tuple(
        WorstSample(
            sample_id=int(common[at]),
            max_diff=float(total.sample_largest[at]),
            disagreeing_nonfinite_count=int(total.sample_disagreeing[at]),
        )
        for at in order[:WORST_COUNT]
        if total.sample_disagreeing[at] or total.sample_largest[at] > 0.0
    )
