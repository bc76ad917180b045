"""Why a worker ended: what its exit status, the kernel's counters and its log say.

Input: an exit status, counters read before and after, a log file. Output: sentences.
It never claims more than the kernel told: a SIGKILL is called out-of-memory only as
firmly as the counters allow.
"""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import msgspec

from bytemlperf.report.plain_text import clean_line

__all__ = ["OomCounters", "describe_exit", "log_tail", "read_oom_counters"]

CGROUP_ROOT = Path("/sys/fs/cgroup")
PROC = Path("/proc")
TAIL_LINES = 20
TAIL_BYTES = 16 * 1024


class OomCounters(msgspec.Struct, frozen=True):
    """Kills by the kernel's out-of-memory killer so far.

    Parameters
    ----------
    cgroup : int or None
        In this process's control group; None if it cannot be read.
    machine : int or None
        On the whole machine; None if it cannot be read.
    """

    cgroup: int | None
    machine: int | None


def read_oom_counters(
    proc: Path = PROC, cgroup_root: Path = CGROUP_ROOT
) -> OomCounters:
    """Read the counters that exist here (control groups v2 or v1, and the machine).

    Parameters
    ----------
    proc, cgroup_root : Path
        Where the kernel's files are.

    Returns
    -------
    OomCounters
        None for what cannot be read.
    """
    cgroup = None
    for path in _counter_files(proc, cgroup_root):
        cgroup = _counter(path)
        if cgroup is not None:
            break
    return OomCounters(cgroup=cgroup, machine=_counter(proc / "vmstat"))


def _counter_files(proc: Path, cgroup_root: Path) -> list[Path]:
    """Return where this process's control group may count, the likeliest first."""
    try:
        lines = (proc / "self/cgroup").read_text().splitlines()
    except OSError:
        return []
    files = []
    for line in lines:
        _, controllers, inner = line.split(":", 2)
        inner = inner.lstrip("/")
        if "memory" in controllers.split(","):
            folder = cgroup_root / "memory"
            files += [folder / inner / "memory.oom_control"]
            # In a container the path is the host's, and the mount is ours.
            files += [folder / "memory.oom_control"]
        elif not controllers:
            files += [cgroup_root / inner / "memory.events"]
            files += [cgroup_root / "memory.events"]
    return files


def _counter(path: Path) -> int | None:
    try:
        text = path.read_text()
    except OSError:
        return None
    found = re.search(r"^oom_kill (\d+)$", text, re.MULTILINE)
    return int(found.group(1)) if found else None


def describe_exit(
    return_code: int, before: OomCounters, after: OomCounters
) -> tuple[str, str, str | None]:
    """Say how a process ended.

    Parameters
    ----------
    return_code : int
        As `subprocess` gives it: negative is a signal.
    before, after : OomCounters
        Read before the start and after the end.

    Returns
    -------
    kind : str
        ``"killed"`` or ``"exited"``.
    cause : str
        Continues "the worker ...".
    explanation : str or None
        What is known of the reason.
    """
    if return_code >= 0:
        return "exited", f"exited with code {return_code}", None
    number = -return_code
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = f"signal {number}"
    explanations: dict[int, str] = {
        signal.SIGSEGV: "a bug in native code of the backend or its framework",
        signal.SIGBUS: "memory that could not be read: a truncated mapped file, a "
        "full disk behind it, or a bug in native code",
        signal.SIGABRT: "native code gave up (an assertion or std::terminate); the "
        "log tail usually says why",
        signal.SIGILL: "an instruction this CPU does not have: a package built for "
        "another one",
        signal.SIGFPE: "an integer division by zero in native code",
        signal.SIGXFSZ: "a file grew past this process's file size limit",
        signal.SIGXCPU: "this process's CPU time limit is used up",
    }
    if number == signal.SIGKILL:
        return "killed", f"was killed by {name}", _explain_kill(before, after)
    return "killed", f"was killed by {name}", explanations.get(number)


def _explain_kill(before: OomCounters, after: OomCounters) -> str:
    if after.cgroup is not None and before.cgroup is not None:
        rise = after.cgroup - before.cgroup
        if rise > 0:
            return (
                "out of memory: the kernel's out-of-memory killer struck in this "
                f"control group meanwhile (count: +{rise})"
            )
    if after.machine is not None and before.machine is not None:
        rise = after.machine - before.machine
        if rise > 0:
            return (
                "probably out of memory: the kernel's out-of-memory killer struck on "
                f"this machine meanwhile (count: +{rise})"
            )
        return (
            "sent by another process or a supervisor: the kernel counted no "
            "out-of-memory kill meanwhile"
        )
    return (
        "either out of memory or sent by another process: the kernel's counters "
        "cannot be read here"
    )


def log_tail(path: Path, *, start_byte: int = 0, max_lines: int = TAIL_LINES) -> str:
    """Return the last lines of a log, safe to show on a terminal.

    Parameters
    ----------
    path : Path
        The log file; may be missing or hold any bytes.
    start_byte : int, >= 0
        Nothing before this offset is looked at.
    max_lines : int, >= 1
        Most lines returned.

    Returns
    -------
    str
        Lines without control characters; of a line that was overwritten in place
        (a progress bar) its last state. Empty if there is nothing.
    """
    try:
        with path.open("rb") as stream:
            size_bytes = stream.seek(0, os.SEEK_END)
            first_byte = max(start_byte, size_bytes - TAIL_BYTES)
            stream.seek(min(first_byte, size_bytes))
            raw = stream.read(TAIL_BYTES)
    except OSError as error:
        return f"(the log {path} cannot be read: {error.strerror})"
    lines = [clean_line(line) for line in raw.decode("utf-8", "replace").split("\n")]
    if first_byte > start_byte and len(lines) > 1:
        # The first piece begins in the middle of a line.
        lines = lines[1:]
    return "\n".join([line for line in lines if line][-max_lines:])
