"""From a scenario to the moments at which its queries are due. Pure.

A schedule is a function of (scenario, seed) alone. Poisson, ramp, constant and burst
use the raw words of PCG64, sorting, and the operations that IEEE 754 defines exactly:
they are the same on every machine. Gamma is as reproducible as numpy's
``standard_gamma``; the schedule's hash, which every report has, shows a difference.
"""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt

from bytemlperf.runtime.open_scenario import (
    Burst,
    ConstantRate,
    Gamma,
    Offline,
    OpenScenario,
    Ramp,
    Server,
    Trace,
)

__all__ = ["due_times", "schedule_seconds", "schedule_sha256", "span_seconds"]

Moments = npt.NDArray[np.int64]


def due_times(scenario: OpenScenario, seed: int) -> Moments:
    """Draw when each query is due.

    Parameters
    ----------
    scenario : OpenScenario
        The load.
    seed : int
        Of the schedule, >= 0.

    Returns
    -------
    ndarray
        ns since the start, int64, never falling, one for each query; a query of several
        samples of a `Trace` has one for each sample.
    """
    if isinstance(scenario, Offline):
        return np.zeros(scenario.queries, np.int64)
    if isinstance(scenario, Trace):
        due_ns = np.ascontiguousarray(scenario.due_ns, dtype=np.int64)
        return due_ns if scenario.sizes is None else np.repeat(due_ns, scenario.sizes)
    span_ns = scenario.seconds * 1e9
    if isinstance(scenario, Ramp):
        mean_qps = (scenario.rate_qps + scenario.end_rate_qps) / 2
        count = max(1, round(mean_qps * scenario.seconds))
        return _ramp(scenario, _uniform(count, seed), span_ns)
    count = round(scenario.rate_qps * scenario.seconds)
    if isinstance(scenario, Server):
        return _whole(np.sort(_uniform(count, seed)) * span_ns)
    places = np.arange(count, dtype=np.float64)
    if isinstance(scenario, ConstantRate):
        return _whole(places * (span_ns / count))
    if isinstance(scenario, Burst):
        bursts = np.floor(places / scenario.burst_size)
        return _whole(bursts * (scenario.burst_size * 1e9 / scenario.rate_qps))
    assert isinstance(scenario, Gamma)
    generator = np.random.Generator(np.random.PCG64(seed))
    # One gap more than arrivals: the last one lasts until the end of the schedule.
    gaps = generator.standard_gamma(1 / scenario.burstiness, count + 1)
    ends = np.cumsum(gaps)
    return _whole(ends[:-1] * (span_ns / ends[-1]))


def schedule_seconds(scenario: OpenScenario) -> float:
    """Tell how long a schedule is.

    Parameters
    ----------
    scenario : OpenScenario
        The load.

    Returns
    -------
    float
        s; 0 for `Offline`. A `Trace` lasts one mean gap longer than to its last
        arrival, so that its rate is that of its gaps.
    """
    if isinstance(scenario, Offline):
        return 0.0
    if isinstance(scenario, Trace):
        return span_seconds(scenario.due_ns)
    return scenario.seconds


def span_seconds(due_ns: Moments) -> float:
    """Tell how long given arrivals last, with one mean gap after the last of them.

    Parameters
    ----------
    due_ns : ndarray
        Moments of queries, ns, never falling, at least one.

    Returns
    -------
    float
        s; 0 if they are all at one moment.
    """
    count = len(due_ns)
    span_s = (int(due_ns[-1]) - int(due_ns[0])) / 1e9
    return span_s * count / (count - 1) if count > 1 else 0.0


def schedule_sha256(due_ns: Moments) -> str:
    """Hash a schedule.

    Parameters
    ----------
    due_ns : ndarray
        Moments, ns, int64.

    Returns
    -------
    str
        SHA-256 of the moments as little-endian 64-bit integers, hexadecimal.
    """
    little = np.ascontiguousarray(due_ns, dtype="<i8")
    return hashlib.sha256(little.view(np.uint8).data).hexdigest()


def _uniform(count: int, seed: int) -> npt.NDArray[np.float64]:
    """Draw from [0, 1): the upper 53 bits of each raw word."""
    words = np.random.PCG64(seed).random_raw(count)
    uniform: npt.NDArray[np.float64] = (words >> np.uint64(11)) * np.float64(2.0**-53)
    return uniform


def _ramp(scenario: Ramp, uniform: npt.NDArray[np.float64], span_ns: float) -> Moments:
    """Invert the expected number of arrivals until a moment, which is a parabola."""
    start, end = scenario.rate_qps, scenario.end_rate_qps
    share = np.sort(uniform)
    # With u the share of all arrivals and x that of the time:
    # u (start + end) / 2 = start x + (end - start) x^2 / 2, solved without cancelling.
    root = np.sqrt(start * start + share * (end * end - start * start))
    return _whole(share * (start + end) / (start + root) * span_ns)


def _whole(moments_ns: npt.NDArray[np.float64]) -> Moments:
    return np.floor(moments_ns).astype(np.int64)
