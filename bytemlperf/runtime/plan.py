"""Which samples a run asks for, in order of issue: drawn from a seed.

The order is a function of (sample count, samples per query, alignment, seed) alone, so
that two runs with the same seed ask for the same samples in the same order.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bytemlperf.errors import ConfigError

__all__ = ["RNG_NAME", "SampleOrder"]

RNG_NAME = "numpy.PCG64"
_DRAWS_AT_ONCE = 8192  # about 50 us of work on the loop, every 8192 queries


class SampleOrder:
    """First samples of queries, without end.

    Parameters
    ----------
    sample_count : int
        Samples loaded.
    samples_per_query : int
        Samples of a query; they are neighbours.
    step : int
        Apart from each other by how many samples queries may begin so that their data
        is aligned. It is used if every sample can still be drawn, that is if it is not
        larger than `samples_per_query`; otherwise queries begin anywhere.
    seed : int
        Seed of the generator, >= 0.

    Raises
    ------
    ConfigError
        Fewer samples are loaded than a query takes, or the seed is negative.
    """

    def __init__(
        self, sample_count: int, samples_per_query: int, *, step: int, seed: int
    ) -> None:
        if sample_count < samples_per_query:
            raise ConfigError(
                f"a query takes {samples_per_query} samples, but only {sample_count} "
                "are loaded",
                hint="load more samples, or lower samples_per_query",
            )
        if seed < 0:
            raise ConfigError(f"a seed must be >= 0, not {seed}")
        self.step = step if step <= samples_per_query else 1
        self._starts = (sample_count - samples_per_query) // self.step + 1
        self._generator = np.random.Generator(np.random.PCG64(seed))

    def draw(self) -> npt.NDArray[np.int64]:
        """Draw the next queries.

        Returns
        -------
        ndarray
            First sample of each, int64, shape (8192,).
        """
        drawn = self._generator.integers(
            0, self._starts, size=_DRAWS_AT_ONCE, dtype=np.int64
        )
        return drawn * self.step
