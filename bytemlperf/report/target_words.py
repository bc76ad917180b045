"""Targets in words: met, missed, or why nothing was judged.

Input: checks of a report. Output: sentences.
"""

from __future__ import annotations

from bytemlperf.report.schema import AccuracyReport, NumericReport, TargetCheck

__all__ = ["missed_sentence", "target_summary"]


def target_summary(report: AccuracyReport | NumericReport) -> str:
    """Say what a report was held against, to follow its figures.

    Parameters
    ----------
    report : AccuracyReport or NumericReport
        With or without targets.

    Returns
    -------
    str
        Empty if there is nothing to say. What was missed is said by
        `missed_sentence`.
    """
    if not report.targets:
        return f"; not judged: {report.unjudged}" if report.unjudged else ""
    if not all(check.is_met for check in report.targets):
        return "; MISSED its target, see below"
    bounds = [
        f"{check.figure} {'>=' if check.wanted == 'at_least' else '<='} {check.bound:g}"
        for check in report.targets
        # That nothing is NaN goes without saying.
        if check.figure != "disagreeing_nonfinite_count"
    ]
    return f"; target met: {', '.join(dict.fromkeys(bounds))}" if bounds else ""


def missed_sentence(check: TargetCheck) -> str:
    """Say what was expected and what came.

    Parameters
    ----------
    check : TargetCheck
        One that is not met.

    Returns
    -------
    str
        One sentence without a full stop.
    """
    side = "at least" if check.wanted == "at_least" else "at most"
    where = f" of output {check.output}" if check.output else ""
    return (
        f"{check.figure}{where} is {check.value:.6g}, expected {side} "
        f"{check.bound:.6g} ({check.source})"
    )
