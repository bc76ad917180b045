"""Quality: accuracy scores and numeric comparison, as pure functions over outputs.

Input: outputs by name, labels by column, sample ids. Output: frozen values with n and
an interval. This room knows no dataset, no backend and no file.
"""

from bytemlperf.quality.accuracy_score import AccuracyScore, Figure
from bytemlperf.quality.difference_bins import DifferenceBins, Octave
from bytemlperf.quality.intervals import Interval
from bytemlperf.quality.numeric_comparison import compare_outputs
from bytemlperf.quality.numeric_result import (
    NumericComparison,
    OutputDifference,
    WorstSample,
)
from bytemlperf.quality.scoring import METRICS, score

__all__ = [
    "METRICS",
    "AccuracyScore",
    "DifferenceBins",
    "Figure",
    "Interval",
    "NumericComparison",
    "Octave",
    "OutputDifference",
    "WorstSample",
    "compare_outputs",
    "score",
]
