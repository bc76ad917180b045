"""The cache's contents are listed, locked while they are used, and removed whole."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bytemlperf.cli import run
from bytemlperf.errors import ConfigError, StorageError, UnknownNameError
from bytemlperf.launch.cache_entries import in_use, list_cache, remove_from_cache

HEX = "0123456789abcdef" * 2


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """Two versions of one model, another model, samples, a user's reference."""
    for age, (name, size) in enumerate(
        [
            ("models/a-torch-fp32-1111222233334444", 30),
            ("models/a-torch-fp32-5555666677778888", 20),
            ("models/b-onnx-fp32-1111222233334444", 10),
            (f"samples/{HEX}", 5),
        ]
    ):
        folder = tmp_path / name
        folder.mkdir(parents=True)
        (folder / "entry.json").write_bytes(b"x" * size)
        os.utime(folder, (1000 - age, 1000 - age))
    (tmp_path / "models" / "checkpoints").mkdir()
    (tmp_path / "models" / "c-tf-fp32-9.part-1").mkdir()
    (tmp_path / "samples" / ".locks").mkdir()
    (tmp_path / "reference").mkdir()
    (tmp_path / "reference" / f"{HEX}.npz").write_bytes(b"r")
    (tmp_path / "reference" / f"{HEX}.json").write_bytes(b"{}")
    return tmp_path


def test_what_is_there_is_listed_with_the_last_used_first(cache: Path) -> None:
    """Neither checkpoints, nor locks, nor what is being built."""
    entries = list_cache(cache)
    assert [(each.kind, each.key[:12], each.bytes) for each in entries] == [
        ("models", "a-torch-fp32", 30),
        ("models", "a-torch-fp32", 20),
        ("models", "b-onnx-fp32-", 10),
        ("samples", HEX[:12], 5),
        ("reference", HEX[:12], 1),
    ]
    assert [each.is_superseded for each in entries] == [
        False,
        True,
        False,
        False,
        False,
    ]
    assert list_cache(cache / "nowhere") == []


@pytest.mark.parametrize(
    ("names", "count"),
    [
        (["superseded"], 1),
        (["a-torch-fp32"], 2),
        (["a-*", "b-onnx-fp32-1111222233334444"], 3),
        (["samples"], 1),
        (["reference"], 1),
        (["models"], 3),
        (["all"], 5),
    ],
)
def test_what_is_named_goes_and_nothing_else(cache: Path, names, count) -> None:
    """The rest is found as it was."""
    before = list_cache(cache)
    gone = remove_from_cache(cache, names)
    assert len(gone) == count
    left = {each.path for each in list_cache(cache)}
    assert left == {each.path for each in before} - {each.path for each in gone}
    assert not any(each.path.exists() for each in gone)


def test_a_reference_goes_with_its_words(cache: Path) -> None:
    """Nothing of it stays."""
    remove_from_cache(cache, ["reference"])
    assert list((cache / "reference").iterdir()) == []


def test_a_name_that_fits_nothing_removes_nothing(cache: Path) -> None:
    """Not even what stands before it."""
    with pytest.raises(UnknownNameError, match="z-torch-fp32"):
        remove_from_cache(cache, ["all", "z-torch-fp32"])
    assert len(list_cache(cache)) == 5


def test_what_was_used_lately_stays(cache: Path) -> None:
    """By the moment that is given."""
    gone = remove_from_cache(cache, ["models"], unused_since_s=999.5)
    assert sorted(each.bytes for each in gone) == [10, 20]


def test_what_a_command_measures_with_stays(cache: Path) -> None:
    """It is locked until the command is done, and then it was used last."""
    path = cache / "models" / "a-torch-fp32-5555666677778888"
    with in_use([path, cache / "not there"]):
        with pytest.raises(StorageError, match="in use by a command that measures"):
            remove_from_cache(cache, ["a-torch-fp32-5555*"])
        assert path.exists()
    entries = list_cache(cache)
    assert entries[0].path == path
    assert not entries[0].is_superseded
    assert entries[1].is_superseded
    assert len(remove_from_cache(cache, ["a-torch-fp32-5555*"])) == 1


def test_an_entry_that_is_being_removed_is_not_begun_with(cache: Path) -> None:
    """The command is told, instead of losing its model in the middle."""
    import fcntl

    path = cache / "models" / "b-onnx-fp32-1111222233334444"
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        with pytest.raises(ConfigError, match="being removed"), in_use([path]):
            pass
    finally:
        os.close(descriptor)


def test_the_verb_says_what_it_did(cache: Path, capsys) -> None:
    """With sizes, and a total; bad words are usage errors."""
    assert run(["cache", "list", "--cache", str(cache)]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert listed[1].endswith("a-torch-fp32-5555666677778888  superseded")
    assert listed[-1] == "5 entries, 66 B"
    assert run(["cache", "remove", "superseded", "--cache", str(cache)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "removed models a-torch-fp32-5555666677778888, 20 B",
        "1 entries, 20 B",
    ]
    assert run(["cache", "remove", "superseded", "--cache", str(cache)]) == 0
    assert capsys.readouterr().out == "nothing to remove\n"
    assert run(["cache", "remove", "--cache", str(cache)]) == 2
