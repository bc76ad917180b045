"""A short version of the fault suite: one try of the faults that differ in kind.

SIGKILL of the command is the first half of the journal's fault: not tried by itself.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from reliability.faults import FAULTS
from reliability.suite import Outcome, adopt_orphans, try_fault

# Two commands of several processes each, on a machine that may be busy.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

SHORT = (
    "segfault in predict",
    "the kernel's out-of-memory killer strikes in predict",
    "one of two predict threads is stuck",
    "segfault in one of two processes",
    "one query in ten raises",
    "kill in compile",
    "load leaves a child",
    "predict forks",
    "SIGTERM in prepare",
    "SIGINT in perf, batch 8",
    "SIGKILL of the worker in perf, batch 8",
    "another command on the same folder",
    "another command on the same empty cache",
    "the clock steps an hour, back and forth",
    "the disk fills up",
    "the disk becomes read-only",
    "the journal's tail is cut and garbled",
)
BY_NAME = {fault.name: fault for fault in FAULTS}


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.mark.parametrize("name", SHORT)
def test_a_fault_loses_nothing(name: str, tmp_path: Path, cache: Path) -> None:
    """No finished point, no process, no lock, and the truth is told."""
    adopt_orphans()
    outcome = Outcome(name)
    try_fault(BY_NAME[name], tmp_path, cache, outcome)
    if outcome.not_run is not None:
        pytest.skip(outcome.not_run)
    assert outcome.is_good, outcome
