"""How many threads a model may use here, and whether that is too many.

Input: the answers of the interactive profile. Output: a `ThreadPlan`. It refuses to
know any framework; each runtime applies the plan in its own words.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from bytemlperf.errors import CompileError

__all__ = ["ThreadPlan", "available_cores", "plan_threads"]

CGROUP_ROOT = Path("/sys/fs/cgroup")
PROCESS_CGROUP = Path("/proc/self/cgroup")


class ThreadPlan(msgspec.Struct, frozen=True):
    """Threads for the predict calls of one process.

    Parameters
    ----------
    available_cores : int
        Cores this process may use at once, >= 1.
    instance_count : int
        `predict` calls that run at once, >= 1.
    intra_op_threads : int
        Threads inside one operator of one call, >= 1.
    inter_op_threads : int
        Operators of one call that run at once, >= 1.
    warnings : tuple of str
        What is wrong with these numbers on this machine.
    """

    available_cores: int
    instance_count: int
    intra_op_threads: int
    inter_op_threads: int
    warnings: tuple[str, ...]


def plan_threads(interact_info: Mapping[str, Any]) -> ThreadPlan:
    """Share the available cores among the instances, or do as the user says.

    Parameters
    ----------
    interact_info : mapping
        ``configs["interact_info"]``; read are ``instance_count`` (default 1) and
        ``intra_op_threads`` (default: available cores // instance_count, at least 1).

    Returns
    -------
    ThreadPlan
        Operators run one after the other: ``inter_op_threads`` is 1.

    Raises
    ------
    CompileError
        An answer is not a whole number >= 1.
    """
    cores = available_cores()
    instances = _positive(interact_info, "instance_count", 1)
    intra = _positive(interact_info, "intra_op_threads", max(1, cores // instances))
    warnings = []
    if instances * intra > cores:
        warnings.append(
            f"oversubscribed: {instances} instances x {intra} threads "
            f"on {cores} available cores"
        )
    return ThreadPlan(
        available_cores=cores,
        instance_count=instances,
        intra_op_threads=intra,
        inter_op_threads=1,
        warnings=tuple(warnings),
    )


def available_cores() -> int:
    """Return the cores this process may use at once.

    Returns
    -------
    int
        The affinity mask's size, or the control group's quota if that is less (a
        fraction of a core is rounded down, but never to 0).
    """
    cores = len(os.sched_getaffinity(0))
    quota = _cgroup_quota(CGROUP_ROOT, PROCESS_CGROUP)
    return cores if quota is None else max(1, min(cores, int(quota)))


def _positive(interact_info: Mapping[str, Any], name: str, default: int) -> int:
    """Read a count; dialogs answer with strings, so those are taken too."""
    answer = interact_info.get(name)
    if answer is None or answer == "":
        return default
    try:
        count = int(str(answer))
    except ValueError:
        count = 0
    if count < 1:
        raise CompileError(
            f"interact_info.{name}: expected a whole number >= 1, came {answer!r}"
        )
    return count


def _cgroup_quota(root: Path, process_cgroup: Path) -> float | None:
    """Return the smallest CPU quota from this process's group upwards, in cores."""
    quotas = []
    for group in _cgroup_folders(root, process_cgroup):
        unified = group / "cpu.max"
        legacy = group / "cpu.cfs_quota_us"
        if unified.is_file():
            limit, period = unified.read_text().split()
        elif legacy.is_file():
            limit = legacy.read_text().strip()
            period = (group / "cpu.cfs_period_us").read_text()
        else:
            continue
        if limit not in {"max", "-1"}:
            quotas.append(int(limit) / int(period))
    return min(quotas, default=None)


def _cgroup_folders(root: Path, process_cgroup: Path) -> list[Path]:
    """Return the groups that bound this process, for both versions of the interface."""
    if not process_cgroup.is_file():
        return []
    folders = []
    for line in process_cgroup.read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        top = root / "cpu" if controllers else root
        own = top / path.lstrip("/")
        # Inside a container the path may be the host's; the mount's top always counts.
        folders += [own, *(p for p in own.parents if p.is_relative_to(top)), top]
    return folders
