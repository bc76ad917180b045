"""Try the rules on a backend, one after the other.

Input: a `CheckJob`. Output: a `RuleChecked` for each rule that was not tried before. A
rule that ends this process is judged by the launcher, which goes on with the rest.
"""

from __future__ import annotations

import traceback

import msgspec

from bytemlperf.engine.conformance.rules import RULES, Rule
from bytemlperf.engine.conformance.subject import (
    NotApplicableError,
    RuleBrokenError,
    Subject,
)
from bytemlperf.engine.emitter import Emitter
from bytemlperf.engine.messages import CheckJob, RuleChecked
from bytemlperf.report.schema import RuleOutcome

__all__ = ["check_backend"]


def check_backend(job: CheckJob, emitter: Emitter) -> None:
    """Try every rule that has no outcome yet.

    Parameters
    ----------
    job : CheckJob
        Which backend, and what earlier workers have found.
    emitter : Emitter
        Gets the outcomes.
    """
    outcomes = dict(job.outcomes)
    subject = Subject(msgspec.structs.replace(job, outcomes=outcomes))
    for rule in RULES:
        if rule.name in outcomes:
            continue
        emitter.phase(rule.name, rule.deadline_seconds, rule.asks)
        outcome = try_rule(rule, subject)
        # The subject reads it: later rules use the formats that compiled.
        outcomes[rule.name] = outcome.status
        emitter.emit(RuleChecked(outcome))


def try_rule(rule: Rule, subject: Subject) -> RuleOutcome:
    """Try one rule.

    Parameters
    ----------
    rule : Rule
        Which.
    subject : Subject
        On whom.

    Returns
    -------
    RuleOutcome
        With what was seen.
    """
    try:
        seen = rule.check(subject)
    except NotApplicableError as reason:
        return rule_outcome(rule, "not_applicable", str(reason))
    except RuleBrokenError as broken:
        return rule_outcome(rule, "broken", str(broken))
    except Exception as error:
        # The backend's, whatever it is: that is what a rule finds out.
        lines = traceback.format_exception(error)
        return rule_outcome(
            rule,
            "broken",
            f"{type(error).__name__}: {error}",
            detail="".join(lines).strip(),
        )
    return rule_outcome(rule, "passed", seen or "")


def rule_outcome(
    rule: Rule, status: str, seen: str, detail: str | None = None
) -> RuleOutcome:
    """Put what was seen beside what the rule says."""
    return msgspec.convert(
        {
            "rule": rule.name,
            "must": rule.must,
            "status": status,
            "seen": seen,
            "asks": rule.asks,
            "why": rule.why,
            "mend": rule.mend,
            "detail": detail,
        },
        RuleOutcome,
    )
