"""run.sh and test.sh on machines that lack something, and when nothing is to do.

The scripts are the real ones, in a small checkout of their own; what they call is
replaced by commands that fail, or write down that they were called.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOLS = ["awk", "basename", "bash", "cat", "chmod", "cp", "cut", "df", "dirname"]
TOOLS += ["flock", "grep", "mkdir", "rm", "sha256sum", "tail", "touch"]

# A Python that is new enough, makes environments and installs, all by writing it down.
PYTHON = """#!/bin/bash
echo "$*" >> "$CALLS"
case "$*" in
*version_info*) exit ${OLD:-0} ;;
-V) echo "Python 3.9.2" ;;
*ensurepip*) exit ${NO_VENV:-0} ;;
*get_config_var*) echo gcc ;;
*Python.h*) exit ${NO_HEADERS:-0} ;;
"-m venv "*) mkdir -p "$3/bin"; cp "$0" "$3/bin/python" ;;
"-m pip --version") : ;;
"-m pip install"*) echo "${PIP_SAYS:-done}"; exit ${PIP_FAILS:-0} ;;
*) echo "ran $*" ;;
esac
"""


class Machine:
    """A checkout and a path with only what is put there."""

    def __init__(self, folder: Path) -> None:
        self.checkout = folder / "checkout"
        self.tools = folder / "tools"
        self.calls = folder / "calls"
        self.native = self.checkout / "bytemlperf" / "_native"
        self.native.mkdir(parents=True)
        self.tools.mkdir()
        self.calls.touch()
        (self.native / "queue.pyx").write_text("# cython\n")
        requirements = self.checkout / "bytemlperf" / "backends" / "CPU"
        requirements.mkdir(parents=True)
        shutil.copytree(ROOT / "scripts", self.checkout / "scripts")
        for name in ("run.sh", "test.sh", "pyproject.toml", "setup.py"):
            shutil.copy(ROOT / name, self.checkout)
        shutil.copy(
            ROOT / "bytemlperf" / "backends" / "CPU" / "requirements.txt", requirements
        )
        for name in TOOLS:
            real = shutil.which(name)
            if real:
                (self.tools / name).symlink_to(real)
        self.put("python3", PYTHON)
        self.put("gcc", "#!/bin/bash\n")

    def put(self, name: str, text: str) -> None:
        """Put a command on the path."""
        path = self.tools / name
        path.unlink(missing_ok=True)
        path.write_text(text)
        path.chmod(0o755)

    def run(self, script: str = "run.sh", *arguments: str, **variables: str):
        """Run a script; what it calls goes to `calls`."""
        self.calls.write_text("")
        return subprocess.run(
            [str(self.tools / "bash"), str(self.checkout / script), *arguments],
            env={"PATH": str(self.tools), "CALLS": str(self.calls), **variables},
            cwd=self.tools,
            check=False,
            capture_output=True,
            text=True,
        )

    def called(self) -> list[str]:
        """Return what Python was asked to do."""
        return self.calls.read_text().splitlines()


@pytest.fixture
def machine(tmp_path) -> Machine:
    """Return a fresh machine that has everything."""
    return Machine(tmp_path)


def test_first_run_installs_and_runs(machine):
    """The command's arguments arrive as they were given, from any folder."""
    done = machine.run("run.sh", "--tasks", "a b", "--x=*")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "ran -P -m bytemlperf --tasks a b --x=*\n"
    assert any(
        "pip install" in call and "--editable .[report]" in call
        for call in machine.called()
    )
    assert (machine.checkout / ".venv" / ".gitignore").read_text() == "*\n"


def test_second_run_is_quiet_and_does_nothing(machine):
    """When nothing is to do, nothing is said and nothing else is called."""
    machine.run()
    done = machine.run("run.sh", "--help")
    assert (done.stdout, done.stderr) == ("ran -P -m bytemlperf --help\n", "")
    assert machine.called() == ["-P -m bytemlperf --help"]


@pytest.mark.parametrize(
    "changed", ["pyproject.toml", "setup.py", "bytemlperf/_native/queue.pyx"]
)
def test_changed_sources_are_built_again(machine, changed):
    """Python files need no build; the build files and the native sources do."""
    machine.run()
    (machine.checkout / "bytemlperf" / "new.py").touch()
    machine.run()
    assert not any("pip install" in call for call in machine.called())
    with (machine.checkout / changed).open("a") as file:
        file.write("# changed\n")
    machine.run()
    assert any("pip install" in call for call in machine.called())


def test_debug_build_is_replaced(machine):
    """`make debug` removes the stamp: what is measured is a release build."""
    machine.run()
    (machine.native / "queue.so").write_text("debug")
    (machine.checkout / "build" / "native.stamp").unlink()
    machine.run()
    assert any("pip install" in call for call in machine.called())
    assert not (machine.native / "queue.so").exists()


def test_interrupted_installation_is_done_again(machine):
    """Without its stamp an environment is not trusted."""
    machine.run()
    (machine.checkout / ".venv" / ".stamp").unlink()
    assert machine.run().returncode == 0
    assert any("pip install" in call for call in machine.called())


def test_tests_get_their_own_environment_and_arguments(machine):
    """test.sh leaves .venv alone, and hands its arguments to pytest."""
    done = machine.run("test.sh", "-k", "one or two")
    assert done.stdout == "ran -m pytest -k one or two\n"
    (install,) = [call for call in machine.called() if "pip install" in call]
    assert "[test,dev]" in install
    assert "backends/CPU/requirements.txt" in install
    assert not (machine.checkout / ".venv").exists()


def test_failed_lint_stops_the_tests(machine):
    """Without arguments style and types come first, and the exit code tells."""
    for name in ("ruff", "lint-imports", "cython-lint"):
        (machine.checkout / ".venv-test" / "bin").mkdir(parents=True, exist_ok=True)
        tool = machine.checkout / ".venv-test" / "bin" / name
        tool.write_text("#!/bin/bash\necho a finding of $0; exit 1\n")
        tool.chmod(0o755)
    done = machine.run("test.sh")
    assert done.returncode != 0
    assert "lint: ruff check failed" in done.stderr
    assert "lint: cython-lint failed" in done.stderr
    assert "-m pytest" not in machine.called()


@pytest.mark.parametrize(
    ("variables", "line"),
    [
        ({"OLD": "1"}, "needs Python 3.11 or newer; python3 is Python 3.9.2"),
        ({"NO_VENV": "1"}, "python3 lacks the venv module: install python3-venv"),
        ({"NO_HEADERS": "1"}, "python3 lacks its C headers: install python3-dev"),
        ({"PYTHON": "gone"}, "PYTHON=gone does not exist"),
        (
            {"PIP_FAILS": "1", "PIP_SAYS": "Temporary failure in name resolution"},
            "no network: the package index cannot be reached",
        ),
        (
            {"PIP_FAILS": "1", "PIP_SAYS": "OSError: No space left on device"},
            "no disk space",
        ),
        (
            {"PIP_FAILS": "1", "PIP_SAYS": "error: command '/bin/gcc' failed"},
            "the native modules did not compile",
        ),
    ],
)
def test_what_is_missing_is_said_in_one_line(machine, variables, line):
    """The last line names it, and nothing is run."""
    done = machine.run("run.sh", "--help", **variables)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.splitlines()[-1].startswith(f"run.sh: {line}")
    # Nothing half made is taken for finished.
    assert machine.run().returncode == 0
    assert any("pip install" in call for call in machine.called())


def test_missing_compiler_is_said(machine):
    """A fresh machine often has no compiler: say which to install."""
    (machine.tools / "gcc").unlink()
    done = machine.run()
    assert done.returncode == 1
    assert done.stderr == "run.sh: no C compiler (gcc): install gcc or clang\n"


def test_full_disk_is_said_before_anything_is_made(machine):
    """The figures are in the line."""
    machine.put("df", "#!/bin/bash\nprintf 'head\\n/dev/x 1 1 7 99%% /\\n'\n")
    done = machine.run()
    assert done.returncode == 1
    assert "no disk space: needs 1024 MiB in" in done.stderr
    assert "7 MiB are free" in done.stderr
    assert not (machine.checkout / ".venv").exists()


def test_scripts_are_sound():
    """Bash can parse each of them, and continuous integration calls test.sh."""
    scripts = [ROOT / "run.sh", ROOT / "test.sh", ROOT / ".ci" / "run"]
    scripts += sorted((ROOT / "scripts").glob("*.sh"))
    for script in scripts:
        subprocess.run(["bash", "-n", str(script)], check=True)
    assert "test.sh" in (ROOT / ".ci" / "run").read_text()
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
