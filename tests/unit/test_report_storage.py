"""Results reach the disk whole or not at all."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from support.sample_results import make_point, make_result

from bytemlperf.errors import ConfigError, StorageError
from bytemlperf.report.schema import TaskResult
from bytemlperf.report.storage import (
    OutFolder,
    make_folder,
    read_result,
    storage_error,
    write_json_atomic,
)


def test_a_result_is_read_back_as_it_was(tmp_path: Path) -> None:
    """Every field, to the last bit of every float."""
    result = make_result()
    write_json_atomic(tmp_path / "result.json", result)
    assert read_result(tmp_path / "result.json") == result
    assert (tmp_path / "result.json").read_text().endswith("}\n")


def test_a_file_is_replaced_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    """The second version stands where the first one stood."""
    path = tmp_path / "result.json"
    write_json_atomic(path, make_result(points=[]))
    write_json_atomic(path, make_result(points=[make_point(2)]))
    assert [point.batch_size for point in read_result(path).points] == [2]
    assert os.listdir(tmp_path) == ["result.json"]


def test_a_result_is_as_readable_as_the_umask_says(tmp_path: Path) -> None:
    """Not as private as a temporary file."""
    before = os.umask(0o027)
    try:
        write_json_atomic(tmp_path / "result.json", make_result())
    finally:
        os.umask(before)
    assert (tmp_path / "result.json").stat().st_mode & 0o777 == 0o640


def test_a_full_disk_leaves_the_old_version(tmp_path: Path) -> None:
    """The error says what is full; the file is whole and nothing is beside it."""
    path = tmp_path / "result.json"
    write_json_atomic(path, make_result(points=[]))
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before), limits[1]))
    try:
        with pytest.raises(StorageError, match="file size limit") as caught:
            write_json_atomic(path, make_result())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert caught.value.errno == errno.EFBIG
    assert caught.value.exit_code == 3
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["result.json"]


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_really_full_disk(tmp_path: Path) -> None:
    """On a file system of 64 KiB that is full: ENOSPC, named as such."""
    program = (
        "import subprocess, sys\n"
        "from pathlib import Path\n"
        "from support.sample_results import make_result\n"
        "from bytemlperf.errors import ConfigError, StorageError\n"
        "from bytemlperf.launch.journal import Journal, read_journal\n"
        "from bytemlperf.engine.messages import Warned\n"
        "from bytemlperf.report.storage import OutFolder, write_json_atomic\n"
        "disk = Path(sys.argv[1])\n"
        "subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=64k', 'x', disk],"
        " check=True)\n"
        "with Journal.open(disk / 'journal.bin') as journal:\n"
        "    for count in range(100):\n"
        "        try:\n"
        "            journal.append(Warned('x' * 5000))\n"
        "        except StorageError as error:\n"
        "            print(error.message)\n"
        "            break\n"
        "contents = read_journal(disk / 'journal.bin')\n"
        "print(len(contents.records) == count > 5, contents.dropped_bytes)\n"
        "try:\n"
        "    write_json_atomic(disk / 'result.json', make_result())\n"
        "except StorageError as error:\n"
        "    print(error.message)\n"
        "try:\n"
        "    OutFolder.prepare(disk)\n"
        "except ConfigError as error:\n"
        "    print(error.message)\n"
        "print(sorted(path.name for path in disk.iterdir()))\n"
    )
    paths = [str(Path(__file__).parents[2]), str(Path(__file__).parents[1])]
    if inherited := os.environ.get("PYTHONPATH"):
        paths.append(inherited)
    done = subprocess.run(
        ["unshare", "--mount", sys.executable, "-c", program, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        check=False,
    )
    if "unshare" in done.stderr or "mount:" in done.stderr:
        pytest.skip(f"no mount namespace here: {done.stderr.strip()}")
    lines = done.stdout.splitlines()
    assert done.returncode == 0, done.stderr
    assert "write to the journal" in lines[0]
    assert lines[0].endswith("the disk is full")
    assert lines[1] == "True 0"
    assert lines[2].endswith("result.json: the disk is full")
    assert "cannot write to the output folder" in lines[3]
    assert lines[4] == "['journal.bin']"


def test_an_out_folder_is_made_and_proved_before_anything_runs(tmp_path: Path) -> None:
    """With parents; nothing of the proof is left."""
    out = OutFolder.prepare(tmp_path / "a" / "b")
    assert out.path == tmp_path / "a" / "b"
    assert list(out.path.iterdir()) == []
    files = out.task("CPU", "task")
    assert files.result == out.path / "CPU" / "task" / "result.json"


def test_a_file_in_the_way_is_a_usage_error(tmp_path: Path) -> None:
    """Exit code 2: nothing ran."""
    (tmp_path / "out").write_text("")
    with pytest.raises(
        ConfigError, match="a file is where a folder should be"
    ) as caught:
        OutFolder.prepare(tmp_path / "out")
    assert caught.value.exit_code == 2
    with pytest.raises(StorageError, match=r"not a folder|where a folder"):
        make_folder(tmp_path / "out" / "CPU")


def test_a_folder_that_nobody_may_write(tmp_path: Path) -> None:
    """Also for root: /proc takes no folders."""
    with pytest.raises(ConfigError, match="cannot write to the output folder /proc"):
        OutFolder.prepare(Path("/proc/bytemlperf"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda raw: raw | {"schema_version": 99},
            r"schema_version: expected 1, got 99",
        ),
        (lambda raw: [], r"schema_version: expected 1, got None"),
        (
            lambda raw: raw | {"points": [raw["points"][0] | {"clients": "three"}]},
            r"Expected `int`, got `str` - at `\$.points\[0\].clients`",
        ),
        (
            lambda raw: {key: raw[key] for key in raw if key != "task"},
            "missing required field `task`",
        ),
    ],
)
def test_a_malformed_result_names_the_field(
    tmp_path: Path, change: object, message: str
) -> None:
    """Path, expectation and what came."""
    raw = msgspec.to_builtins(make_result())
    path = tmp_path / "result.json"
    path.write_bytes(msgspec.json.encode(change(raw)))  # type: ignore[operator]
    with pytest.raises(ConfigError, match=message):
        read_result(path)


def test_what_is_not_there_or_not_json(tmp_path: Path) -> None:
    """Both name the file."""
    with pytest.raises(ConfigError, match=r"cannot read .*nothing"):
        read_result(tmp_path / "nothing.json")
    (tmp_path / "half.json").write_text('{"schema_version": 1, ')
    with pytest.raises(ConfigError, match=r"half\.json: expected JSON"):
        read_result(tmp_path / "half.json")


def test_a_system_error_becomes_a_sentence() -> None:
    """Known numbers have a meaning, others keep the system's words."""
    full = storage_error("write", Path("x"), OSError(errno.ENOSPC, "No space"))
    assert full.message == "cannot write x: the disk is full"
    assert full.hint is not None
    odd = storage_error("write", Path("x"), OSError(errno.EXDEV, "Cross-device link"))
    assert odd.message == "cannot write x: Cross-device link"


def test_the_schema_can_be_published() -> None:
    """JSON Schema is generated from the structs, all definitions resolved."""
    schema = msgspec.json.schema(TaskResult)
    assert "Distribution" in schema["$defs"]
