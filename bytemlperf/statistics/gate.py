"""What a comparison may not do: ``p99>+5%`` fails a pipeline.

Input: expressions and judged comparisons. Output: which of them fail, with reasons.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

import msgspec

from bytemlperf.errors import ConfigError
from bytemlperf.statistics.comparison import (
    ALPHA,
    MetricComparison,
    metric_percentile,
)

__all__ = ["GateOutcome", "GateRule", "check_gate", "parse_gate"]

ALLOWED = (
    "expected a metric, > or <, and a change in percent, such as p99>+5% or qps<-3%; "
    "metrics are qps, mean, p50, p99, p99.9 ..."
)
_SHAPE = re.compile(
    r"(?P<metric>qps|mean|p[0-9.]+)\s*(?P<sign>[<>])\s*(?P<change>[+-]?[0-9.]+)\s*%"
)


class GateRule(msgspec.Struct, frozen=True):
    """One change that is too much.

    Parameters
    ----------
    text : str
        As written, without blanks.
    metric : str
        Which figure.
    is_upper : bool
        Whether a larger change fails (``>``), or a smaller one (``<``).
    change : float
        Bound of the change, as a share: 0.05 is 5 % more.
    """

    text: str
    metric: str
    is_upper: bool
    change: float


class GateOutcome(msgspec.Struct, frozen=True):
    """What a rule says about one comparison.

    Parameters
    ----------
    rule : str
        Its text.
    verdict : {"passed", "failed", "not shown"}
        Failed: beyond the bound, and surely no chance. Not shown: beyond it, but it may
        be chance, or there is no figure; this does not fail a pipeline.
    reason : str
        With the change and its interval.
    """

    rule: str
    verdict: Literal["passed", "failed", "not shown"]
    reason: str


def parse_gate(text: str) -> tuple[GateRule, ...]:
    """Read rules.

    Parameters
    ----------
    text : str
        One or several, divided by commas.

    Returns
    -------
    tuple of GateRule
        In the order written.

    Raises
    ------
    ConfigError
        One of them is malformed, or fails where nothing has changed.
    """
    rules = []
    for part in (piece.strip() for piece in text.split(",") if piece.strip()):
        found = _SHAPE.fullmatch(part)
        try:
            change = float(found["change"]) / 100 if found else 0.0
        except ValueError:
            found = None
        if found is None:
            raise ConfigError(f"--fail_on {part!r} is malformed", hint=ALLOWED)
        metric_percentile(found["metric"])
        is_upper = found["sign"] == ">"
        if (change < 0) if is_upper else (change > 0):
            raise ConfigError(
                f"--fail_on {part!r} fails where nothing has changed",
                hint="for example p99>+5% or qps<-3%",
            )
        rules.append(GateRule("".join(part.split()), found["metric"], is_upper, change))
    if not rules:
        raise ConfigError(f"--fail_on {text!r} is empty", hint=ALLOWED)
    return tuple(rules)


def check_gate(
    rules: Sequence[GateRule], comparisons: Sequence[MetricComparison]
) -> list[GateOutcome]:
    """Hold comparisons of one point against the rules.

    Parameters
    ----------
    rules : sequence of GateRule
        What may not be.
    comparisons : sequence of MetricComparison
        Judged, and among them every metric of the rules.

    Returns
    -------
    list of GateOutcome
        One a rule. A rule fails if the ratio is beyond its bound, and off 1 by what
        this host can tell from noise, with a corrected p-value below 5 %.
    """
    by_metric = {each.metric: each for each in comparisons}
    return [_outcome(rule, by_metric[rule.metric]) for rule in rules]


def _outcome(rule: GateRule, each: MetricComparison) -> GateOutcome:
    if each.ratio is None:
        return GateOutcome(
            rule.text,
            "not shown",
            f"too few queries: {each.metric} needs {each.needed_count}",
        )
    change = each.ratio - 1
    said = f"{each.metric} {change:+.1%}"
    if each.low is not None and each.high is not None:
        said += f" [{each.low - 1:+.1%}, {each.high - 1:+.1%}]"
    is_beyond = change > rule.change if rule.is_upper else change < rule.change
    if not is_beyond:
        return GateOutcome(rule.text, "passed", said)
    p_value = each.corrected_p_value
    if p_value is None:
        return GateOutcome(
            rule.text, "not shown", f"{said}: nothing known of its spread"
        )
    if p_value >= ALPHA:
        return GateOutcome(
            rule.text, "not shown", f"{said}: may be chance (p = {p_value:.2g})"
        )
    if abs(change) < each.margin and each.margin > abs(rule.change):
        return GateOutcome(
            rule.text,
            "not shown",
            f"{said}: this host cannot tell less than {each.margin:.1%} from noise",
        )
    return GateOutcome(rule.text, "failed", f"{said} (p = {p_value:.2g})")
