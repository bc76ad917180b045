"""Loads that do not wait for answers: their schedule is drawn before the clock starts.

Plain values, each with its arrival process; `arrivals` turns them into moments. A
closed loop slows down with the system that it measures; these do not.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from bytemlperf.errors import ConfigError

__all__ = [
    "MAX_RATE_QPS",
    "MAX_SCHEDULE_SECONDS",
    "Burst",
    "ConstantRate",
    "Gamma",
    "Offline",
    "OpenScenario",
    "Ramp",
    "Server",
    "Timed",
    "Trace",
]

# A moment is a whole nanosecond: faster, queries would share theirs.
MAX_RATE_QPS = 1e9
# The recorder's range: a latency is at most one hour, and so is a schedule.
MAX_SCHEDULE_SECONDS = 3600.0


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ConfigError(message)


def _check_rate(name: str, rate_qps: float) -> None:
    _require(
        0 < rate_qps <= MAX_RATE_QPS,
        f"{name} must be > 0 and at most {MAX_RATE_QPS:g} queries per second, "
        f"not {rate_qps:g}",
    )


def _check_timed(rate_qps: float, seconds: float, samples_per_query: int) -> None:
    _check_rate("rate_qps", rate_qps)
    _require(
        0 < seconds <= MAX_SCHEDULE_SECONDS,
        f"seconds must be > 0 and at most {MAX_SCHEDULE_SECONDS:g}, not {seconds:g}",
    )
    _require(
        round(rate_qps * seconds) >= 1,
        f"{rate_qps:g} queries per second for {seconds:g} s is not even one query",
    )
    _check_samples(samples_per_query)


def _check_samples(samples_per_query: int) -> None:
    _require(
        samples_per_query >= 1,
        f"samples_per_query must be >= 1, not {samples_per_query}",
    )


class Server(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    tag_field="scenario",
    tag="server",
):
    """Queries of many independent users: a Poisson process, as MLPerf's Server.

    Its moments are ``round(rate_qps * seconds)`` independent uniform ones, sorted: just
    how a Poisson process looks given its number of arrivals, so that the rate offered
    is the rate asked for, and not the luck of a seed.

    Parameters
    ----------
    rate_qps : float
        Queries per second, > 0.
    seconds : float
        Length of the schedule, (0, 3600].
    samples_per_query : int, default 1
        Samples in a query, >= 1; they are neighbours in the loaded library.

    Raises
    ------
    ConfigError
        A field is out of its range, or not even one query would be issued.
    """

    rate_qps: float
    seconds: float
    samples_per_query: int = 1

    def __post_init__(self) -> None:
        _check_timed(self.rate_qps, self.seconds, self.samples_per_query)


class ConstantRate(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    tag_field="scenario",
    tag="constant_rate",
):
    """One query every ``1 / rate_qps`` seconds, the first at once.

    Parameters
    ----------
    rate_qps, seconds, samples_per_query
        See `Server`.

    Raises
    ------
    ConfigError
        See `Server`.
    """

    rate_qps: float
    seconds: float
    samples_per_query: int = 1

    def __post_init__(self) -> None:
        _check_timed(self.rate_qps, self.seconds, self.samples_per_query)


class Gamma(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    tag_field="scenario",
    tag="gamma",
):
    """Arrivals more or less regular than a Poisson process: gaps of a gamma law.

    The gaps are scaled by one factor so that the rate offered is the rate asked for.

    Parameters
    ----------
    rate_qps, seconds
        See `Server`.
    burstiness : float
        Squared coefficient of variation of the gaps, [0.01, 100]: 1 is Poisson, more
        comes in bursts, less is more regular. (The shape of the law is its inverse.)
    samples_per_query
        See `Server`.

    Raises
    ------
    ConfigError
        See `Server`.
    """

    rate_qps: float
    seconds: float
    burstiness: float
    samples_per_query: int = 1

    def __post_init__(self) -> None:
        _check_timed(self.rate_qps, self.seconds, self.samples_per_query)
        _require(
            0.01 <= self.burstiness <= 100,
            f"burstiness must be 0.01 to 100, not {self.burstiness:g}",
        )


class Burst(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    tag_field="scenario",
    tag="burst",
):
    """Groups of queries that are due together, evenly apart.

    Parameters
    ----------
    rate_qps, seconds
        See `Server`; the rate is that of all queries.
    burst_size : int
        Queries of a burst, >= 1; the last one may be smaller.
    samples_per_query
        See `Server`.

    Raises
    ------
    ConfigError
        See `Server`.
    """

    rate_qps: float
    seconds: float
    burst_size: int
    samples_per_query: int = 1

    def __post_init__(self) -> None:
        _check_timed(self.rate_qps, self.seconds, self.samples_per_query)
        _require(
            self.burst_size >= 1, f"burst_size must be >= 1, not {self.burst_size}"
        )


class Ramp(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    tag_field="scenario",
    tag="ramp",
):
    """A Poisson process whose rate changes evenly from one value to another.

    Parameters
    ----------
    rate_qps, end_rate_qps : float
        Queries per second at the start and at the end, > 0.
    seconds, samples_per_query
        See `Server`.

    Raises
    ------
    ConfigError
        See `Server`.
    """

    rate_qps: float
    end_rate_qps: float
    seconds: float
    samples_per_query: int = 1

    def __post_init__(self) -> None:
        _check_rate("end_rate_qps", self.end_rate_qps)
        _check_timed(self.rate_qps, self.seconds, self.samples_per_query)


class Offline(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    tag_field="scenario",
    tag="offline",
):
    """Everything is due at once, as MLPerf's Offline: how much gets done, and how soon.

    The samples are asked for in the order in which they are loaded, again and again.

    Parameters
    ----------
    queries : int
        How many, >= 1.
    samples_per_query : int, default 1
        See `Server`.

    Raises
    ------
    ConfigError
        A field is out of its range.
    """

    queries: int
    samples_per_query: int = 1

    def __post_init__(self) -> None:
        _require(self.queries >= 1, f"queries must be >= 1, not {self.queries}")
        _check_samples(self.samples_per_query)


class Trace(
    msgspec.Struct,
    frozen=True,
    eq=False,
    tag_field="scenario",
    tag="trace",
):
    """Arrivals that were recorded elsewhere, replayed.

    Parameters
    ----------
    due_ns : ndarray
        When each query is due, ns since the start, int64, shape (queries,), never
        falling.
    sizes : ndarray, optional
        Samples of each query, int64, >= 1; None: one each. A query of several samples
        is issued as so many rows at one moment: its latency is that of the last.
    source : str, default ""
        Where it comes from, for the report.

    Raises
    ------
    ConfigError
        It is empty, steps back, is longer than an hour, or a size is below 1.
    """

    due_ns: Any
    sizes: Any = None
    source: str = ""

    def __post_init__(self) -> None:
        due_ns = np.asarray(self.due_ns)
        _require(
            due_ns.ndim == 1 and len(due_ns) > 0 and due_ns.dtype.kind in "iu",
            "a trace needs at least one moment, in whole ns",
        )
        back = np.flatnonzero(np.diff(due_ns) < 0)
        if back.size:
            at = int(back[0])
            raise ConfigError(
                f"a trace never steps back, but arrival {at + 1} is due "
                f"{int(due_ns[at]) - int(due_ns[at + 1])} ns before arrival {at}"
                + (f" ({self.source})" if self.source else ""),
                hint="sort it by time",
            )
        _require(
            int(due_ns[0]) >= 0 and int(due_ns[-1]) <= MAX_SCHEDULE_SECONDS * 1e9,
            f"a trace lasts from 0 to at most {MAX_SCHEDULE_SECONDS:g} s, not "
            f"{int(due_ns[0]) / 1e9:g} to {int(due_ns[-1]) / 1e9:g} s",
        )
        if self.sizes is not None:
            sizes = np.asarray(self.sizes)
            _require(
                sizes.shape == due_ns.shape
                and sizes.dtype.kind in "iu"
                and int(sizes.min()) >= 1,
                "a trace needs one size for each arrival, whole and >= 1",
            )

    @property
    def samples_per_query(self) -> int:
        """Samples of a row: a larger query is issued as several."""
        return 1


Timed = Server | ConstantRate | Gamma | Burst | Ramp
OpenScenario = Timed | Offline | Trace

Moments = npt.NDArray[np.int64]
