"""What is said of a dead worker is no more than what is known."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from bytemlperf.launch.postmortem import (
    OomCounters,
    describe_exit,
    log_tail,
    read_oom_counters,
)

UNKNOWN = OomCounters(None, None)


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (OomCounters(0, 0), OomCounters(1, 1), "^out of memory: .* control group"),
        (OomCounters(2, 5), OomCounters(2, 6), "^probably out of memory"),
        (OomCounters(None, 0), OomCounters(None, 2), "^probably out of memory"),
        (OomCounters(0, 0), OomCounters(0, 0), "^sent by another process"),
        (UNKNOWN, UNKNOWN, "^either out of memory or sent by another process"),
    ],
)
def test_a_kill_is_explained_by_the_counters(
    before: OomCounters, after: OomCounters, words: str
) -> None:
    """As firmly as the counter that rose, and no firmer."""
    import re

    kind, cause, explanation = describe_exit(-signal.SIGKILL, before, after)
    assert (kind, cause) == ("killed", "was killed by SIGKILL")
    assert explanation is not None
    assert re.search(words, explanation)


def test_other_ends() -> None:
    """Exit codes, known signals, and signals without a name."""
    assert describe_exit(3, UNKNOWN, UNKNOWN) == ("exited", "exited with code 3", None)
    kind, cause, explanation = describe_exit(-signal.SIGSEGV, UNKNOWN, UNKNOWN)
    assert (kind, cause) == ("killed", "was killed by SIGSEGV")
    assert "native code" in (explanation or "")
    assert describe_exit(-63, UNKNOWN, UNKNOWN)[1] == "was killed by signal 63"


def write_counters(root: Path, membership: str, files: dict[str, str]) -> None:
    """Lay out /proc and /sys/fs/cgroup below a folder."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(membership)
    (root / "proc/vmstat").write_text("nr_free_pages 12\noom_kill 7\n")
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


@pytest.mark.parametrize(
    ("membership", "files", "cgroup"),
    [
        ("0::/a/b\n", {"sys/a/b/memory.events": "oom 3\noom_kill 2\n"}, 2),
        ("0::/host/path\n", {"sys/memory.events": "oom 1\noom_kill 1\n"}, 1),
        (
            "4:memory:/job\n0::/\n",
            {"sys/memory/job/memory.oom_control": "under_oom 0\noom_kill 5\n"},
            5,
        ),
        (
            "4:memory,cpu:/job\n",
            {"sys/memory/memory.oom_control": "oom_kill_disable 0\noom_kill 0\n"},
            0,
        ),
        ("1:cpu:/\n", {}, None),
    ],
)
def test_counters_are_found_in_both_kinds_of_control_groups(
    tmp_path: Path, membership: str, files: dict[str, str], cgroup: int | None
) -> None:
    """Version 2, version 1, and inside a container whose path is the host's."""
    write_counters(tmp_path, membership, files)
    counters = read_oom_counters(tmp_path / "proc", tmp_path / "sys")
    assert counters == OomCounters(cgroup=cgroup, machine=7)


def test_no_counters_at_all(tmp_path: Path) -> None:
    """Nothing readable is None, not zero."""
    assert read_oom_counters(tmp_path, tmp_path) == UNKNOWN


def test_a_tail_is_the_last_whole_lines(tmp_path: Path) -> None:
    """Twenty, of this worker's part only, without empty ones."""
    log = tmp_path / "worker.log"
    log.write_text("an earlier worker\n" + "".join(f"line {n}\n\n" for n in range(50)))
    assert log_tail(log).splitlines() == [f"line {n}" for n in range(30, 50)]
    assert log_tail(log, start_byte=log.stat().st_size) == ""
    assert log_tail(
        log, start_byte=len("an earlier worker\n"), max_lines=99
    ).startswith("line 0")


def test_a_tail_of_anything_is_text(tmp_path: Path) -> None:
    """Progress bars, colours, half a character, a line of a megabyte, no file."""
    log = tmp_path / "worker.log"
    log.write_bytes(b"10%\r100%\n\x1b[31mred\x1b[0m\n\xff\xfe\n" + b"x" * 1_000_000)
    tail = log_tail(log)
    assert len(tail) == 500
    log.write_bytes(b"10%\r100%\n\x1b[31mred\x1b[0m\n\xff\n")
    assert log_tail(log).splitlines() == ["100%", "red", "\ufffd"]
    assert "cannot be read" in log_tail(tmp_path / "missing.log")
