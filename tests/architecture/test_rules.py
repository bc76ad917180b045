"""Rules that ruff enforces here: shown to hold, and shown to bite."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RULES = "TID251,TID252,TID253,T201,S102,S301,S302,S307,S602,S604,S605"


def ruff(*arguments: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run ruff with the project's settings and only the rules of this file."""
    return subprocess.run(
        [
            *(sys.executable, "-m", "ruff", "check", "--no-cache"),
            *("--select", RULES, "--output-format", "json", *arguments),
        ],
        cwd=ROOT,
        input=text,
        check=False,
        capture_output=True,
        text=True,
    )


def test_package_keeps_the_rules():
    """No clock, print, relative import or framework where it does not belong."""
    done = ruff("bytemlperf")
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("path", "line", "rule"),
    [
        ("runtime/plan.py", "from time import perf_counter_ns", "TID251"),
        ("engine/perf.py", "import time\n\nNOW = time.monotonic_ns()", "TID251"),
        ("backends/GOYA/backend_goya.py", "from time import time", "TID251"),
        ("runtime/plan.py", "import time\n\ntime.sleep(1)", "TID251"),
        ("report/console.py", "print('x')", "T201"),
        ("launch/session.py", "print('x')", "T201"),
        ("quality/metrics.py", "import torch", "TID253"),
        ("datasets/images.py", "import transformers", "TID253"),
        ("runtime/plan.py", "from . import clock", "TID252"),
        ("report/storage.py", "import pickle\n\npickle.loads(b'')", "S301"),
        ("workloads/schema.py", "eval('1')", "S307"),
        ("launch/process.py", "import os\n\nos.system('x' + y)", "S605"),
    ],
)
def test_violation_is_found(path, line, rule):
    """Each rule fails for the file that breaks it."""
    done = ruff("--stdin-filename", f"bytemlperf/{path}", "-", text=f"{line}\n")
    assert done.returncode != 0
    assert {found["code"] for found in json.loads(done.stdout)} == {rule}


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("runtime/clock.py", "from time import perf_counter_ns"),
        ("cli/display.py", "print('x')"),
        ("backends/runtimes/torch_model.py", "import torch"),
    ],
)
def test_place_for_it_is_allowed(path, line):
    """Each rule has the one place where the thing is done."""
    done = ruff("--stdin-filename", f"bytemlperf/{path}", "-", text=f"{line}\n")
    assert done.returncode == 0, done.stdout


# Readers that run code from a file unless they are told not to.
SAFE_ARGUMENTS = {"torch.load": "weights_only=True", "np.load": "allow_pickle=False"}


def unsafe_reads(source: str) -> list[str]:
    """Return the calls of such readers that are not told."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    return [
        ast.unparse(call)
        for call in calls
        if (wanted := SAFE_ARGUMENTS.get(ast.unparse(call.func)))
        and wanted not in {ast.unparse(keyword) for keyword in call.keywords}
    ]


def test_no_file_runs_code():
    """Also where a library's default would be the safe one today."""
    for path in (ROOT / "bytemlperf").rglob("*.py"):
        assert unsafe_reads(path.read_text()) == [], path


def test_an_unsafe_read_is_found():
    """The rule bites."""
    assert unsafe_reads("torch.load(path)\nnp.load(p, allow_pickle=True)") == [
        "torch.load(path)",
        "np.load(p, allow_pickle=True)",
    ]
