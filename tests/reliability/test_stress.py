"""A short version of the stress test: some rounds of everything at once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


def test_rounds_of_everything_at_once() -> None:
    """In a process of its own: a hang ends it, with the stacks of all threads."""
    script = Path(__file__).with_name("stress.py")
    done = subprocess.run(
        [sys.executable, str(script), "--seed", "1", "--seconds", "4"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert " rounds\n" in done.stdout
