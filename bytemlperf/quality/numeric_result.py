"""What a numeric comparison says: named figures with their formulas and units.

Input: numbers from `compare_outputs`. Output: frozen values. No arithmetic here.
"""

from __future__ import annotations

import msgspec

from bytemlperf.quality.difference_bins import DifferenceBins

__all__ = ["NumericComparison", "OutputDifference", "WorstSample"]


class OutputDifference(msgspec.Struct, frozen=True, kw_only=True):
    """Differences of one output, or of all together.

    With a the reference and b the actual value of an element, d = a - b, and
    a' = a, or 1 where a is 0; over the elements where both are finite. All figures
    but the relative ones, the cosine and the SNR have the unit of the output. They
    are None where no element can be compared.

    Parameters
    ----------
    output : str
        The output's name; ``"*"`` for all outputs together.
    element_count : int
        Elements on each side.
    compared_count : int
        Elements that are finite on both sides.
    reference_nonfinite_count, actual_nonfinite_count : int
        NaN and infinite elements of each side.
    agreeing_nonfinite_count : int
        Elements where both are NaN, or both the same infinity: masked logits, say.
    mean_diff : float, optional
        ``mean |d|``, ByteMLPerf's "Mean Diff".
    std_diff : float, optional
        Population standard deviation (ddof 0) of ``|d|``, "Std Diff".
    max_diff : float, optional
        ``max |d|``, "Max Diff".
    max_rel_diff : float, optional
        ``max |d / a'|``, "Max Rel-Diff"; huge wherever the reference is near zero.
    mean_rel_diff : float, optional
        ``mean |d / a'|``, "Mean Rel-Diff".
    p50_diff, p90_diff, p99_diff, p999_diff : float, optional
        Percentiles of ``|d|``, nearest rank, exact.
    cosine_similarity : float, optional
        ``sum ab / sqrt(sum aa * sum bb)``; None if a side is all zeros.
    snr_db : float, optional
        ``10 log10(sum aa / sum dd)``, decibel; None if all d are 0 (it would be
        infinite) or the reference is all zeros.
    mean_ulp, p50_ulp, p99_ulp, max_ulp : float, optional
        ``|d|`` in units of last place of a float32 reference (`float32_ulps`).
    bins : DifferenceBins
        The distribution of ``b - a``, sign kept.
    """

    output: str
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
    mean_ulp: float | None
    p50_ulp: float | None
    p99_ulp: float | None
    max_ulp: float | None
    bins: DifferenceBins

    @property
    def disagreeing_nonfinite_count(self) -> int:
        """Elements that are NaN or infinite on one side, or differently on both."""
        return self.element_count - self.compared_count - self.agreeing_nonfinite_count


class WorstSample(msgspec.Struct, frozen=True):
    """A sample that differs much.

    Parameters
    ----------
    sample_id : int
        Its id.
    max_diff : float
        Its largest ``|d|`` over all outputs, among elements finite on both sides.
    disagreeing_nonfinite_count : int
        Its elements that are NaN or infinite on one side only, or differently.
    """

    sample_id: int
    max_diff: float
    disagreeing_nonfinite_count: int


class NumericComparison(msgspec.Struct, frozen=True, kw_only=True):
    """Two runs compared, sample by sample.

    Parameters
    ----------
    sample_count : int
        Samples that both runs answered: the compared ones.
    reference_only_count, actual_only_count : int
        Samples that one run alone answered; they are not compared.
    outputs : tuple of OutputDifference
        One an output, in the reference's order.
    overall : OutputDifference
        All outputs together.
    worst_samples : tuple of WorstSample
        The five that differ most: those with disagreeing NaN or infinities first,
        then by `max_diff`. Samples that agree exactly are not listed.
    ignored_outputs : tuple of str
        Outputs that the reference does not have; they are not compared.
    """

    sample_count: int
    reference_only_count: int
    actual_only_count: int
    outputs: tuple[OutputDifference, ...]
    overall: OutputDifference
    worst_samples: tuple[WorstSample, ...]
    ignored_outputs: tuple[str, ...]
