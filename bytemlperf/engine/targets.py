"""Is it right enough: figures held against references and bounds.

Input: a score or a comparison, and what it should be. Output: checks, or the reason why
there are none. A reference of other data, or of another number of samples, judges
nothing: the difference would be the data's.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from bytemlperf.model_zoo import ReferenceScore
from bytemlperf.quality import AccuracyScore, NumericComparison
from bytemlperf.report.schema import TargetCheck

__all__ = ["MIN_SNR_DB", "check_accuracy", "check_numerics"]

# Least signal-to-noise ratio of each output, by the precision that was computed in.
# Rounding once to a format of m mantissa bits makes noise about 6 (m + 1) dB below the
# signal; a network of a hundred layers loses some 20 to 40 dB of it. Right arithmetic
# stays well above these bounds, a wrong transform, axis or scale well below.
MIN_SNR_DB = {
    "fp64": 80.0,
    "fp32": 60.0,
    "tf32": 35.0,
    "fp16": 35.0,
    "bf16": 20.0,
    "int8": 10.0,
}


def check_accuracy(
    score: AccuracyScore,
    references: Sequence[ReferenceScore],
    source_sha256: Collection[str],
    share: float,
) -> tuple[list[TargetCheck], str | None]:
    """Hold a score against the references that it can be compared with.

    Parameters
    ----------
    score : AccuracyScore
        Of this run.
    references : sequence of ReferenceScore
        Of the model file.
    source_sha256 : collection of str
        Hashes of the data files that were scored.
    share : float
        Of a reference that is enough, (0, 1]; 0.99 is MLPerf's.

    Returns
    -------
    checks : list of TargetCheck
        One for each figure with a reference.
    unjudged : str or None
        Why there is none.
    """
    named = {figure.name for figure in score.figures}
    known = [each for each in references if each.metric in named]
    on_data = [
        each
        for each in known
        if each.n is not None
        and (each.data_sha256 is None or each.data_sha256 in source_sha256)
    ]
    fitting = [each for each in on_data if each.n == score.n]
    if not fitting:
        if not known:
            return [], "the model file has no reference score"
        if not on_data:
            return [], "the reference scores are of other data"
        counts = sorted({f"{each.n:,}" for each in on_data})
        return [], (
            f"the reference is of {' or '.join(counts)} {score.unit}, "
            f"{score.n:,} were scored"
        )
    checks = []
    for reference in fitting:
        figure = score.figure(reference.metric)
        wanted = reference.fraction
        higher = figure.is_better == "higher"
        bound = wanted * share if higher else wanted / share
        checks.append(
            TargetCheck(
                figure=figure.name,
                value=figure.value,
                bound=bound,
                wanted="at_least" if higher else "at_most",
                is_met=figure.value >= bound if higher else figure.value <= bound,
                source=f"{share:g} of {reference.source}",
                reference=wanted,
            )
        )
    return checks, None


def check_numerics(
    compared: NumericComparison,
    precision: str,
    min_snr_db: float | None,
    *,
    stored: str = "",
) -> tuple[list[TargetCheck], str | None]:
    """Hold every output against the bounds of a precision.

    Parameters
    ----------
    compared : NumericComparison
        Of this run.
    precision : str
        That was computed in, as the backend states it.
    min_snr_db : float or None
        Bound of the workload; None takes that of the precision.
    stored : str
        Precision that the model's weights are stored in, such as ``"INT8"``: exact
        arithmetic on rounded weights is no nearer to the reference than they are.

    Returns
    -------
    checks : list of TargetCheck
        Of each output its non-finite values, and its signal-to-noise ratio where there
        is one: not if both sides are equal, or the reference is all zeros.
    unjudged : str or None
        Why there is none.
    """
    bound, source = min_snr_db, "min_snr_db of the workload"
    if bound is None:
        # Of a mixture such as "int8_fp16" the coarser one decides.
        computed, weights = _coarsest(precision), _coarsest(stored)
        name, source = computed or precision, f"right arithmetic in {computed}"
        if computed and weights and MIN_SNR_DB[weights] < MIN_SNR_DB[computed]:
            name = weights
            source = f"right arithmetic in {computed} on weights stored in {weights}"
        bound = MIN_SNR_DB.get(name)
    if bound is None:
        return [], f"no bound is known for precision {precision!r}; set min_snr_db"
    checks = []
    for output in compared.outputs:
        disagreeing = output.disagreeing_nonfinite_count
        checks.append(
            TargetCheck(
                figure="disagreeing_nonfinite_count",
                value=disagreeing,
                bound=0,
                wanted="at_most",
                is_met=disagreeing == 0,
                source="the reference",
                output=output.output,
            )
        )
        if output.snr_db is not None:
            checks.append(
                TargetCheck(
                    figure="snr_db",
                    value=output.snr_db,
                    bound=bound,
                    wanted="at_least",
                    is_met=output.snr_db >= bound,
                    source=source,
                    output=output.output,
                )
            )
    return checks, None


def _coarsest(precision: str) -> str | None:
    """Return which of the formats that a precision names makes most noise."""
    named = [each for each in MIN_SNR_DB if each in precision.lower()]
    return min(named, key=MIN_SNR_DB.__getitem__, default=None)
