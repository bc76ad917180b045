"""A recording, judged: how sure its figures are, and what spoils them.

Input: a `Recording` and objectives. Output: a `Measured`. It refuses to run anything:
`search`, `sweep`, `tune` and `ab` do.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from typing import Any, TypeVar

import msgspec
import numpy as np

from bytemlperf.errors import ConfigError
from bytemlperf.runtime.recorder import Recording
from bytemlperf.statistics.blocks import BlockTable, make_table
from bytemlperf.statistics.hdr import cell_tops_ns
from bytemlperf.statistics.probing import ProbeOutcome, judge_probe
from bytemlperf.statistics.slo import Slo, parse_slos
from bytemlperf.statistics.summary import (
    DEFAULT_PERCENTILES,
    RunStatistics,
    summarise,
)

__all__ = [
    "Measured",
    "Told",
    "awaited",
    "judged",
    "outcome_of",
    "parsed_objectives",
    "recording_table",
    "samples_per_query",
]

# Loads that change by themselves say nothing about what changes under them.
CHANGING = ("offline", "ramp", "trace")

Asked = TypeVar("Asked")
Came = TypeVar("Came")
Found = TypeVar("Found")


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """A run that was one of several.

    Parameters
    ----------
    settings : dict
        What it was run with, by name.
    recording : Recording
        What it measured.
    statistics : RunStatistics or None
        Its figures with their intervals, and the judgements of the objectives; None if
        no query was answered.
    faults : tuple of str
        What spoils it: failed, refused, dropped or not issued queries, a backlog that
        grew, no steady state. Empty: nothing does.
    """

    settings: dict[str, Any]
    recording: Recording
    statistics: RunStatistics | None
    faults: tuple[str, ...]

    @property
    def unmet(self) -> tuple[str, ...]:
        """Objectives that are missed or not shown, each with its verdict."""
        return tuple(
            f"{each.slo.text}: {each.verdict}"
            for each in (self.statistics.slos if self.statistics else ())
            if each.verdict != "met"
        )

    @property
    def is_usable(self) -> bool:
        """Whether nothing spoils it, and every objective is met."""
        return self.statistics is not None and not self.faults and not self.unmet


# Told of each run as soon as it is done, so that none is lost if a later one raises.
Told = Callable[[Measured], object]


def judged(
    recording: Recording,
    settings: Mapping[str, Any],
    slos: Sequence[Slo] = (),
    percentiles: Sequence[float] = DEFAULT_PERCENTILES,
) -> Measured:
    """Judge a recording.

    Parameters
    ----------
    recording : Recording
        What was measured.
    settings : mapping of str to object
        What it was run with.
    slos : sequence of Slo
        Objectives.
    percentiles : sequence of float
        In percent, (0, 100).

    Returns
    -------
    Measured
        With its faults.

    Raises
    ------
    ConfigError
        A percentile is out of range.
    """
    statistics = (
        summarise(
            recording_table(recording),
            samples_per_query=samples_per_query(recording),
            percentiles=percentiles,
            slos=slos,
        )
        if recording.query_count
        else None
    )
    return Measured(
        settings=dict(settings),
        recording=recording,
        statistics=statistics,
        faults=tuple(_faults(recording, statistics)),
    )


def outcome_of(measured: Measured) -> ProbeOutcome:
    """Say what a probe of a rate shows.

    Parameters
    ----------
    measured : Measured
        Of an open loop.

    Returns
    -------
    ProbeOutcome
        By the same rule as the command line's `search`.
    """
    load = measured.recording.load
    return judge_probe(
        measured.statistics,
        failed_count=measured.recording.failed_count,
        lost_count=load.refused_count + load.dropped_count if load else 0,
        is_unstable=load is not None and load.is_unstable,
        # Queries that we could not issue: it was not the rate asked for.
        is_invalid=load is not None and load.starved_count > 0,
    )


def recording_table(recording: Recording) -> BlockTable:
    """Lay a recording's blocks of time side by side, for `bytemlperf.statistics`.

    Parameters
    ----------
    recording : Recording
        With at least one answered query.

    Returns
    -------
    BlockTable
        Latencies in ns, at the tops of their cells, none above the largest.

    Raises
    ------
    ConfigError
        No query was answered.
    """
    if not recording.query_count or not recording.blocks:
        raise ConfigError(
            "the recording has no answered query, so that there is nothing to say of it"
        )
    blocks = recording.blocks
    return make_table(
        [block.duration_ns for block in blocks],
        [block.sum_ns for block in blocks],
        [
            np.stack(
                [
                    np.minimum(cell_tops_ns(block.cells[:, 0]), recording.latency.max),
                    block.cells[:, 1],
                ],
                axis=1,
            )
            for block in blocks
        ],
    )


def samples_per_query(recording: Recording) -> int:
    """Return the samples of each query.

    Parameters
    ----------
    recording : Recording
        With at least one answered query.

    Returns
    -------
    int
        At least 1.
    """
    return max(1, recording.sample_count // max(1, recording.query_count))


def parsed_objectives(objectives: str | Sequence[Slo]) -> tuple[Slo, ...]:
    """Read objectives.

    Parameters
    ----------
    objectives : str or sequence of Slo
        Such as ``"p99<=20ms, qps>=1000"``; empty: none.

    Returns
    -------
    tuple of Slo
        In the order given.

    Raises
    ------
    ConfigError
        One of them is malformed, or nothing could ever meet it.
    """
    if not isinstance(objectives, str):
        return tuple(objectives)
    return parse_slos(objectives) if objectives.strip() else ()


async def awaited(
    steps: Generator[Asked, Came, Found], measure: Callable[[Asked], Awaitable[Came]]
) -> Found:
    """Run a search to its end with a coroutine function that measures.

    Parameters
    ----------
    steps : generator
        Of `bytemlperf.statistics.search` or `bytemlperf.statistics.probing`.
    measure : coroutine function
        Takes what is to be measured, and returns what came of it.

    Returns
    -------
    object
        What the search found.
    """
    try:
        asked = next(steps)
        while True:
            asked = steps.send(await measure(asked))
    except StopIteration as end:
        found: Found = end.value
        return found


def _faults(recording: Recording, statistics: RunStatistics | None) -> list[str]:
    faults = []
    if recording.error is not None:
        faults.append(f"predict failed: {recording.error}")
    if recording.failed_count:
        faults.append(f"{recording.failed_count:,} queries failed")
    load = recording.load
    if load is not None:
        for count, words in (
            (load.refused_count, "found the queue full"),
            (load.dropped_count, "were still queued at the end"),
            (load.starved_count, "were not issued: answers were not taken in in time"),
        ):
            if count:
                faults.append(f"{count:,} of {load.scheduled_count:,} queries {words}")
        if load.is_unstable:
            faults.append("the backlog grew all along: more came than was served")
    if statistics is None:
        faults.append("no query was answered")
    elif statistics.steadiness.verdict == "unstable" and not (
        load is not None and load.scenario in CHANGING
    ):
        faults.append("no steady state: its figures changed by more than half")
    return faults
