"""How load arrives at what is measured: the fields of a workload about it.

They say what is asked; the engine makes a scenario of the runtime of them.
"""

from __future__ import annotations

from typing import Annotated, Literal, get_args

import msgspec

__all__ = ["OPEN_SCENARIOS", "SCENARIOS", "Load", "Scenario"]

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
SCENARIOS: tuple[Scenario, ...] = get_args(Scenario)
OPEN_SCENARIOS = SCENARIOS[3:]

# The upper end is what native code counts with.
Positive = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]
Rate = Annotated[float, msgspec.Meta(gt=0)]

_TIMED = ("server", "constant_rate", "gamma", "burst", "ramp")
# Which scenarios a field is about; fields that are not here are about all of them.
_ABOUT: dict[str, tuple[str, ...]] = {
    "rate": (*_TIMED, "trace"),
    "end_rate": ("ramp",),
    "burstiness": ("gamma",),
    "burst_size": ("burst",),
    "trace": ("trace",),
    "queries": ("offline",),
    "think_time_ms": ("closed_loop",),
}
_NEEDED: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(_TIMED, ("rate",)),
    "gamma": ("rate", "burstiness"),
    "burst": ("rate", "burst_size"),
    "ramp": ("rate", "end_rate"),
    "trace": ("trace",),
}


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """How load arrives, and how queries become batches.

    Parameters
    ----------
    scenario : str, default "closed_loop"
        How load arrives. ``closed_loop``, ``single_stream`` and ``multi_stream`` wait
        for answers; ``offline``, ``server``, ``constant_rate``, ``gamma``, ``burst``,
        ``ramp`` and ``trace`` do not.
    rate : float, optional
        Queries per second of an open loop, > 0; a trace is scaled to it.
    end_rate : float, optional
        Rate at the end of a ramp, > 0.
    burstiness : float, optional
        Squared coefficient of variation of gamma gaps; 1 is a Poisson process.
    burst_size : int, optional
        Queries of a burst, >= 1.
    trace : str, optional
        File of recorded arrivals; relative to the workload's file.
    queries : int, optional
        Queries of ``offline``, >= 1; None: as many as fill the time of a point.
    samples_per_query : int, optional
        Samples in a query, >= 1. None: the batch size in ``closed_loop``,
        ``single_stream`` and ``offline``; 8 in ``multi_stream``; 1 in all others.
    think_time_ms : float, default 0
        Pause of a client between an answer and its next query.
    max_batch : int, optional
        Samples of a batch at most, >= 1; None: the batch size, or a query's if that is
        larger.
    max_delay_us : int, default 0
        How long the oldest query may wait for company.
    predict_threads : int, optional
        Threads that call predict; None: as many as the backend has instances.
    schedule_seed : int, default 0
        Seed of the moments of an open loop.
    affinity : str, optional
        Processors of each kind of thread: ``role=processors``, several divided by
        commas, with the roles ``loop``, ``pacer``, ``predict`` and ``intra_op``, such
        as ``"loop=0,predict=1,intra_op=1-3"``. None: any.
    """

    scenario: Scenario = "closed_loop"
    rate: Rate | None = None
    end_rate: Rate | None = None
    burstiness: Annotated[float, msgspec.Meta(gt=0)] | None = None
    burst_size: Positive | None = None
    trace: Annotated[str, msgspec.Meta(min_length=1)] | None = None
    queries: Positive | None = None
    samples_per_query: Positive | None = None
    think_time_ms: Annotated[float, msgspec.Meta(ge=0)] = 0
    max_batch: Positive | None = None
    max_delay_us: Annotated[int, msgspec.Meta(ge=0)] = 0
    predict_threads: Positive | None = None
    schedule_seed: Annotated[int, msgspec.Meta(ge=0)] = 0
    affinity: Annotated[str, msgspec.Meta(min_length=1)] | None = None

    def check(self) -> None:
        """Refuse what does not belong together.

        Raises
        ------
        ValueError
            A field is not about the scenario, or one that it needs is missing.
        """
        for name, scenarios in _ABOUT.items():
            if getattr(self, name) and self.scenario not in scenarios:
                raise ValueError(
                    f"{name} is about the scenario {' or '.join(scenarios)}, not about "
                    f"{self.scenario}"
                )
        missing = [
            name
            for name in _NEEDED.get(self.scenario, ())
            if getattr(self, name) is None
        ]
        if missing:
            raise ValueError(
                f"the scenario {self.scenario} needs {' and '.join(missing)}"
            )
        if (
            self.samples_per_query is not None
            and self.max_batch is not None
            and self.samples_per_query > self.max_batch
        ):
            raise ValueError(
                f"a query of samples_per_query = {self.samples_per_query} does not fit "
                f"into a batch of max_batch = {self.max_batch}"
            )
        if self.scenario == "trace" and (self.samples_per_query or 1) != 1:
            raise ValueError("a trace says itself how many samples each query has")

    @property
    def is_open(self) -> bool:
        """Whether nobody waits for answers."""
        return self.scenario in OPEN_SCENARIOS

    def query_samples(self, batch_size: int) -> int:
        """Tell how many samples a query has.

        Parameters
        ----------
        batch_size : int
            Of the point.

        Returns
        -------
        int
            At least 1.
        """
        if self.samples_per_query is not None:
            return self.samples_per_query
        if self.scenario == "multi_stream":
            return 8
        if self.scenario in ("closed_loop", "single_stream", "offline"):
            return batch_size
        return 1

    def batch_samples(self, batch_size: int) -> int:
        """Tell how many samples a batch has at most.

        Parameters
        ----------
        batch_size : int
            Of the point.

        Returns
        -------
        int
            At least a query's.
        """
        if self.max_batch is not None:
            return self.max_batch
        return max(batch_size, self.query_samples(batch_size))
