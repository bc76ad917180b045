"""The sample cache: whole or absent, made once, rebuilt when damaged."""

from __future__ import annotations

import errno
import os
import threading

import numpy as np
import pytest

from bytemlperf.datasets import (
    ModelHints,
    load_prepared,
    open_arrays,
    prepare_samples,
    sample_cache,
)
from bytemlperf.datasets.sample_cache import publish_once
from bytemlperf.errors import PrepareError, StorageError
from bytemlperf.tensor_spec import TensorSpec

SPECS = (TensorSpec("x:0", "float32", (1, 4)),)
HINTS = ModelHints(model="tiny", framework="Pytorch")


def prepare(cache_dir, **changes):
    arguments = {
        "specs": SPECS,
        "model": HINTS,
        "cache_dir": cache_dir,
        "data_root": None,
        "max_samples": 5,
        "seed": 0,
    }
    return prepare_samples(None, **(arguments | changes))


def entries(cache_dir):
    return sorted(path.name for path in cache_dir.iterdir() if path.name != ".locks")


def test_equal_requests_share_an_entry_and_others_do_not(tmp_path):
    """Seed, count and shape are part of the key; a second call writes nothing."""
    first = prepare(tmp_path)
    stamp = os.stat(first.folder).st_mtime_ns
    assert prepare(tmp_path) == first
    assert os.stat(first.folder).st_mtime_ns == stamp
    others = {
        prepare(tmp_path, seed=1).key,
        prepare(tmp_path, max_samples=6).key,
        prepare(tmp_path, specs=(TensorSpec("x:0", "float32", (1, 5)),)).key,
    }
    assert len(others | {first.key}) == 4


def test_a_failing_fill_leaves_nothing(tmp_path):
    """Half-written samples would be read as samples later."""

    def fill(folder):
        (folder / "half.npy").write_bytes(b"x")
        raise PrepareError("picture 3 is broken")

    with pytest.raises(PrepareError, match="picture 3"):
        publish_once(tmp_path, "key", is_whole=lambda _: True, fill=fill)
    assert entries(tmp_path) == []


def test_leftovers_of_a_killed_process_go(tmp_path):
    """A partial folder of our key can only be of a dead process: we hold the lock."""
    (tmp_path / ".partial-key-dead").mkdir(parents=True)
    (tmp_path / ".partial-other-alive").mkdir()
    publish_once(tmp_path, "key", is_whole=lambda _: True, fill=lambda _: None)
    assert entries(tmp_path) == [".partial-other-alive", "key"]


def test_a_full_disk_is_a_storage_error(tmp_path, monkeypatch):
    """Space is reserved before writing; running out would be a SIGBUS otherwise."""

    def no_space(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(sample_cache.os, "posix_fallocate", no_space)
    with pytest.raises(StorageError, match="No space left on device"):
        prepare(tmp_path)
    assert entries(tmp_path) == []


def test_an_unwritable_cache_is_a_storage_error(tmp_path):
    """A file where the folder should be."""
    (tmp_path / "cache").write_text("not a folder")
    with pytest.raises(StorageError, match="cannot write the sample cache"):
        prepare(tmp_path / "cache")


@pytest.mark.parametrize("damage", ["truncate", "remove", "garble", "manifest"])
def test_a_damaged_entry_is_made_anew(tmp_path, damage):
    """Whatever is wrong with an entry, the samples come back whole."""
    prepared = prepare(tmp_path)
    good = np.array(open_arrays(prepared)["x:0"])
    file = tmp_path / prepared.key / prepared.files["x:0"]
    if damage == "truncate":
        file.write_bytes(file.read_bytes()[:-4])
    elif damage == "remove":
        file.unlink()
    elif damage == "garble":
        file.write_bytes(b"\0" * 200)
    else:
        (tmp_path / prepared.key / "prepared.json").write_text("{}")
    with pytest.raises(PrepareError, match="sample cache"):
        load_prepared(tmp_path / prepared.key)
    again = prepare(tmp_path)
    assert np.array_equal(open_arrays(again)["x:0"], good)


def test_a_file_with_other_rows_is_refused(tmp_path):
    """The manifest says how many rows there are; a file with others is not it."""
    prepared = prepare(tmp_path)
    np.save(tmp_path / prepared.key / prepared.files["x:0"], np.ones((3, 4), "f4"))
    with pytest.raises(PrepareError, match=r"'x:0'.*should have 5 rows.*\(3, 4\)"):
        open_arrays(prepared)


def test_concurrent_preparation_fills_once(tmp_path):
    """Others wait for the first and take what it made."""
    filled = []
    started, release = threading.Event(), threading.Event()

    def fill(folder):
        filled.append(folder)
        started.set()
        assert release.wait(20)

    def publish():
        publish_once(tmp_path, "key", is_whole=lambda _: True, fill=fill)

    threads = [threading.Thread(target=publish) for _ in range(3)]
    threads[0].start()
    assert started.wait(20)
    for thread in threads[1:]:
        thread.start()
    release.set()
    for thread in threads:
        thread.join(20)
    assert len(filled) == 1
    assert entries(tmp_path) == ["key"]


def test_a_moved_cache_is_found_where_it_is(tmp_path):
    """The folder is where it was loaded from, not where it was made."""
    prepared = prepare(tmp_path / "old")
    (tmp_path / "old").rename(tmp_path / "new")
    loaded = load_prepared(tmp_path / "new" / prepared.key)
    assert loaded.folder == str(tmp_path / "new" / prepared.key)
    assert open_arrays(loaded)["x:0"].shape == (5, 4)


def test_arrays_are_read_only_maps(tmp_path):
    """Samples are shared by all queries: nobody may write into them."""
    array = open_arrays(prepare(tmp_path))["x:0"]
    assert isinstance(array, np.memmap)
    assert array.flags.c_contiguous
    assert not array.flags.writeable
