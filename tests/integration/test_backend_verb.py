"""`backend init` writes what works; `backend check` survives what does not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from bytemlperf.report.schema import ConformanceReport

FAULTY = Path(__file__).parents[1] / "support" / "FAULTY"


def command(*words, cwd=None, env=None):
    return subprocess.run(
        [sys.executable, "-m", "bytemlperf", "backend", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=110,
        cwd=cwd,
        env=env,
        check=False,
    )


def read(out, hardware_type):
    path = out / hardware_type / "conformance.json"
    return msgspec.json.decode(path.read_bytes(), type=ConformanceReport)


@pytest.mark.frameworks
def test_what_init_writes_keeps_the_contract(tmp_path):
    """The skeleton is a backend: it passes as it is written."""
    done = command("init", "acme", "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "ACME"
    assert {path.name for path in folder.iterdir()} == {
        "backend_acme.py",
        "acme.json",
        "requirements.txt",
        "test_acme.py",
    }
    done = command("check", "ACME", "--backend_path", folder, "--out", tmp_path / "out")
    assert done.returncode == 0, done.stdout + done.stderr
    report = read(tmp_path / "out", "ACME")
    assert report.grade == "A"
    assert report.interact_info == {"threads": 1}


def test_init_refuses_what_cannot_be(tmp_path):
    """A name that is no name, and a folder that is there: nothing is written."""
    done = command("init", "a b", "--out", tmp_path)
    assert done.returncode == 2
    assert "letters, digits and underscores" in done.stderr
    (tmp_path / "ACME").mkdir()
    done = command("init", "acme", "--out", tmp_path)
    assert done.returncode == 2
    assert "exists: nothing was written" in done.stderr
    assert list((tmp_path / "ACME").iterdir()) == []


@pytest.mark.frameworks
def test_a_rule_that_ends_the_process_costs_that_rule(tmp_path, monkeypatch):
    """A worker that exits in compile breaks that rule; the others are tried."""
    monkeypatch.setenv("FAULT", "exits")
    done = command("check", "FAULTY", "--backend_path", FAULTY, "--out", tmp_path)
    assert done.returncode == 3, done.stderr
    report = read(tmp_path, "FAULTY")
    by_name = {outcome.rule: outcome for outcome in report.outcomes}
    assert report.grade == "F"
    assert by_name["compile-onnx"].status == "broken"
    assert "exited with code 7" in by_name["compile-onnx"].seen
    assert by_name["quiet"].status == "not_applicable"
