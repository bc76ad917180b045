"""Is one way to run faster than another? Recordings in, ratios and verdicts out.

The statistics are those of the verbs `compare` and `ab` of the command line:
`bytemlperf.statistics.comparison`. It refuses to compare what was not asked the same.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence

import msgspec

from bytemlperf.errors import ConfigError
from bytemlperf.runtime.measured import judged, recording_table, samples_per_query
from bytemlperf.runtime.recorder import Recording
from bytemlperf.statistics.comparison import (
    METRICS,
    MIN_EFFECT,
    MetricComparison,
    assumed_noise,
    compare_runs,
    judge_comparisons,
    metric_percentile,
)

__all__ = ["SideComparison", "ab", "compare"]


class SideComparison(msgspec.Struct, frozen=True, kw_only=True):
    """Runs of one thing beside runs of another.

    Parameters
    ----------
    metrics : tuple of MetricComparison
        For each its ratio other / base, the interval, the p-values and the verdict.
    base, other : tuple of Recording
        The runs, in the order given.
    faults : tuple of str
        Why they should not be compared; not empty only where that was forced.
    run_noise : dict of str to float
        Metric to the standard deviation of its logarithm between runs, as taken into
        account where a side has fewer than three runs.
    is_noise_assumed : bool
        Whether it was not measured, but assumed.
    """

    metrics: tuple[MetricComparison, ...]
    base: tuple[Recording, ...]
    other: tuple[Recording, ...]
    faults: tuple[str, ...]
    run_noise: dict[str, float]
    is_noise_assumed: bool


def compare(
    base: Recording | Sequence[Recording],
    other: Recording | Sequence[Recording],
    *,
    metrics: Sequence[str] = METRICS,
    min_effect: float = MIN_EFFECT,
    run_noise: Mapping[str, float] | None = None,
    detectable: Mapping[str, float] | None = None,
    is_paired: bool = False,
    force: bool = False,
) -> SideComparison:
    """Compare runs of one thing with runs of another.

    With three or more runs a side the spread between runs decides; with fewer that
    within them, to which `run_noise` is added. See *Comparing runs* in
    ``docs/measurement.md``.

    Parameters
    ----------
    base, other : Recording or sequence of Recording
        One or several runs of the same load.
    metrics : sequence of str
        ``"qps"`` (samples per second), ``"mean"``, or such as ``"p99"``.
    min_effect : float, default 0.02
        Share below which a difference is of no consequence, (0, 1).
    run_noise, detectable : mapping of str to float, optional
        Of this host, by metric: see `bytemlperf.statistics.comparison`. Where no noise
        between runs is given, 2 % is assumed, for p99 and above 5 %.
    is_paired : bool, default False
        Whether run i of one side was made next to run i of the other.
    force : bool, default False
        Compare what is spoilt or was not asked the same; `SideComparison.faults` says
        what speaks against it.

    Returns
    -------
    SideComparison
        With a verdict for each metric.

    Raises
    ------
    ConfigError
        A run answered nothing, a metric does not exist, or they are not comparable: the
        message says why. How many clients a closed loop had is not in a recording, and
        not checked.
    """
    sides = {"base": _runs(base), "other": _runs(other)}
    if not 0 < min_effect < 1:
        raise ConfigError(f"min_effect is above 0 and below 1, not {min_effect:g}")
    faults = _faults(sides)
    if faults and not force:
        raise ConfigError(
            "the runs are not comparable: " + "; ".join(faults),
            hint="force=True compares them all the same, and keeps the reasons",
        )
    noise = dict(run_noise) if run_noise is not None else assumed_noise(metrics)
    ours, theirs = ([recording_table(each) for each in runs] for runs in sides.values())
    (found,) = judge_comparisons(
        [
            compare_runs(
                ours,
                theirs,
                samples_per_query=samples_per_query(sides["base"][0]),
                metrics=metrics,
                run_noise=noise,
                is_paired=is_paired,
            )
        ],
        min_effect=min_effect,
        detectable=detectable,
    )
    return SideComparison(
        metrics=tuple(found),
        base=sides["base"],
        other=sides["other"],
        faults=tuple(faults),
        run_noise=noise,
        is_noise_assumed=run_noise is None,
    )


async def ab(
    run_a: Callable[[], Awaitable[Recording]],
    run_b: Callable[[], Awaitable[Recording]],
    *,
    rounds: int = 3,
    metrics: Sequence[str] = METRICS,
    min_effect: float = MIN_EFFECT,
    run_noise: Mapping[str, float] | None = None,
    detectable: Mapping[str, float] | None = None,
    on_run: Callable[[str, Recording], object] | None = None,
) -> SideComparison:
    """Run two things in turn, A B B A A B ..., and compare them.

    Whatever drifts on the machine meanwhile meets both, so that it is no difference.

    Parameters
    ----------
    run_a, run_b : coroutine function
        ``await run_a()`` makes a load test with `run`: the same load on either side.
    rounds : int, default 3
        Runs of each side, >= 1; from 3 on the noise between runs decides.
    metrics, min_effect, run_noise, detectable
        See `compare`.
    on_run : callable, optional
        Told ``("a", recording)`` or ``("b", recording)`` when a run is done.

    Returns
    -------
    SideComparison
        A is its base. What speaks against it is in its `faults`, and refused nothing.

    Raises
    ------
    ConfigError
        A parameter is out of its range.
    PredictError
        Predict failed before it answered a single query.
    """
    if rounds < 1:
        raise ConfigError(f"rounds must be >= 1, not {rounds}")
    if not 0 < min_effect < 1:
        raise ConfigError(f"min_effect is above 0 and below 1, not {min_effect:g}")
    for metric in metrics:
        metric_percentile(metric)
    sides: dict[str, list[Recording]] = {"a": [], "b": []}
    for number in range(rounds):
        for name in ("ab", "ba")[number % 2]:
            recording = await (run_a if name == "a" else run_b)()
            if on_run is not None:
                on_run(name, recording)
            if recording.error is not None and not recording.query_count:
                raise recording.error
            sides[name].append(recording)
    return compare(
        sides["a"],
        sides["b"],
        metrics=metrics,
        min_effect=min_effect,
        run_noise=run_noise,
        detectable=detectable,
        is_paired=True,
        force=True,
    )


def _runs(side: Recording | Sequence[Recording]) -> tuple[Recording, ...]:
    runs = (side,) if isinstance(side, Recording) else tuple(side)
    if not runs:
        raise ConfigError("a comparison needs at least one run a side")
    return runs


def _faults(sides: Mapping[str, Sequence[Recording]]) -> list[str]:
    """Say what spoils a run, and what the sides were not asked alike."""
    faults = [
        f"run {number} of {side}: {fault}"
        for side, runs in sides.items()
        for number, each in enumerate(runs, 1)
        for fault in judged(each, {}).faults
    ]
    loads = {
        side: sorted({_load_words(each) for each in runs})
        for side, runs in sides.items()
    }
    if loads["base"] != loads["other"]:
        faults.append(
            f"the load of base is {' and '.join(loads['base'])}, that of other "
            f"{' and '.join(loads['other'])}"
        )
    return faults


def _load_words(recording: Recording) -> str:
    size = f"{samples_per_query(recording)} samples a query"
    load = recording.load
    if load is None:
        return f"a closed loop, {size}"
    rate = f" at {load.requested_qps:g}/s" if load.requested_qps is not None else ""
    return f"{load.scenario}{rate}, schedule seed {load.schedule_seed}, {size}"
