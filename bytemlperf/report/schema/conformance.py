"""What the conformance suite found about a backend."""

from __future__ import annotations

from typing import Literal

import msgspec

__all__ = ["ConformanceReport", "RuleOutcome"]


class RuleOutcome(msgspec.Struct, frozen=True):
    """One rule, tried.

    Parameters
    ----------
    rule : str
        Its name.
    must : bool
        Whether breaking it makes measurements wrong; otherwise they are only worse.
    status : {"passed", "broken", "not_applicable"}
        How it went.
    seen : str
        What was observed, or why there was nothing to try.
    asks, why, mend : str
        What the rule asks, which number goes wrong otherwise, and what to change.
    detail : str or None
        A traceback or the end of the log.
    """

    rule: str
    must: bool
    status: Literal["passed", "broken", "not_applicable"]
    seen: str
    asks: str
    why: str
    mend: str
    detail: str | None = None


class ConformanceReport(msgspec.Struct, frozen=True):
    """All rules on one backend.

    Parameters
    ----------
    schema_version : int
        Of the result schema.
    hardware_type, backend_version : str
        Which backend.
    grade : {"A", "B", "C", "F"}
        A: every rule that applies holds. B: all that must hold do. C: it compiles and
        answers right, but breaks a rule that must hold. F: it does not.
    outcomes : list of RuleOutcome
        In the order they were tried.
    interact_info : dict
        Answers to the backend's questions it was tried with.
    """

    schema_version: int
    hardware_type: str
    backend_version: str
    grade: Literal["A", "B", "C", "F"]
    outcomes: list[RuleOutcome]
    interact_info: dict[str, object] = {}
