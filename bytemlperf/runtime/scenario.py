"""What is asked of a run: how load arrives, how it is batched, when it ends.

Plain values. They know neither samples nor threads; their units are in their names.
"""

from __future__ import annotations

import msgspec

from bytemlperf.errors import ConfigError
from bytemlperf.runtime.open_scenario import OpenScenario

__all__ = [
    "Batching",
    "ClosedLoop",
    "ClosedScenario",
    "Limits",
    "MultiStream",
    "Scenario",
    "SingleStream",
    "WarmUp",
    "as_closed_loop",
    "scenario_name",
]


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ConfigError(message)


class ClosedLoop(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    tag_field="scenario",
    tag="closed_loop",
):
    """Clients that each wait for an answer before they ask again.

    Parameters
    ----------
    clients : int
        Coroutines that issue queries, >= 1.
    iterations : int
        Queries of each client, >= 1.
    samples_per_query : int, default 1
        Samples in a query, >= 1; they are neighbours in the loaded library.
    think_time_ns : int, default 0
        Pause between an answer and the next query of its client, ns, >= 0.
    lanes : bool, optional
        Whether there is no hand-over between threads: True demands it, False rules it
        out. Native clients are then served and asked for by the predict threads
        themselves, coroutine clients share the event loop's thread with predict. None:
        native clients without think time have lanes, others do not.

    Raises
    ------
    ConfigError
        A field is out of its range.
    """

    clients: int
    iterations: int
    samples_per_query: int = 1
    think_time_ns: int = 0
    lanes: bool | None = None

    def __post_init__(self) -> None:
        _require(self.clients >= 1, f"clients must be >= 1, not {self.clients}")
        _require(
            self.iterations >= 1, f"iterations must be >= 1, not {self.iterations}"
        )
        _require(
            self.samples_per_query >= 1,
            f"samples_per_query must be >= 1, not {self.samples_per_query}",
        )
        _require(
            self.think_time_ns >= 0,
            f"think_time_ns must be >= 0, not {self.think_time_ns}",
        )


class SingleStream(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    tag_field="scenario",
    tag="single_stream",
):
    """One query at a time, as MLPerf's SingleStream: a closed loop of one client.

    Parameters
    ----------
    queries : int
        Queries issued, >= 1, unless time ends the run before.
    samples_per_query : int, default 1
        Samples in a query, >= 1.

    Raises
    ------
    ConfigError
        A field is out of its range.
    """

    queries: int
    samples_per_query: int = 1

    def __post_init__(self) -> None:
        as_closed_loop(self)


class MultiStream(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    tag_field="scenario",
    tag="multi_stream",
):
    """One query of several neighbouring samples at a time, as MLPerf's MultiStream.

    A query is answered when all its samples are.

    Parameters
    ----------
    queries : int
        See `SingleStream`.
    samples_per_query : int, default 8
        Samples in a query, >= 1.

    Raises
    ------
    ConfigError
        A field is out of its range.
    """

    queries: int
    samples_per_query: int = 8

    def __post_init__(self) -> None:
        as_closed_loop(self)


ClosedScenario = SingleStream | MultiStream | ClosedLoop
Scenario = ClosedScenario | OpenScenario


def as_closed_loop(scenario: ClosedScenario) -> ClosedLoop:
    """Say in the words of a closed loop how its clients behave.

    Parameters
    ----------
    scenario : SingleStream, MultiStream or ClosedLoop
        The load.

    Returns
    -------
    ClosedLoop
        The same load.

    Raises
    ------
    ConfigError
        A field is out of its range.
    """
    if isinstance(scenario, ClosedLoop):
        return scenario
    _require(scenario.queries >= 1, f"queries must be >= 1, not {scenario.queries}")
    return ClosedLoop(
        clients=1,
        iterations=scenario.queries,
        samples_per_query=scenario.samples_per_query,
    )


def scenario_name(scenario: Scenario) -> str:
    """Return the scenario's name in files, options and reports.

    Parameters
    ----------
    scenario : Scenario
        The load.

    Returns
    -------
    str
        Such as ``"server"``.
    """
    return str(type(scenario).__struct_config__.tag)


class Batching(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How queries become batches: part of the system under test.

    Parameters
    ----------
    max_batch : int
        Samples in a batch at most, >= 1. Batches are whole queries, so it is rounded
        down to a multiple of samples per query.
    max_delay_us : int, default 0
        How long the oldest query may wait for company, us, >= 0. With 0 a free predict
        thread takes what there is.
    predict_threads : int, default 1
        Threads that call predict, >= 1.
    max_queued : int, optional
        Queries that may wait at once, >= 1. None: as many as there are clients in a
        closed loop; all of `Offline`, 65,536 in any other open loop; 1024 for a
        `Scheduler`.
    max_wake_delay_us : int, default 1000
        How long a finished batch may wait for the next one to finish before the event
        loop is woken, us, >= 0; only while at least 12 times as many batches are queued
        as are finished, so that the delay is small against the wait in the queue.

    Raises
    ------
    ConfigError
        A field is out of its range.
    """

    max_batch: int
    max_delay_us: int = 0
    predict_threads: int = 1
    max_queued: int | None = None
    max_wake_delay_us: int = 1000

    def __post_init__(self) -> None:
        _require(self.max_batch >= 1, f"max_batch must be >= 1, not {self.max_batch}")
        _require(
            self.max_delay_us >= 0,
            f"max_delay_us must be >= 0, not {self.max_delay_us}",
        )
        _require(
            self.predict_threads >= 1,
            f"predict_threads must be >= 1, not {self.predict_threads}",
        )
        _require(
            self.max_queued is None or self.max_queued >= 1,
            f"max_queued must be >= 1, not {self.max_queued}",
        )
        _require(
            self.max_wake_delay_us >= 0,
            f"max_wake_delay_us must be >= 0, not {self.max_wake_delay_us}",
        )

    def queries_per_batch(self, samples_per_query: int) -> int:
        """Count the queries of this size that fit into a batch.

        Parameters
        ----------
        samples_per_query : int
            Samples of each query, >= 1.

        Returns
        -------
        int
            At least 1.

        Raises
        ------
        ConfigError
            A single query is larger than a batch may be.
        """
        if samples_per_query > self.max_batch:
            raise ConfigError(
                f"a query of {samples_per_query} samples does not fit into a batch "
                f"of at most {self.max_batch}",
                hint="raise max_batch, or lower samples_per_query",
            )
        return self.max_batch // samples_per_query


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When a run ends before all its queries were issued.

    Parameters
    ----------
    max_seconds : float, optional
        Nothing is issued later than this after the start, > 0; None: no limit.
    min_queries : int, default 1
        Time does not end a run before so many queries are answered, >= 0.
    drain_seconds : float, optional
        How long to wait for queries still queued when the run stops, >= 0. What waits
        longer is dropped and counted as cancelled; a batch already in predict is always
        awaited, because a thread cannot be interrupted. None: wait for ever; in an open
        loop, as long as its schedule lasted, 1 s at least (`Offline`: for ever).

    Raises
    ------
    ConfigError
        A field is out of its range.
    """

    max_seconds: float | None = None
    min_queries: int = 1
    drain_seconds: float | None = None

    def __post_init__(self) -> None:
        _require(
            self.max_seconds is None or self.max_seconds > 0,
            f"max_seconds must be > 0, not {self.max_seconds}",
        )
        _require(
            self.min_queries >= 0, f"min_queries must be >= 0, not {self.min_queries}"
        )
        _require(
            self.drain_seconds is None or self.drain_seconds >= 0,
            f"drain_seconds must be >= 0, not {self.drain_seconds}",
        )


class WarmUp(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Queries served before measuring, until the service time settles.

    The medians of the service time over consecutive windows of `settle_batches` batches
    are compared; when `settle_windows` of them in a row each differ from the one before
    by at most `settle_tolerance`, the service time has settled.

    Parameters
    ----------
    max_seconds : float, default 2.0
        Longest warm-up, >= 0; 0 skips it.
    max_queries : int, optional
        Most queries of the warm-up, >= 0; 0 skips it. None: no limit.
    min_queries : int, default 1
        Queries answered before it may end by time or by settling, >= 0.
    settle_batches : int, default 8
        Batches of a window, >= 1.
    settle_windows : int, default 3
        Windows that must agree, >= 2.
    settle_tolerance : float, default 0.05
        Largest difference between neighbouring medians, as a share, >= 0.

    Raises
    ------
    ConfigError
        A field is out of its range.
    """

    max_seconds: float = 2.0
    max_queries: int | None = None
    min_queries: int = 1
    settle_batches: int = 8
    settle_windows: int = 3
    settle_tolerance: float = 0.05

    def __post_init__(self) -> None:
        _require(
            self.max_seconds >= 0, f"max_seconds must be >= 0, not {self.max_seconds}"
        )
        _require(
            self.max_queries is None or self.max_queries >= 0,
            f"max_queries must be >= 0, not {self.max_queries}",
        )
        _require(
            self.min_queries >= 0, f"min_queries must be >= 0, not {self.min_queries}"
        )
        _require(
            self.settle_batches >= 1 and self.settle_windows >= 2,
            "the settling rule needs settle_batches >= 1 and settle_windows >= 2, "
            f"not {self.settle_batches} and {self.settle_windows}",
        )
        _require(
            self.settle_tolerance >= 0,
            f"settle_tolerance must be >= 0, not {self.settle_tolerance}",
        )

    @property
    def is_skipped(self) -> bool:
        """Whether there is no warm-up at all."""
        return self.max_seconds == 0 or self.max_queries == 0
