"""The command line as a function: a code comes back, and the process goes on."""

from __future__ import annotations

import pytest

from bytemlperf.cli import run


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["env", "list"], 0),
        (["env", "remove"], 2),
        (["cache", "list"], 0),
        (["backend", "init", "ACME"], 0),
        (["backend", "init", "not a name"], 2),
        (["schema", "result"], 0),
        (["no", "such", "verb"], 2),
        (["--version"], 0),
        (["env", "--help"], 0),
    ],
)
def test_every_verb_returns_its_exit_code(
    arguments, code, tmp_path, monkeypatch, capsys
):
    """Also a verb of a verb, such as `env list`, and one that only prints."""
    monkeypatch.setenv("BYTEMLPERF_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    assert run(arguments) == code
    said = capsys.readouterr()
    assert said.err if code else said.out
