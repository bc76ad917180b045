"""The options about how load arrives, and what they turn into.

Input: words of the command line, parsed by their types. Output: workload fields.
Nothing heavy is imported: `--help` reads this module.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Group, Parameter

__all__ = ["LOAD", "LoadOverrides"]

LOAD = Group.create_ordered("How load arrives, in every selected workload")

Scenario = Literal[
    "closed_loop",
    "single_stream",
    "multi_stream",
    "offline",
    "server",
    "constant_rate",
    "gamma",
    "burst",
    "ramp",
    "trace",
]


@Parameter(name="*")
@dataclass(frozen=True)
class LoadOverrides:
    """Workload fields about load, given on the command line.

    Parameters
    ----------
    scenario
        closed_loop, single_stream and multi_stream wait for answers; offline (all at
        once), server (Poisson), constant_rate, gamma, burst, ramp and trace do not.
    rate
        Queries per second of an open loop; a trace is scaled to it.
    end_rate
        Rate at the end of a ramp.
    burstiness
        Of gamma: squared coefficient of variation of the gaps; 1 is Poisson, more comes
        in bursts, less is more regular.
    burst_size
        Queries of a burst, due together.
    trace
        File of recorded arrivals, .csv or .jsonl, with a column timestamp_s, _ms, _us
        or _ns, and perhaps size, the samples of the query.
    queries
        Queries of offline; left out: as many as fill the time of a point.
    samples_per_query
        Samples in a query: the batch size in closed_loop, single_stream and offline, 8
        in multi_stream, 1 in all others.
    think_time_ms
        Pause of a closed loop's client between an answer and its next query.
    max_batch
        Samples of a batch at most: the batch size, or a query's if that is larger.
    max_delay_us
        How long the oldest query may wait for company.
    predict_threads
        Threads that call predict: as many as the backend has instances.
    schedule_seed
        Seed of the moments of an open loop; --seed is that of samples and their order.
    affinity
        Processors of the event loop, the pacing thread, the predict threads and the
        threads inside an operator: loop=0,pacer=0,predict=1,intra_op=1-3. A role that
        is left out: pacer as loop, intra_op as predict, others any.
    """

    scenario: Annotated[Scenario | None, Parameter(group=LOAD)] = None
    rate: Annotated[float | None, Parameter(group=LOAD)] = None
    end_rate: Annotated[float | None, Parameter(group=LOAD)] = None
    burstiness: Annotated[float | None, Parameter(group=LOAD)] = None
    burst_size: Annotated[int | None, Parameter(group=LOAD)] = None
    trace: Annotated[Path | None, Parameter(group=LOAD)] = None
    queries: Annotated[int | None, Parameter(group=LOAD)] = None
    samples_per_query: Annotated[int | None, Parameter(group=LOAD)] = None
    think_time_ms: Annotated[float | None, Parameter(group=LOAD)] = None
    max_batch: Annotated[int | None, Parameter(group=LOAD)] = None
    max_delay_us: Annotated[int | None, Parameter(group=LOAD)] = None
    predict_threads: Annotated[int | None, Parameter(group=LOAD)] = None
    schedule_seed: Annotated[int | None, Parameter(group=LOAD)] = None
    affinity: Annotated[str | None, Parameter(group=LOAD)] = None

    def fields(self) -> dict[str, Any]:
        """Return the fields that were given, by name, in the workload's types."""
        given = {
            name: value for name, value in asdict(self).items() if value is not None
        }
        if self.trace is not None:
            given["trace"] = str(self.trace.absolute())
            # What else could be meant?
            given.setdefault("scenario", "trace")
        return given
