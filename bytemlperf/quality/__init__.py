"""Quality: accuracy scores and numeric comparison, as pure functions over outputs.

Input: outputs by name, labels by column, sample ids. Output: frozen values with n and
an interval. This room knows no dataset, no backend and no file.
"""

from bytemlperf.quality.numeric_comparison import compare_outputs
from bytemlperf.quality.numeric_result import (
    NumericComparison,
    OutputDifference,
    WorstSample,
)

__all__ = [
    "NumericComparison",
    "OutputDifference",
    "WorstSample",
    "compare_outputs",
]
