"""The zoo's table, printed from results."""

from __future__ import annotations

import runpy
from pathlib import Path

import msgspec
from support.sample_results import make_result

SCRIPT = Path(__file__).parents[2] / "scripts" / "zoo_table.py"


def test_a_row_a_result(tmp_path: Path, capsys) -> None:
    """As many cells as headings, and the task's name in the first."""
    path = tmp_path / "result.json"
    path.write_bytes(msgspec.json.encode(make_result()))
    assert runpy.run_path(str(SCRIPT))["main"]([str(path)]) == 0
    heading, rule, row = capsys.readouterr().out.splitlines()
    assert heading.count("|") == rule.count("|") == row.count("|")
    assert row.startswith(f"| `{make_result().task}` |")


def test_without_results_it_says_what_it_wants(capsys) -> None:
    """Exit code 2, as of every command."""
    assert runpy.run_path(str(SCRIPT))["main"]([]) == 2
    assert "zoo_table.py reports/" in capsys.readouterr().err
