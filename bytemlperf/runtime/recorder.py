"""What a run leaves behind: histograms, counts and series, all raw integers.

A pure function of the timeline; it refuses to format, to judge and to read a clock.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from bytemlperf._native.recorder import Recorder, unpacked_cells
from bytemlperf._native.timeline import Timeline
from bytemlperf.errors import ConfigError, PredictError
from bytemlperf.runtime.affinity import Affinity
from bytemlperf.runtime.hand_over import HandOver
from bytemlperf.runtime.thread_use import ThreadUse
from bytemlperf.statistics.hdr import cell_bounds, decode_counts, encode_counts

if TYPE_CHECKING:
    from bytemlperf.runtime.load_record import LoadRecording

__all__ = [
    "Block",
    "EndedBy",
    "Failure",
    "Histogram",
    "Recording",
    "Second",
    "WarmUpRecording",
    "blocks_from",
]

EndedBy = Literal["iterations", "max_seconds", "failed", "schedule"]


class Histogram:
    """Durations in HdrHistogram cells: 1 ns to 1 h at 3 significant digits.

    Made from a native recorder, from values, by merging or by decoding; never changed
    afterwards.

    Parameters
    ----------
    counts : ndarray
        Cells, int64, shape (33792,).
    min, max : int
        Smallest and largest value, ns.
    total : int or None
        Sum of all values, ns; None if only the cells are known (decoded).
    overflow_count : int, default 0
        Values that were clamped into the range.
    """

    __slots__ = ("_cumulative", "_total", "count", "counts", "max", "min",
                 "overflow_count")  # fmt: skip

    def __init__(
        self,
        counts: npt.NDArray[np.int64],
        *,
        min: int,
        max: int,
        total: int | None,
        overflow_count: int = 0,
    ) -> None:
        self.counts = counts
        self.count = int(counts.sum())
        self.min = min
        self.max = max
        self.overflow_count = overflow_count
        self._total = total
        self._cumulative: npt.NDArray[np.int64] | None = None

    @classmethod
    def from_recorder(cls, recorder: Recorder) -> Histogram:
        """Copy what a native recorder holds.

        Parameters
        ----------
        recorder : Recorder
            Left as it is.

        Returns
        -------
        Histogram
            Of the values recorded so far.
        """
        return cls(
            np.frombuffer(recorder.counts(), dtype=np.int64),
            min=recorder.min_ns,
            max=recorder.max_ns,
            total=recorder.sum_ns,
            overflow_count=recorder.overflow_count,
        )

    @classmethod
    def from_values(cls, values_ns: Iterable[int]) -> Histogram:
        """Record values.

        Parameters
        ----------
        values_ns : iterable of int
            Durations, ns.

        Returns
        -------
        Histogram
            Of these values.
        """
        recorder = Recorder()
        recorder.record_many(np.fromiter(values_ns, dtype=np.int64))
        return cls.from_recorder(recorder)

    @classmethod
    def decode(cls, text: str | bytes) -> Histogram:
        """Read the V2 compressed, base64 form.

        Parameters
        ----------
        text : str or bytes
            What `encode`, or the encoder of any HdrHistogram library, wrote.

        Returns
        -------
        Histogram
            With min, max and mean at the histogram's resolution.

        Raises
        ------
        ConfigError
            It is not such a text, or has another range or precision.
        """
        counts = decode_counts(text)
        used = np.flatnonzero(counts)
        return cls(
            counts,
            min=cell_bounds(int(used[0]))[0] if used.size else 0,
            max=cell_bounds(int(used[-1]))[1] if used.size else 0,
            total=None,
        )

    def encode(self) -> str:
        """Write the V2 compressed, base64 form, as the hdrhistogram package does.

        Returns
        -------
        str
            One line of text.
        """
        return encode_counts(self.counts)

    def percentile(self, percentile: float) -> int:
        """Smallest recorded value that so many percent of all values do not exceed.

        Parameters
        ----------
        percentile : float
            0 to 100; 0 is the minimum. Its decimal digits are taken exactly.

        Returns
        -------
        int
            ns, exact to 3 significant digits, never above the maximum.

        Raises
        ------
        ConfigError
            The percentile is out of range, or there are no values.
        """
        if not 0 <= percentile <= 100:
            raise ConfigError(f"a percentile is 0 to 100, not {percentile}")
        if not self.count:
            raise ConfigError(f"there are no values to take percentile {percentile} of")
        # Nearest rank, exactly: in binary, 99.9 % of 1000 is more than 999.
        rank = -(-(Fraction(str(percentile)) * self.count) // 100)
        if rank <= 1:
            return self.min
        if self._cumulative is None:
            self._cumulative = np.cumsum(self.counts)
        cell = int(np.searchsorted(self._cumulative, int(rank), side="left"))
        return min(cell_bounds(cell)[1], self.max)

    @property
    def mean(self) -> float:
        """Mean, ns; exact unless decoded."""
        if not self.count:
            raise ConfigError("there are no values to take the mean of")
        if self._total is not None:
            return self._total / self.count
        total = sum(
            sum(cell_bounds(int(cell))) * int(self.counts[cell])
            for cell in np.flatnonzero(self.counts)
        )
        return total / 2 / self.count

    def merge(self, other: Histogram) -> Histogram:
        """Add the values of another histogram.

        Parameters
        ----------
        other : Histogram
            Left as it is, like this one.

        Returns
        -------
        Histogram
            Of the values of both.
        """
        if not self.count:
            return other
        if not other.count:
            return self
        total = None
        if self._total is not None and other._total is not None:
            total = self._total + other._total
        return Histogram(
            self.counts + other.counts,
            min=min(self.min, other.min),
            max=max(self.max, other.max),
            total=total,
            overflow_count=self.overflow_count + other.overflow_count,
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Histogram):
            return NotImplemented
        return bool(np.array_equal(self.counts, other.counts))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<Histogram [{self.count} values | {self.min}..{self.max} ns]>"


class Second(msgspec.Struct, frozen=True):
    """One second of the measured part, by the moment answers were observed.

    Parameters
    ----------
    second : int
        Which second since the start, from 0.
    sample_count : int
        Samples answered in it.
    p50_ns, p99_ns, max_ns : int
        Latency of its queries, ns; -1 if there were none.
    """

    second: int
    sample_count: int
    p50_ns: int
    p99_ns: int
    max_ns: int


class Block(msgspec.Struct, frozen=True):
    """A stretch of the measured part: what its intervals are computed from.

    Parameters
    ----------
    start_ns, duration_ns : int
        Since the measured part began; blocks are equally long, but for the last, which
        ends with the last answer.
    query_count : int
        Queries whose answers were observed in it.
    sum_ns : int
        Sum of their latencies, ns.
    cells : ndarray
        Their latencies: int64, shape (k, 2), cells that are not empty and their counts,
        ascending.
    """

    start_ns: int
    duration_ns: int
    query_count: int
    sum_ns: int
    cells: npt.NDArray[np.int64]


def blocks_from(timeline: Timeline) -> tuple[Block, ...]:
    """Read the blocks of a finished timeline, those without an answer included.

    Parameters
    ----------
    timeline : Timeline
        After `finish`.

    Returns
    -------
    tuple of Block
        At most 64, one after the other from the start.
    """
    block_ns = timeline.block_ticks * timeline.tick_ns
    end_ns = timeline.last_observed_ns - timeline.start_ns
    filled = {index: rest for index, *rest in timeline.blocks}
    empty: list[Any] = [0, 0, b""]
    blocks = []
    for index in range(max(filled, default=-1) + 1):
        count, sum_ns, cells = filled.get(index, empty)
        start_ns = index * block_ns
        blocks.append(
            Block(
                start_ns=start_ns,
                duration_ns=min(block_ns, end_ns - start_ns),
                query_count=count,
                sum_ns=sum_ns,
                cells=np.frombuffer(unpacked_cells(cells), np.int64).reshape(-1, 2),
            )
        )
    return tuple(blocks)


class Failure(msgspec.Struct, frozen=True):
    """A batch that predict failed to answer.

    Parameters
    ----------
    error : str
        The error, as ``repr`` shows it.
    batch_size : int
        Samples in the batch.
    sample_index : int
        First loaded sample of its first query.
    is_warm_up : bool
        Whether it happened before measuring.
    """

    error: str
    batch_size: int
    sample_index: int
    is_warm_up: bool


class WarmUpRecording(msgspec.Struct, frozen=True):
    """The part before measuring.

    Parameters
    ----------
    query_count : int
        Queries answered.
    duration_ns : int
        From its start until the pipeline was drained, ns.
    settled : bool
        Whether the service time settled.
    service : Histogram
        Service times, ns, a value for each query.
    """

    query_count: int
    duration_ns: int
    settled: bool
    service: Histogram


class Recording(msgspec.Struct, frozen=True, kw_only=True):
    """What a run measured; every field is defined in ``docs/measurement.md``.

    Times are integers of nanoseconds on the monotonic clock. Histograms hold one value
    for each query answered in the measured part.
    """

    query_count: int
    sample_count: int
    failed_count: int
    cancelled_count: int
    overflow_count: int
    ended_by: EndedBy
    window_start_ns: int
    window_ns: int
    latency: Histogram
    schedule_lag: Histogram
    queue_wait: Histogram
    gather: Histogram
    service: Histogram
    wakeup: Histogram
    batch_size_counts: dict[int, int]
    view_count: int
    gather_count: int
    series: tuple[Second, ...]
    warm_up: WarmUpRecording
    peak_queued: int
    cpu_ns: int
    voluntary_switches: int
    involuntary_switches: int
    loop: str
    rng: str
    seed: int
    failures: tuple[Failure, ...]
    error: PredictError | None = None
    blocks: tuple[Block, ...] = ()
    client_kind: str = ""
    predict_path: str = ""
    path_reason: str = ""
    load: LoadRecording | None = None
    affinity: Affinity = Affinity()
    threads: tuple[ThreadUse, ...] = ()
    hand_over: HandOver | None = None
