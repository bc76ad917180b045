"""What a machine does to a measurement: its state, read from /proc and /sys.

Input: a root folder, so that tests can bring a machine of their own. Output:
`HostState` and warnings, each with its remedy. What cannot be read is None, never a
guess.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from bytemlperf.engine.host import cpu_model, usable_cores

__all__ = ["HostState", "host_warnings", "read_host_state"]

NS_PER_US = 1000
KIB = 1024
# Share of processor time that a hypervisor may take before figures suffer.
MAX_STEAL_SHARE = 0.01
MAX_LOAD_SHARE = 0.1
QUIET_GOVERNORS = ("performance",)


class HostState(msgspec.Struct, frozen=True):
    """A machine as it is now.

    Parameters
    ----------
    cpu_model : str
        Marketing name.
    usable_cores : float
        Under affinity and control group.
    frequencies_mhz : list of float
        Of every core that tells.
    governor : str or None
        Of the frequency.
    turbo : bool or None
        Whether cores may go beyond their nominal frequency.
    smt_active : bool or None
        Whether logical cores share physical ones.
    numa_nodes : int or None
        Memory nodes.
    cgroup_cpu_quota_cores, cgroup_memory_bytes : float or None
        Limits of the control group; None: none.
    cgroup_throttled_count, cgroup_throttled_us : int or None
        Times the control group was held back since it began, and for how long.
    core_throttle_count : int or None
        Times cores were slowed for heat since boot.
    load_average_1min : float
        Threads that want to run.
    steal_share : float or None
        Share of processor time since boot that a hypervisor gave to others.
    memory_bytes, available_memory_bytes, swap_used_bytes : int
        Of the whole machine.
    energy_readable : bool
        Whether this user may read RAPL counters.
    """

    cpu_model: str
    usable_cores: float
    frequencies_mhz: list[float]
    governor: str | None
    turbo: bool | None
    smt_active: bool | None
    numa_nodes: int | None
    cgroup_cpu_quota_cores: float | None
    cgroup_memory_bytes: int | None
    cgroup_throttled_count: int | None
    cgroup_throttled_us: int | None
    core_throttle_count: int | None
    load_average_1min: float
    steal_share: float | None
    memory_bytes: int
    available_memory_bytes: int
    swap_used_bytes: int
    energy_readable: bool


def read_host_state(root: Path = Path("/")) -> HostState:
    """Read the machine's state.

    Parameters
    ----------
    root : Path, default ``/``
        Where proc and sys are.

    Returns
    -------
    HostState
        As it is now.
    """
    cpus = root / "sys/devices/system/cpu"
    group = root / "sys/fs/cgroup"
    memory = _pairs(root / "proc/meminfo")
    throttled = _pairs(group / "cpu.stat")
    nodes = list((root / "sys/devices/system/node").glob("node[0-9]*"))
    core_throttles = [
        _number(path)
        for path in sorted(cpus.glob("cpu[0-9]*/thermal_throttle/core_throttle_count"))
    ]
    smt = _text(cpus / "smt/active")
    return HostState(
        cpu_model=cpu_model(),
        usable_cores=usable_cores(),
        frequencies_mhz=_frequencies(root),
        governor=_text(cpus / "cpu0/cpufreq/scaling_governor"),
        turbo=_turbo(cpus),
        smt_active=None if smt is None else smt == "1",
        numa_nodes=len(nodes) or None,
        cgroup_cpu_quota_cores=_quota(_text(group / "cpu.max")),
        cgroup_memory_bytes=_number(group / "memory.max"),
        cgroup_throttled_count=throttled.get("nr_throttled"),
        cgroup_throttled_us=throttled.get("throttled_usec"),
        core_throttle_count=(
            sum(count or 0 for count in core_throttles) if core_throttles else None
        ),
        load_average_1min=os.getloadavg()[0],
        steal_share=_steal(root),
        memory_bytes=memory.get("MemTotal", 0) * KIB,
        available_memory_bytes=memory.get("MemAvailable", 0) * KIB,
        swap_used_bytes=(memory.get("SwapTotal", 0) - memory.get("SwapFree", 0)) * KIB,
        energy_readable=any(
            _number(path) is not None
            for path in (root / "sys/class/powercap").glob("intel-rapl:*/energy_uj")
        ),
    )


def host_warnings(state: HostState) -> list[str]:
    """Say what of a machine's state bends figures, and what to do about it.

    Parameters
    ----------
    state : HostState
        As read.

    Returns
    -------
    list of str
        One sentence each, the remedy after a semicolon; empty for a quiet machine.
    """
    found = []
    if state.load_average_1min > MAX_LOAD_SHARE * state.usable_cores:
        found.append(
            f"load average {state.load_average_1min:.2f} on {state.usable_cores:g} "
            "cores: other programs are in the figures; stop them, or wait"
        )
    if state.governor is not None and state.governor not in QUIET_GOVERNORS:
        found.append(
            f"frequency governor {state.governor}: speed depends on what ran before; "
            "cpupower frequency-set -g performance"
        )
    if state.turbo:
        found.append(
            "turbo is on: speed depends on temperature and on other cores; for steady "
            "figures write 1 to intel_pstate/no_turbo, or 0 to cpufreq/boost"
        )
    if state.smt_active:
        found.append(
            "logical cores share physical ones: two busy threads may halve each other; "
            "hold the run to one of each pair with taskset, or switch SMT off"
        )
    if state.steal_share is not None and state.steal_share > MAX_STEAL_SHARE:
        found.append(
            f"{state.steal_share:.1%} of processor time was stolen since boot: the "
            "hypervisor is overbooked; measure on dedicated cores"
        )
    if state.cgroup_throttled_count:
        found.append(
            f"the control group was throttled {state.cgroup_throttled_count} times: "
            "its CPU quota stops threads for milliseconds; raise it, or use cpusets"
        )
    if state.core_throttle_count:
        found.append(
            f"cores were slowed for heat {state.core_throttle_count} times since boot; "
            "cool the machine, or lower its power limit"
        )
    if state.swap_used_bytes:
        found.append(
            f"{state.swap_used_bytes / 2**20:.0f} MiB are swapped out: first touches "
            "wait for a disk; swapoff -a, or free memory"
        )
    if (state.numa_nodes or 1) > 1:
        found.append(
            f"{state.numa_nodes} memory nodes: memory of another node is slower; "
            "numactl --cpunodebind --membind, or --processes with one a node"
        )
    return found


def _frequencies(root: Path) -> list[float]:
    text = _text(root / "proc/cpuinfo") or ""
    return [
        float(line.partition(":")[2])
        for line in text.splitlines()
        if line.startswith("cpu MHz")
    ]


def _turbo(cpus: Path) -> bool | None:
    no_turbo = _text(cpus / "intel_pstate/no_turbo")
    if no_turbo is not None:
        return no_turbo == "0"
    boost = _text(cpus / "cpufreq/boost")
    return None if boost is None else boost == "1"


def _quota(limit: str | None) -> float | None:
    quota, _, period = (limit or "max").partition(" ")
    return None if quota == "max" or not period else int(quota) / int(period)


def _steal(root: Path) -> float | None:
    """Share of all processor time since boot; the eighth figure of /proc/stat."""
    line = (_text(root / "proc/stat") or "").partition("\n")[0].split()
    if len(line) < 9 or line[0] != "cpu":
        return None
    ticks = [int(word) for word in line[1:9]]
    return ticks[7] / sum(ticks) if sum(ticks) else None


def _pairs(path: Path) -> dict[str, int]:
    """Read lines of a name and a whole number; others are left out."""
    found = {}
    for line in (_text(path) or "").splitlines():
        words = line.replace(":", " ").split()
        if len(words) >= 2 and words[1].isdecimal():
            found[words[0]] = int(words[1])
    return found


def _number(path: Path) -> int | None:
    text = _text(path)
    return int(text) if text is not None and text.isdecimal() else None


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip() or None
    except OSError:
        return None
