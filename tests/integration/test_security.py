"""What docs/security.md promises of a whole run: secrets, permissions."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from reliability.command import Command

from bytemlperf.report.storage import read_result

pytestmark = pytest.mark.slow

SECRET = "hunter2-hunter2-hunter2"
NAMES = ("A_TOKEN", "VENDOR_API_KEY", "MY_SECRET", "DB_PASSWORD", "HTTPS_PROXY")


def test_a_run_keeps_secrets_and_permissions(tmp_path: Path) -> None:
    """The worker sees no secret, no file has one, and none is for others to write."""
    work = tmp_path / "work"
    work.mkdir()
    cache = tmp_path / "cache"
    command = Command(work, cache)
    command.set_variables(
        dict.fromkeys(NAMES, SECRET) | {"PLAIN_SETTING": "plain-value"}
    )
    shown = ("PLAIN_SETTING", *NAMES)
    places = ("compile", "load:4", "load:8", "load:2", "benchmark", "predict:4")
    command.prepare(
        {place: f"show={name}" for place, name in zip(places, shown, strict=True)}
    )
    before = os.umask(0o027)
    try:
        code = command.run(*command.arguments)
    finally:
        os.umask(before)
    assert code in (0, 4), command.said
    log = Path(read_result(command.result).log_file or "").read_text()
    # It shows what it sees, and of the secrets there is nothing to see.
    assert "plain-value" in log
    assert log.count("None") >= len(places) - 1
    written = [path for root in (command.out, cache) for path in root.rglob("*")]
    assert len(written) > 5
    for path in written:
        mode = stat.S_IMODE(path.lstat().st_mode)
        assert not mode & 0o027 or path.is_symlink(), f"{path} has mode {mode:o}"
        if path.is_file() and not path.is_symlink():
            assert not mode & 0o111, f"{path} can be run"
            assert SECRET.encode() not in path.read_bytes(), path
    assert SECRET not in command.said
