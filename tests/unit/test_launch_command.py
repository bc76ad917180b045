"""How a worker is started in the current interpreter."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bytemlperf.launch.command import command_finder


def test_without_requirements_the_current_interpreter_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is made and nothing told; the environment variables are passed on."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    told: list[str] = []
    command = command_finder(tmp_path / "cache", told.append)(None)
    assert command.argv == (sys.executable, "-m", "bytemlperf.engine")
    assert command.kind == "current"
    assert command.env["OMP_NUM_THREADS"] == "1"
    assert told == []
    assert not (tmp_path / "cache").exists()


def test_the_engine_is_found_from_anywhere(tmp_path: Path) -> None:
    """Also where the package is a checkout and the folder is another one."""
    command = command_finder(tmp_path, lambda text: None)(None)
    done = subprocess.run(
        [*command.argv, "--help"],
        env=command.env,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "--event-fd" in done.stdout
