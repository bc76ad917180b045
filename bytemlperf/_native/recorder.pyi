from typing import Final, final

import numpy as np
import numpy.typing as npt

__all__ = [
    "CELL_COUNT",
    "HIGHEST_TRACKABLE_NS",
    "LOWEST_NS",
    "SIGNIFICANT_DIGITS",
    "Recorder",
]

LOWEST_NS: Final[int]
HIGHEST_TRACKABLE_NS: Final[int]
SIGNIFICANT_DIGITS: Final[int]
CELL_COUNT: Final[int]

@final
class Recorder:
    """A histogram of nanoseconds with one writer."""

    def record(self, value_ns: int, count: int = 1) -> None: ...
    def record_many(self, values_ns: npt.NDArray[np.int64]) -> None: ...
    def at_rank(self, rank: int) -> int: ...
    def reset(self) -> None: ...
    def counts(self) -> bytes: ...
    @property
    def total_count(self) -> int: ...
    @property
    def overflow_count(self) -> int: ...
    @property
    def min_ns(self) -> int: ...
    @property
    def max_ns(self) -> int: ...
    @property
    def sum_ns(self) -> int: ...
