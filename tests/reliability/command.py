"""A real command that has something done to it, and what it leaves behind.

Runs ``python -m bytemlperf`` below a subreaper: whatever the command leaves running
becomes this process's child, wherever it has moved to, and is counted.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[2]
BACKEND = Path(__file__).parents[1] / "support" / "UNLUCKY"
CLOCK_SOURCE = Path(__file__).with_name("stepping_clock.c")
PR_SET_CHILD_SUBREAPER = 36
TIMEOUT_SECONDS = 600
GRACE_SECONDS = 30
SMALL_DISK_BYTES = 1 << 20
DISK_BYTES = 8 << 20
FULL_BYTES = 16 << 10
ITERATIONS = 20
CLIENTS = 3
CGROUPS = Path("/sys/fs/cgroup")
GROUP_BYTES = 1 << 30
WHEEL = "unlucky_sdk-1.0-py3-none-any.whl"


class CannotRunError(Exception):
    """A fault cannot be made on this machine."""


def write_wheel(folder: Path) -> None:
    """Write a wheel of one empty module."""
    info = "unlucky_sdk-1.0.dist-info"
    files = {
        "unlucky_sdk.py": "",
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: unlucky_sdk\nVersion: 1.0\n",
        f"{info}/WHEEL": (
            "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\n"
            "Tag: py3-none-any\n"
        ),
    }
    record = f"{info}/RECORD"
    files[record] = "".join(f"{path},,\n" for path in [*files, record])
    with zipfile.ZipFile(folder / WHEEL, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)


def adopt_orphans() -> None:
    """Become the parent of every process that a command leaves behind."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def listen_to_signals() -> None:
    """Have this process, and so its children, hear the signals that are sent to them.

    A command that ``nohup`` or a script's ``&`` has started ignores SIGINT or SIGHUP,
    and so does, as it should, every command that it starts.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


class Command:
    """One command in a folder of its own.

    Parameters
    ----------
    folder : Path
        Empty; holds the backend, the workload and the results.
    cache : Path
        Shared by the commands of a suite.
    """

    def __init__(self, folder: Path, cache: Path) -> None:
        self.folder = folder
        self.out = folder / "out"
        self._cache = cache
        self._env = {
            **os.environ,
            "BYTEMLPERF_CACHE": str(cache),
            "PYTHONPATH": os.pathsep.join(
                part for part in (str(ROOT), os.environ.get("PYTHONPATH", "")) if part
            ),
        }
        self._plans: list[tuple[str, Callable[[], None]]] = []
        self._lines: list[str] = []
        self._mounted: Path | None = None
        self._disk: Path | None = None
        self._group: Path | None = None
        self._sibling: subprocess.Popen[str] | None = None
        self._process: subprocess.Popen[str] | None = None
        self._iterations: tuple[str, ...] = ()
        self.notes: list[str] = []
        # What runs the command behind it, such as in another network.
        self.within: list[str] = []

    def prepare(
        self, faults: dict[str, str], workload: dict[str, object] | None = None
    ) -> None:
        """Write the backend and the workload, which is a closed loop unless told."""
        shutil.copytree(BACKEND, self.folder / "UNLUCKY", dirs_exist_ok=True)
        self.set_backend_faults(faults)
        fields: dict[str, object] = {
            "model": "widedeep-tf-fp32",
            "batch_sizes": [4, 8, 2],
        }
        if workload:
            fields |= workload
        else:
            fields |= {"clients": CLIENTS, "iterations": ITERATIONS}
            # On the command line as well: then no time limit ends a slow point.
            self._iterations = ("--iterations", str(ITERATIONS))
        (self.folder / "small.json").write_text(json.dumps(fields))

    def set_backend_faults(self, faults: dict[str, str]) -> None:
        """Say what the backend does wrong from now on."""
        (self.folder / "UNLUCKY" / "faults.json").write_text(json.dumps(faults))

    def set_variables(self, variables: dict[str, str]) -> None:
        """Add to the environment of the runs that follow."""
        self._env |= variables

    @property
    def result(self) -> Path:
        """Where the task's result is."""
        return self.out / "UNLUCKY" / "small" / "result.json"

    @property
    def arguments(self) -> tuple[str, ...]:
        """What the command is asked when nothing else is."""
        return (
            "--tasks", str(self.folder / "small.json"),
            "--hardware_type", "UNLUCKY",
            "--backend_path", str(self.folder / "UNLUCKY"),
            *self._iterations,
            "--out", str(self.out),
            "--ui", "plain",
        )  # fmt: skip

    def run(self, *arguments: str) -> int:
        """Run the command to its end, whatever that is.

        Returns
        -------
        int
            Its exit code; minus the signal's number if one ended it.
        """
        given = arguments or self.arguments
        self._lines = []
        with subprocess.Popen(
            [
                *self.within,
                *self._in_group(),
                sys.executable,
                "-m",
                "bytemlperf",
                *given,
            ],
            env=self._env,
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        ) as process:
            self._process = process
            guard = threading.Timer(TIMEOUT_SECONDS, process.kill)
            guard.start()
            try:
                assert process.stderr is not None
                for line in process.stderr:
                    self._lines.append(line)
                    self._look(line)
                process.wait()
            finally:
                guard.cancel()
        return process.returncode

    @property
    def said(self) -> str:
        """What the last run wrote to standard error."""
        return "".join(self._lines)

    def _look(self, line: str) -> None:
        for plan in list(self._plans):
            place, action = plan
            if line.strip().startswith(place):
                self._plans.remove(plan)
                action()

    @property
    def unreached(self) -> list[str]:
        """Where something was to be done and the command never came to."""
        return [f"it never came to {place!r}" for place, _ in self._plans]

    def at(self, place: str, action: Callable[[], None]) -> None:
        """Do something once when the progress reaches a place."""
        self._plans.append((place, action))

    def signal_at(self, place: str, name: str) -> None:
        """Send a signal to the command alone, as ``kill`` does."""
        self.at(place, lambda: self._live().send_signal(signal.Signals[name]))

    def insist_at(self, place: str) -> None:
        """Press Ctrl-C three times."""

        def press() -> None:
            for _ in range(3):
                self._live().send_signal(signal.SIGINT)
                threading.Event().wait(0.1)

        self.at(place, press)

    def kill_worker_at(self, place: str) -> None:
        """Kill the process that measures."""
        self.at(place, lambda: self._worker().kill())

    def freeze_worker_at(self, place: str) -> None:
        """Stop the process that measures for a second."""

        def freeze() -> None:
            worker = self._worker()
            worker.suspend()
            timer = threading.Timer(1.0, worker.resume)
            timer.start()

        self.at(place, freeze)

    def start_another_at(self, place: str) -> None:
        """Start a second command on the same folder; it must be refused."""

        def start() -> None:
            again = list(self._live().args)  # type: ignore[arg-type]
            # However long the second one takes to start, the first must still run.
            worker = self._worker()
            worker.suspend()
            try:
                other = subprocess.run(
                    again,
                    env=self._env,
                    cwd=self.folder,
                    capture_output=True,
                    text=True,
                    timeout=TIMEOUT_SECONDS,
                    check=False,
                )
            finally:
                worker.resume()
            if other.returncode != 2 or "another run is writing" not in other.stderr:
                self.notes.append(f"the second command ended with {other.returncode}")

        self.at(place, start)

    def start_sibling_at(self, place: str) -> None:
        """Start a second command at once, on the same cache, which is empty."""
        self._cache = self.folder / "cache"
        self._env["BYTEMLPERF_CACHE"] = str(self._cache)

        def start() -> None:
            again = list(self._live().args)  # type: ignore[arg-type]
            again[again.index(str(self.out))] = str(self.folder / "other")
            self._sibling = subprocess.Popen(
                again,
                env=self._env,
                cwd=self.folder,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )

        self.at(place, start)

    def join_sibling(self) -> None:
        """Wait for the second command, and note if it did not do well."""
        if self._sibling is None:
            return
        _, said = self._sibling.communicate(timeout=TIMEOUT_SECONDS)
        if self._sibling.returncode not in (0, 4):
            code = self._sibling.returncode
            self.notes.append(f"the second command ended with {code}: {said[-300:]}")
        self._sibling = None

    def limit_memory(self) -> None:
        """Run in a control group whose memory the backend will use up."""
        for root, name in (
            (CGROUPS / "memory", "memory.limit_in_bytes"),
            (CGROUPS, "memory.max"),
        ):
            group = root / f"bytemlperf-{os.getpid()}"
            with contextlib.suppress(OSError):
                group.mkdir(exist_ok=True)
                (group / name).write_text(str(GROUP_BYTES))
                self._group = group
                return
        raise CannotRunError("control groups cannot be made here")

    def _in_group(self) -> list[str]:
        """Return what puts the command behind it into the control group."""
        if self._group is None:
            return []
        enter = f'echo $$ >{self._group / "cgroup.procs"}; exec "$@"'
        return ["/bin/sh", "-c", enter, "sh"]

    def kill_environment_at(self, step: str, name: str = "SIGKILL") -> None:
        """Ask for an environment that has to be made; signal the command at a step."""
        self._cache = self.folder / "cache"
        self._env["BYTEMLPERF_CACHE"] = str(self._cache)
        write_wheel(self.folder / "UNLUCKY")
        requirements = self.folder / "UNLUCKY" / "requirements.txt"
        requirements.write_text(f"./{WHEEL}\n")
        self.signal_at(step, name)

    def with_stepping_clock(self) -> None:
        """Let the wall clock jump at every reading."""
        library = self.folder / "stepping_clock.so"
        compiler = shutil.which("cc") or shutil.which("gcc")
        if compiler is None:
            raise CannotRunError("no C compiler for the clock shim")
        subprocess.run(
            [compiler, "-shared", "-fPIC", "-o", library, CLOCK_SOURCE, "-ldl"],
            check=True,
        )
        self._env["LD_PRELOAD"] = str(library)

    def fill_disk_at(self, place: str) -> None:
        """Give the results a small disk, and fill it."""
        size = f"size={SMALL_DISK_BYTES}"
        self._mount(self.out, "-t", "tmpfs", "-o", size, "tmpfs")

        def fill() -> None:
            with (
                contextlib.suppress(OSError),
                open(self.out / "filler", "wb", buffering=0) as stream,
            ):
                while True:
                    stream.write(b"\0" * 512)

        self.at(place, fill)

    def with_full_cache(self) -> None:
        """Give the cache a disk that is nearly full."""
        self._cache = self.folder / "cache"
        self._env["BYTEMLPERF_CACHE"] = str(self._cache)
        self._mount(self._cache, "-t", "tmpfs", "-o", f"size={FULL_BYTES}", "tmpfs")

    def read_only_at(self, place: str) -> None:
        """Give the results a disk of their own, which the kernel then gives up."""
        self._disk = self.folder / "disk.img"
        with self._disk.open("wb") as stream:
            stream.truncate(DISK_BYTES)
        format_disk = shutil.which("mkfs.ext4") or "/sbin/mkfs.ext4"
        if not Path(format_disk).exists():
            raise CannotRunError("there is no mkfs.ext4")
        subprocess.run([format_disk, "-q", self._disk], check=True)
        self._mount(self.out, "-o", "loop", str(self._disk))
        # What the kernel does by itself after an error of the disk.
        abort = ["mount", "-o", "remount,abort", str(self.out)]
        self.at(place, lambda: subprocess.run(abort, check=True))

    def garble_journal_at(self, place: str) -> None:
        """Kill the command and leave half a record, as a power cut might."""

        def garble() -> None:
            self._live().kill()
            path = self.out / "UNLUCKY" / "small" / "journal.bin"
            with path.open("ab") as stream:
                stream.write(b"\0\0\1\0\x12\x34\x56\x78half a record")

        self.at(place, garble)

    def mend(self) -> None:
        """Take away what was done, so that the run can go on."""
        self._plans.clear()
        self._env.pop("LD_PRELOAD", None)
        if self._disk is not None:
            self._unmount()
            self._mount(self.out, "-o", "loop", str(self._disk))
        (self.out / "filler").unlink(missing_ok=True)
        self.set_backend_faults({})

    def _mount(self, place: Path, *arguments: str) -> None:
        place.mkdir(exist_ok=True)
        mount = shutil.which("mount")
        done = mount and subprocess.run(
            [mount, *arguments, place], capture_output=True, check=False
        )
        if not done or done.returncode != 0:
            raise CannotRunError("a file system cannot be mounted here")
        self._mounted = place

    def close(self) -> None:
        """Give back what the command was given."""
        self._unmount()
        if self._group is not None:
            self._group.rmdir()
            self._group = None

    def _unmount(self) -> None:
        if self._mounted is not None:
            subprocess.run(["umount", self._mounted], check=True)
            self._mounted = None

    def _live(self) -> subprocess.Popen[str]:
        assert self._process is not None
        return self._process

    def _worker(self) -> psutil.Process:
        for child in psutil.Process(self._live().pid).children(recursive=True):
            if "bytemlperf.engine" in child.cmdline():
                return child
        raise RuntimeError("the command has no worker")

    def orphans(self) -> list[str]:
        """End and name every process that outlived the command.

        A worker whose launcher was killed is told so by the kernel and is given a
        moment to go.
        """
        children = psutil.Process().children(recursive=True)
        _, alive = psutil.wait_procs(children, timeout=GRACE_SECONDS)
        names = []
        for process in alive:
            with contextlib.suppress(psutil.NoSuchProcess):
                if process.status() != psutil.STATUS_ZOMBIE:
                    names.append(" ".join(process.cmdline()[:4]) or process.name())
                process.kill()
        psutil.wait_procs(alive, timeout=GRACE_SECONDS)
        return names

    def locks(self) -> list[str]:
        """Name every lock that somebody still holds."""
        held = []
        for path in [*self.out.rglob("*lock*"), *self._cache.rglob("*lock*")]:
            if not path.is_file():
                continue
            with path.open("rb") as stream:
                try:
                    fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    held.append(path.name)
        return held

    def leftovers(self) -> list[str]:
        """Name half-written files."""
        return [
            path.name for path in self.out.rglob(".*") if path.name.startswith(".") and
            path.name != ".lock"
        ]  # fmt: skip
