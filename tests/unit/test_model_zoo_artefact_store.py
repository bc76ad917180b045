"""The store of built models: whole or absent, made once, and by one process."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bytemlperf.errors import PrepareError, StorageError
from bytemlperf.model_zoo.artefact_store import (
    Entry,
    find_or_build,
    hash_tree,
    locked,
    storage_errors,
)

ROOT = Path(__file__).parents[2]

# Builds an entry, says when it has begun, and then waits for a line on its input.
BUILDER = """
import sys
from pathlib import Path
from bytemlperf.model_zoo.artefact_store import find_or_build

def build(part):
    (part / "model").write_bytes(b"half")
    print("begun", flush=True)
    if not sys.stdin.readline():
        raise SystemExit(3)
    (part / "model").write_bytes(b"whole")
    return "model", {}

def progress(stage, done, total):
    if stage.startswith("waiting"):
        print("waiting", flush=True)

entry, cached = find_or_build(Path(sys.argv[1]), build, progress)
print("cached" if cached else "built", entry.bytes, flush=True)
"""


def quiet(stage: str, done: int, total: int) -> None:
    """Progress that nobody watches."""


def start_builder(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", BUILDER, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )


def read_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def tell(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()


def finish(process: subprocess.Popen[str]) -> None:
    process.communicate()
    assert process.returncode == 0


def write(part: Path) -> tuple[str, dict[str, str | int | float]]:
    (part / "model").mkdir()
    (part / "model" / "a").write_bytes(b"body")
    (part / "model" / "b").write_bytes(b"")
    return "model", {"parameter_count": 7}


def refuse(part: Path) -> tuple[str, dict[str, str | int | float]]:
    raise AssertionError("built a second time")


def test_an_entry_is_built_once(tmp_path: Path) -> None:
    """The second asker gets the first one's entry, with its facts."""
    folder = tmp_path / "deep" / "bert-1"
    entry, cached = find_or_build(folder, write, quiet)
    assert not cached
    assert entry.bytes == 4
    assert entry.facts == {"parameter_count": 7}
    assert (folder / entry.artefact / "a").read_bytes() == b"body"
    assert find_or_build(folder, refuse, quiet) == (entry, True)


def test_a_failed_build_leaves_nothing(tmp_path: Path) -> None:
    """After an exception there is no entry and no part of one."""
    folder = tmp_path / "bert-1"

    def fail(part: Path) -> tuple[str, dict[str, str | int | float]]:
        (part / "model").write_bytes(b"half")
        raise PrepareError("no weights")

    with pytest.raises(PrepareError, match="no weights"):
        find_or_build(folder, fail, quiet)
    assert [path.name for path in tmp_path.iterdir()] == ["bert-1.lock"]


@pytest.mark.parametrize("damage", ["truncate", "remove", "manifest", "add"])
def test_a_damaged_entry_is_built_again(tmp_path: Path, damage: str) -> None:
    """What is not as it was described is not used."""
    folder = tmp_path / "bert-1"
    find_or_build(folder, write, quiet)
    if damage == "truncate":
        (folder / "model" / "a").write_bytes(b"bo")
    elif damage == "remove":
        (folder / "model" / "b").unlink()
    elif damage == "add":
        (folder / "model" / "c").write_bytes(b"?")
    else:
        (folder / "entry.json").write_bytes(b"{")
    entry, cached = find_or_build(folder, write, quiet)
    assert not cached
    assert (folder / "model" / "a").read_bytes() == b"body"
    assert sorted(entry.sizes) == ["a", "b"]


def test_a_killed_build_is_cleared_away(tmp_path: Path) -> None:
    """SIGKILL half-way leaves no entry; the next one builds it whole."""
    folder = tmp_path / "bert-1"
    process = start_builder(folder)
    assert read_line(process) == "begun"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not folder.exists()
    assert len(list(tmp_path.glob("bert-1.part-*"))) == 1
    _, cached = find_or_build(folder, write, quiet)
    assert not cached
    assert not list(tmp_path.glob("*.part-*"))


def test_two_processes_build_once(tmp_path: Path) -> None:
    """The second process waits, says so, and finds the first one's entry."""
    folder = tmp_path / "bert-1"
    first = start_builder(folder)
    assert read_line(first) == "begun"
    second = start_builder(folder)
    assert read_line(second) == "waiting"
    tell(first)
    assert read_line(first) == "built 5"
    assert read_line(second) == "cached 5"
    finish(first)
    finish(second)


def test_the_waiting_process_takes_over_from_a_killed_one(tmp_path: Path) -> None:
    """The lock dies with its holder."""
    folder = tmp_path / "bert-1"
    first = start_builder(folder)
    assert read_line(first) == "begun"
    second = start_builder(folder)
    assert read_line(second) == "waiting"
    first.kill()
    first.communicate()
    assert read_line(second) == "begun"
    tell(second)
    assert read_line(second) == "built 5"
    finish(second)
    assert (folder / "model").read_bytes() == b"whole"


def test_a_lock_is_free_again_after_an_exception(tmp_path: Path) -> None:
    """An error inside the block does not keep others out."""
    with pytest.raises(PrepareError, match="x"), locked(tmp_path / "a", quiet):
        raise PrepareError("x")
    with locked(tmp_path / "a", quiet):
        pass


def test_hashes_are_those_of_sha256sum(tmp_path: Path) -> None:
    """A file has the usual hash; a folder that of the sorted list of its files."""
    (tmp_path / "m" / "v").mkdir(parents=True)
    (tmp_path / "m" / "v" / "x").write_bytes(b"1")
    (tmp_path / "m" / "a").write_bytes(b"2")
    one, two = hashlib.sha256(b"1").hexdigest(), hashlib.sha256(b"2").hexdigest()
    assert hash_tree(tmp_path / "m" / "a") == two
    listing = f"{two}  a\n{one}  v/x\n"
    assert hash_tree(tmp_path / "m") == hashlib.sha256(listing.encode()).hexdigest()
    (tmp_path / "m" / "v" / "x").rename(tmp_path / "m" / "v" / "y")
    assert hash_tree(tmp_path / "m") != hashlib.sha256(listing.encode()).hexdigest()


def test_a_cache_that_is_a_file_is_a_storage_error(tmp_path: Path) -> None:
    """What cannot be written is named."""
    (tmp_path / "cache").write_bytes(b"")
    with pytest.raises(StorageError, match=r"cannot write .*cache"):
        find_or_build(tmp_path / "cache" / "bert-1", write, quiet)


def test_a_full_disk_is_a_storage_error(tmp_path: Path) -> None:
    """ENOSPC from anywhere in a build names the entry."""
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")
    with (
        pytest.raises(StorageError, match="No space left on device"),
        storage_errors(tmp_path),
        full.open("wb", buffering=0) as stream,
    ):
        stream.write(b"x")


def test_an_entry_is_readable_by_others(tmp_path: Path) -> None:
    """A cache is shared: an entry's folder is as public as the umask says, no more."""
    before = os.umask(0o027)
    try:
        find_or_build(tmp_path / "bert-1", write, quiet)
    finally:
        os.umask(before)
    assert (tmp_path / "bert-1").stat().st_mode & 0o777 == 0o750


def test_an_entry_knows_its_size() -> None:
    """Bytes are the sum over files."""
    assert Entry(artefact="m", sha256="", sizes={"a": 2, "b": 3}).bytes == 5
