"""Real virtual environments, made offline from a wheel that the test writes."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import pytest

from bytemlperf.errors import (
    BackendUnavailableError,
    ConfigError,
    UnknownNameError,
)
from bytemlperf.launch import environment, virtual_environment
from bytemlperf.launch.command import command_finder
from bytemlperf.launch.environment import Environment, resolve_environment
from bytemlperf.launch.environments import list_environments, remove_environments

pytestmark = pytest.mark.slow


def write_wheel(folder: Path, name: str, version: str) -> Path:
    """Write a wheel of one module that knows its own version."""
    dist_info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": f"VERSION = {version!r}\n",
        f"{dist_info}/METADATA": (
            f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        ),
        f"{dist_info}/WHEEL": (
            "Wheel-Version: 1.0\nGenerator: test\n"
            "Root-Is-Purelib: true\nTag: py3-none-any\n"
        ),
    }
    record = f"{dist_info}/RECORD"
    lines = []
    for path, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest())
        lines.append(f"{path},sha256={digest.rstrip(b'=').decode()},{len(text)}")
    files[record] = "\n".join([*lines, f"{record},,"]) + "\n"
    wheel = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return wheel


@pytest.fixture
def goya(tmp_path, monkeypatch):
    """Return a requirements file that only a folder of wheels can satisfy.

    The package's own dependencies are left out: they would have to come from an index.
    """
    monkeypatch.setattr(environment, "_core_dependencies", list)
    folder = tmp_path / "GOYA"
    folder.mkdir()
    (tmp_path / "wheels").mkdir()
    write_wheel(tmp_path / "wheels", "goya_sdk", "1.0")
    requirements = folder / "requirements.txt"
    requirements.write_text("goya_sdk==1.0\n")
    return requirements


def resolve(requirements: Path, steps: list[str] | None = None) -> Environment:
    root = requirements.parents[1]
    return resolve_environment(
        requirements,
        cache_dir=root / "cache",
        offline_wheels=root / "wheels",
        progress=None if steps is None else steps.append,
    )


def ask(found: Environment, program: str) -> str:
    """Run a program as a worker would be run, and return what it prints."""
    return subprocess.run(
        [str(found.python), "-c", program],
        env={**os.environ, **found.variables},
        cwd=found.path,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()


def test_environment_is_made_once_and_isolated(goya):
    """The second time is silent; only the package leaks in from the parent."""
    steps: list[str] = []
    found = resolve(goya, steps)
    assert found.kind == "venv"
    assert found.key.startswith("GOYA-")
    assert steps[0] == "making a virtual environment for GOYA"
    assert ask(found, "import goya_sdk; print(goya_sdk.VERSION)") == "1.0"
    assert ask(found, "import sys; print(sys.prefix)") == str(found.path)
    assert ask(found, "import bytemlperf; print(bytemlperf.__version__)")
    absent = "import importlib.util as u; print(u.find_spec('pytest'))"
    assert ask(found, absent) == "None"

    again: list[str] = []
    assert resolve(goya, again) == found
    assert again == []


def test_unusable_environment_is_made_again(goya):
    """Without its marker it is half made; without its base Python it is dead."""
    found = resolve(goya)
    assert virtual_environment.is_complete(found.path)
    (found.path / ".complete").rename(found.path / "left-over")
    assert not virtual_environment.is_complete(found.path)
    (found.path / "left-over").rename(found.path / ".complete")
    found.python.unlink()
    found.python.symlink_to("gone")
    assert not virtual_environment.is_complete(found.path)

    (found.path / "left-over").touch()
    assert resolve(goya) == found
    assert not (found.path / "left-over").exists()
    assert ask(found, "import goya_sdk; print(goya_sdk.VERSION)") == "1.0"


def test_wheel_beside_the_requirements(goya):
    """All a backend needs may lie in its own folder."""
    wheel = write_wheel(goya.parent, "goya_local", "3.0")
    goya.write_text(f"./{wheel.name}\n")
    found = resolve(goya)
    assert ask(found, "import goya_local; print(goya_local.VERSION)") == "3.0"


def test_failed_installation_is_unavailable(goya):
    """The error has the end of the log, and nothing half made is ever used."""
    goya.write_text("goya_sdk==9.9\n")
    with pytest.raises(BackendUnavailableError, match=r"installing .* failed") as error:
        resolve(goya)
    assert "goya_sdk==9.9" in error.value.detail
    assert "no such version" in error.value.hint
    (folder,) = (goya.parents[1] / "cache" / "envs").glob("GOYA-*/")
    assert not (folder / ".complete").exists()


def test_two_processes_make_one_environment(goya):
    """The second process waits for the first, and then finds it done."""
    root = goya.parents[1]
    program = (
        "import json, sys, pathlib\n"
        "from bytemlperf.launch import environment\n"
        "environment._core_dependencies = list\n"
        "root = pathlib.Path(sys.argv[1]); steps = []\n"
        "environment.resolve_environment(root / 'GOYA' / 'requirements.txt',\n"
        "    cache_dir=root / 'cache', offline_wheels=root / 'wheels',\n"
        "    progress=steps.append)\n"
        "print(json.dumps(steps))\n"
    )
    source = str(Path(environment.__file__).parents[2])
    answers: list[list[str]] = []

    def run() -> None:
        done = subprocess.run(
            [sys.executable, "-c", program, str(root)],
            env={**os.environ, "PYTHONPATH": source},
            check=True,
            capture_output=True,
            text=True,
        )
        answers.append(json.loads(done.stdout))

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=100)
    made = [steps for steps in answers if any(s.startswith("making") for s in steps)]
    assert len(answers) == 2
    assert len(made) == 1


def test_contradicting_pins_stand_side_by_side(goya):
    """Two backends of one command need two versions of one package."""
    root = goya.parents[1]
    write_wheel(root / "wheels", "goya_sdk", "2.0")
    other = root / "GAUDI"
    other.mkdir()
    (other / "requirements.txt").write_text("goya_sdk==2.0\n")
    program = "import goya_sdk; print(goya_sdk.VERSION)"

    both = [resolve(goya), resolve(other / "requirements.txt")]

    assert [ask(found, program) for found in both] == ["1.0", "2.0"]


def test_a_changed_file_makes_another_environment_and_both_can_go(goya):
    """What an old file has made is listed, and removed by name, hardware or all."""
    cache = goya.parents[1] / "cache"
    first = resolve(goya)
    write_wheel(goya.parents[1] / "wheels", "goya_sdk", "1.1")
    goya.write_text("goya_sdk==1.1\n")
    second = resolve(goya)
    assert first.key != second.key

    made = list_environments(cache)
    assert {each.key for each in made} == {first.key, second.key}
    assert all(each.bytes > 0 and each.requirements == str(goya) for each in made)
    with pytest.raises(UnknownNameError, match="unknown environment 'GOYB'"):
        remove_environments(cache, [first.key, "GOYB"])
    assert len(list_environments(cache)) == 2
    assert [each.key for each in remove_environments(cache, [first.key])] == [first.key]
    assert [each.key for each in remove_environments(cache, ["goya"])] == [second.key]
    assert list_environments(cache) == []
    assert remove_environments(cache, ["all"]) == []


def test_wheels_come_from_the_folder_that_is_named(goya, monkeypatch):
    """A machine without a network is told where the wheels are, once."""
    root = goya.parents[1]
    find = command_finder(root / "cache", lambda text: None)
    monkeypatch.setenv("BYTEMLPERF_WHEELS", str(root / "nowhere"))
    with pytest.raises(ConfigError, match="expected a folder of wheels"):
        find(goya)
    monkeypatch.setenv("BYTEMLPERF_WHEELS", str(root / "wheels"))
    assert find(goya).kind == "venv"
