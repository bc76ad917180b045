"""Service level objectives: ``p99<=20ms`` -> a bound -> met, missed, or not shown.

Input: an expression and what was measured. Output: a verdict that is as sure as its
samples allow. A percentile that happens to lie below its bound is not yet met.
"""

from __future__ import annotations

import math
import re
from typing import Literal

import msgspec

from bytemlperf.errors import ConfigError
from bytemlperf.statistics.blocks import (
    BlockTable,
    Estimate,
    mean_estimate,
    quantile_estimate,
    rate_estimate,
)
from bytemlperf.statistics.order import CONFIDENCE, loadgen_min_count, percentile_share
from bytemlperf.statistics.probability import binomial_cdf, student_cdf

__all__ = ["Slo", "SloJudgement", "judge_slo", "parse_percentiles", "parse_slos"]

NS_PER_UNIT = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9}
ALLOWED = (
    "expected a percentile or mean with a latency, such as p99<=20ms or mean<5ms, or "
    "qps>=1000; units are ns, us, ms, s"
)
_SHAPE = re.compile(
    r"(?P<name>p(?P<percentile>[0-9.]+)|mean|qps)\s*(?P<sign><=|<|>=|>)\s*"
    r"(?P<bound>[0-9.]+)\s*(?P<unit>[a-z]*)"
)

Verdict = Literal["met", "missed", "not shown"]


class Slo(msgspec.Struct, frozen=True):
    """One objective.

    Parameters
    ----------
    text : str
        As it was written, without blanks.
    metric : {"percentile", "mean", "qps"}
        Of the latency, or samples per second.
    percentile : float or None
        In percent, for ``"percentile"``.
    bound : float
        In ns, or samples per second; an upper bound of latencies, a lower one of qps.
    """

    text: str
    metric: Literal["percentile", "mean", "qps"]
    percentile: float | None
    bound: float


class SloJudgement(msgspec.Struct, frozen=True):
    """What a run says about an objective.

    Parameters
    ----------
    slo : Slo
        The objective.
    verdict : {"met", "missed", "not shown"}
        Met, or missed, with 99 % confidence; else not shown.
    value : float
        What was measured, in the unit of the bound.
    over_count : int
        Queries beyond a latency bound; 0 for qps.
    goodput_samples_per_s : float or None
        Completions within a latency bound per second; None for qps.
    reason : str
        What the verdict rests on.
    """

    slo: Slo
    verdict: Verdict
    value: float
    over_count: int
    goodput_samples_per_s: float | None
    reason: str


def parse_slos(text: str) -> tuple[Slo, ...]:
    """Read objectives.

    Parameters
    ----------
    text : str
        One or several, divided by commas.

    Returns
    -------
    tuple of Slo
        In the order written, each once.

    Raises
    ------
    ConfigError
        One of them is malformed, or nothing could ever meet it.
    """
    found = [_parse_slo(part) for part in text.split(",") if part.strip()]
    if not found:
        raise ConfigError(f"the objective {text!r} is empty: {ALLOWED}")
    return tuple(dict.fromkeys(found))


def parse_percentiles(text: str) -> tuple[float, ...]:
    """Read a comma list of percentiles.

    Parameters
    ----------
    text : str
        Such as ``50,90,99,99.9``.

    Returns
    -------
    tuple of float
        Ascending, each once.

    Raises
    ------
    ConfigError
        One of them is not a number above 0 and below 100.
    """
    found = set()
    for part in text.split(","):
        try:
            percentile = float(part.strip().removeprefix("p"))
        except ValueError:
            raise ConfigError(
                f"{part.strip()!r} is not a percentile",
                hint="for example --percentiles 50,90,99,99.9",
            ) from None
        percentile_share(percentile)
        found.add(percentile)
    return tuple(sorted(found))


def judge_slo(
    slo: Slo, table: BlockTable, *, samples_per_query: int = 1
) -> SloJudgement:
    """Judge one objective.

    A percentile is met if so few queries over its bound would, were the true share of
    such queries 1 - p, come by chance in less than 1 % of all runs: LoadGen's early
    stopping rule, with the effective number of queries in the place of n. It is missed
    if so many would come in less than 1 %. A mean and a rate are judged by Student's t
    of their batches.

    Parameters
    ----------
    slo : Slo
        The objective.
    table : BlockTable
        What was measured, with at least one query.
    samples_per_query : int, default 1
        Of each query.

    Returns
    -------
    SloJudgement
        With its reason.
    """
    if slo.metric == "qps":
        rate = rate_estimate(table, per_query=samples_per_query)
        verdict, reason = _judge_estimate(rate, slo.bound, upper=False)
        return SloJudgement(slo, verdict, rate.value, 0, None, reason)
    counts = table.counts.sum(axis=0)
    count = int(counts.sum())
    within = int(counts[table.values_ns <= slo.bound].sum())
    seconds = float(table.durations_ns.sum()) / 1e9
    goodput = within * samples_per_query / seconds if seconds else 0.0
    if slo.metric == "mean":
        mean = mean_estimate(table)
        verdict, reason = _judge_estimate(mean, slo.bound, upper=True)
        return SloJudgement(slo, verdict, mean.value, count - within, goodput, reason)
    assert slo.percentile is not None
    estimate = quantile_estimate(table, slo.percentile)
    verdict, reason = _judge_share(
        slo.percentile, count, count - within, estimate.effective_count
    )
    return SloJudgement(
        slo, verdict, float(estimate.value_ns), count - within, goodput, reason
    )


def _judge_share(
    percentile: float, count: int, over_count: int, effective_count: float
) -> tuple[Verdict, str]:
    allowed = 1 - percentile_share(percentile)
    over = over_count * effective_count / count
    said = f"{over_count} of {count} queries are over it, {allowed * 100:g} % may be"
    if effective_count < 0.99 * count:
        said += f" (they say as much as {effective_count:.0f} independent ones)"
    if binomial_cdf(over, effective_count, allowed) < 1 - CONFIDENCE:
        return "met", said
    so_many = 1 - binomial_cdf(over - 1, effective_count, allowed) if over > 0 else 1.0
    if so_many < 1 - CONFIDENCE:
        return "missed", said
    share_over = over_count / count
    if share_over < allowed:
        needed = math.ceil(
            loadgen_min_count(math.floor(over), percentile) * count / effective_count
        )
        said += f"; it takes at least {needed} queries to be 99 % sure"
    return "not shown", said


def _judge_estimate(
    estimate: Estimate, bound: float, *, upper: bool
) -> tuple[Verdict, str]:
    if estimate.relative_error is None:
        return "not shown", "too few blocks of time for an interval"
    error = estimate.relative_error * estimate.value
    distance = (bound - estimate.value) * (1 if upper else -1)
    said = (
        f"standard error {estimate.relative_error:.2%} "
        f"of {estimate.batch_count} batches"
    )
    if error == 0:
        return ("met" if distance >= 0 else "missed"), said
    sure = student_cdf(distance / error, estimate.batch_count - 1)
    if sure > CONFIDENCE:
        return "met", said
    return ("missed" if sure < 1 - CONFIDENCE else "not shown"), said


def _parse_slo(text: str) -> Slo:
    found = _SHAPE.fullmatch(text.strip())
    if found is None:
        raise ConfigError(f"the objective {text.strip()!r} is malformed", hint=ALLOWED)
    name, sign, unit = found["name"], found["sign"], found["unit"]
    try:
        bound = float(found["bound"])
        percentile = float(found["percentile"]) if found["percentile"] else None
    except ValueError:
        raise ConfigError(
            f"the objective {text.strip()!r} has a malformed number", hint=ALLOWED
        ) from None
    written = "".join(text.split())
    if not bound > 0:
        raise ConfigError(
            f"the objective {written!r} cannot be met by anything: its bound is not "
            "above 0",
            hint=ALLOWED,
        )
    if name == "qps":
        if unit or sign[0] == "<":
            raise ConfigError(
                f"the objective {written!r}: a rate is bounded from below and has no "
                "unit, such as qps>=1000",
                hint=ALLOWED,
            )
        return Slo(written, "qps", None, bound)
    if sign[0] == ">" or unit not in NS_PER_UNIT:
        raise ConfigError(
            f"the objective {written!r}: a latency is bounded from above, with a unit",
            hint=ALLOWED,
        )
    if percentile is not None:
        percentile_share(percentile)
    return Slo(
        written,
        "mean" if percentile is None else "percentile",
        percentile,
        bound * NS_PER_UNIT[unit],
    )
