"""What each thread of this process used, and where it was allowed to: from /proc.

Input: nothing but the running process. Output: readings, and `ThreadUse`, their
difference. Read before and after the measured part, never in it.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

from bytemlperf.errors import ConfigError
from bytemlperf.runtime.affinity import TASKS, parse_cpu_list

__all__ = ["ThreadReading", "ThreadUse", "read_thread", "read_threads", "thread_uses"]

_TICK_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")


class ThreadReading(NamedTuple):
    """A thread's counters at one moment."""

    name: str
    cpus: tuple[int, ...]
    cpu_ns: int
    run_delay_ns: int | None
    involuntary_switches: int


class ThreadUse(msgspec.Struct, frozen=True):
    """What a thread used during the measured part.

    Parameters
    ----------
    role : str
        ``"loop"`` (of events, or of native clients), ``"pacer"``, ``"predict"``,
        ``"intra_op"`` (not made by Python) or ``"other"``.
    name : str
        Python's, or else the kernel's.
    cpus : tuple of int
        Processors it was allowed to use at the end, as read back from the kernel.
    cpu_ns : int
        Processor time, in steps of the kernel's clock (10 ms) where it keeps no finer.
    run_delay_ns : int or None
        Time that it could have run, but had no processor; None: the kernel keeps none.
    involuntary_switches : int
        Times its processor was taken away.
    """

    role: str
    name: str
    cpus: tuple[int, ...]
    cpu_ns: int
    run_delay_ns: int | None
    involuntary_switches: int


def read_thread(number: int, tasks: Path = TASKS) -> ThreadReading | None:
    """Read a thread's counters.

    Parameters
    ----------
    number : int
        The kernel's.
    tasks : Path
        Where the kernel tells of this process's threads.

    Returns
    -------
    ThreadReading or None
        None: it has ended, or there is no /proc.
    """
    folder = tasks / str(number)
    try:
        status = (folder / "status").read_text(errors="replace")
        # A name may hold anything, also a closing parenthesis.
        times = (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    fields = dict(line.partition(":")[::2] for line in status.splitlines())
    try:
        cpu_ns = (int(times[11]) + int(times[12])) * _TICK_NS
        run_delay_ns = None
        exact = _schedstat(folder)
        if exact is not None:
            cpu_ns, run_delay_ns = exact
        return ThreadReading(
            name=fields["Name"].strip(),
            cpus=tuple(parse_cpu_list(fields["Cpus_allowed_list"])),
            cpu_ns=cpu_ns,
            run_delay_ns=run_delay_ns,
            involuntary_switches=int(fields["nonvoluntary_ctxt_switches"]),
        )
    except (KeyError, IndexError, ValueError, ConfigError):
        # A kernel that tells less: nothing is known of it, and nothing is said.
        return None


def _schedstat(folder: Path) -> tuple[int, int] | None:
    try:
        words = (folder / "schedstat").read_text().split()
    except OSError:
        return None
    return int(words[0]), int(words[1])


def read_threads(tasks: Path = TASKS) -> dict[int, ThreadReading]:
    """Read the counters of every thread of this process.

    Parameters
    ----------
    tasks : Path
        See `read_thread`.

    Returns
    -------
    dict of int to ThreadReading
        By the kernel's number; empty where there is no /proc.
    """
    try:
        numbers = sorted(map(int, os.listdir(tasks)))
    except OSError:
        return {}
    found = {number: read_thread(number, tasks) for number in numbers}
    return {number: read for number, read in found.items() if read is not None}


def thread_uses(
    before: Mapping[int, ThreadReading],
    after: Mapping[int, ThreadReading],
    roles: Mapping[int, str],
) -> tuple[ThreadUse, ...]:
    """Say what threads used between two readings.

    Parameters
    ----------
    before, after : mapping of int to ThreadReading
        In that order; a thread that is only in the second began in between, one that is
        only in the first is left out.
    roles : mapping of int to str
        Of the threads whose role is known; others that Python made are ``"other"``, and
        those that it did not make ``"intra_op"``.

    Returns
    -------
    tuple of ThreadUse
        One for each.
    """
    made = {thread.native_id: thread.name for thread in threading.enumerate()}
    uses = []
    for number, now in after.items():
        then = before.get(number)
        delay_ns = now.run_delay_ns
        if then is not None and delay_ns is not None:
            delay_ns -= then.run_delay_ns or 0
        uses.append(
            ThreadUse(
                role=roles.get(number) or ("other" if number in made else "intra_op"),
                name=made.get(number, now.name),
                cpus=now.cpus,
                cpu_ns=now.cpu_ns - (then.cpu_ns if then else 0),
                run_delay_ns=delay_ns,
                involuntary_switches=now.involuntary_switches
                - (then.involuntary_switches if then else 0),
            )
        )
    return tuple(uses)
