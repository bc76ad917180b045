"""A journal gives back every whole record, whatever was cut or broken after it."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.sample_results import make_compile, make_point

from bytemlperf.engine.messages import (
    CompileDone,
    Finished,
    Phase,
    PointDone,
    Progress,
    Started,
    Warned,
)
from bytemlperf.errors import ConfigError, InternalError, StorageError
from bytemlperf.launch.journal import (
    JOURNAL_VERSION,
    Journal,
    JournalRecord,
    TaskOpened,
    is_durable,
    read_journal,
)

OPENED = TaskOpened(
    journal_version=JOURNAL_VERSION,
    task="first",
    hardware_type="CPU",
    workload={"model": "m"},
    workload_sha256="f" * 64,
    opened_at_utc="2026-01-02T03:04:05+00:00",
    command_line=["bytemlperf"],
)
RECORDS: list[JournalRecord] = [
    OPENED,
    CompileDone(make_compile(), (1, 8)),
    Warned("careful"),
    Finished("2026-01-02T03:09:11+00:00"),
]


def write(path: Path, records: list[JournalRecord]) -> list[int]:
    """Write a journal; return its length after each record."""
    ends = []
    with Journal.open(path) as journal:
        for record in records:
            journal.append(record)
            ends.append(path.stat().st_size)
    return ends


def test_records_are_read_back_as_they_were(tmp_path: Path) -> None:
    """Equal values, in order, nothing dropped; also a point with its histograms."""
    records = [*RECORDS, PointDone(make_point(1, query_count=12))]
    ends = write(tmp_path / "journal.bin", records)
    contents = read_journal(tmp_path / "journal.bin")
    assert contents.records == records
    assert (contents.good_bytes, contents.dropped_bytes) == (ends[-1], 0)


def test_a_journal_cut_at_every_byte_keeps_its_whole_records(tmp_path: Path) -> None:
    """Whatever was being written when the power went costs that record only."""
    path = tmp_path / "journal.bin"
    ends = write(path, RECORDS)
    raw = path.read_bytes()
    for length in range(len(raw), -1, -1):
        os.truncate(path, length)
        contents = read_journal(path)
        whole = sum(end <= length for end in ends)
        assert contents.records == RECORDS[:whole]
        assert contents.good_bytes + contents.dropped_bytes == length


def test_a_torn_journal_is_continued_after_its_last_whole_record(
    tmp_path: Path,
) -> None:
    """Opening cuts the torn tail off, so that the next record can be read."""
    path = tmp_path / "journal.bin"
    ends = write(path, RECORDS[:2])
    path.write_bytes(path.read_bytes()[: ends[1] - 3])
    with Journal.open(path) as journal:
        journal.append(Warned("again"))
    assert read_journal(path).records == [OPENED, Warned("again")]
    assert read_journal(path).dropped_bytes == 0


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes]:
    """Write a journal once; give its path and its bytes."""
    path = tmp_path_factory.mktemp("journal") / "journal.bin"
    write(path, RECORDS)
    return path, path.read_bytes()


@settings(deadline=None, derandomize=True)
@given(position=st.integers(min_value=0), value=st.integers(0, 255))
def test_one_changed_byte_never_yields_another_record(
    journal: tuple[Path, bytes], position: int, value: int
) -> None:
    """Damage is noticed: what is read is a prefix of what was written."""
    path, whole = journal
    raw = bytearray(whole)
    raw[position % len(raw)] = value
    path.write_bytes(bytes(raw))
    read = read_journal(path).records
    assert read == RECORDS[: len(read)]


@settings(deadline=None, derandomize=True)
@given(st.binary(max_size=200))
def test_garbage_is_dropped_and_counted(
    journal: tuple[Path, bytes], tail: bytes
) -> None:
    """Also zeros, which a file system may leave after a power cut."""
    path, whole = journal
    path.write_bytes(whole + tail + bytes(16))
    contents = read_journal(path)
    assert contents.records == RECORDS
    assert contents.dropped_bytes == len(tail) + 16


def test_what_is_lost_with_the_worker_is_not_journalled() -> None:
    """Progress and phases are for the moment only."""
    assert not is_durable(Started(1))
    assert not is_durable(Phase("compile", 1.0))
    assert not is_durable(Progress(1, 2))
    assert is_durable(Warned("careful"))


def test_misuse_and_unwritable_places(tmp_path: Path) -> None:
    """A closed journal is our bug; a missing folder is a storage error."""
    journal = Journal.open(tmp_path / "journal.bin")
    journal.close()
    with pytest.raises(InternalError, match="cannot append"):
        journal.append(OPENED)
    with pytest.raises(StorageError, match="open the journal"):
        Journal.open(tmp_path / "missing" / "journal.bin")
    with pytest.raises(ConfigError, match="cannot read journal"):
        read_journal(tmp_path / "missing.bin")


def test_another_version_is_refused(tmp_path: Path) -> None:
    """Not read as if it were ours."""
    path = tmp_path / "journal.bin"
    write(path, [msgspec.structs.replace(OPENED, journal_version=7)])
    with pytest.raises(ConfigError, match="expected journal version 1, got 7"):
        read_journal(path)
    with pytest.raises(ConfigError, match="expected journal version 1, got 7"):
        Journal.open(path)
