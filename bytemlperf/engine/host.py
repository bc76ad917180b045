"""Facts of the machine and of the software, for provenance.

Input: nothing but the running process. Output: `Host` and package versions. What
cannot be read on a machine is None, never a guess.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
from pathlib import Path

import psutil

from bytemlperf.report.schema import Host

__all__ = [
    "busy_host",
    "cpu_flags",
    "cpu_model",
    "describe_host",
    "package_versions",
    "source_commit",
    "usable_cores",
]

# Our own preparation, just before, makes up to one a core.
MAX_LOAD_PER_CORE = 1.5

PACKAGES = (
    "anyio",
    "hdrhistogram",
    "keras",
    "msgspec",
    "numpy",
    "onnx",
    "onnxruntime",
    "openvino",
    "tensorflow",
    "tensorflow-cpu",
    "torch",
    "transformers",
    "uvloop",
)


def describe_host() -> Host:
    """Describe the machine as this process sees it.

    Returns
    -------
    Host
        Model, cores (logical, and usable under affinity and cgroup quota), memory,
        kernel and load.
    """
    affinity = sorted(os.sched_getaffinity(0))
    governor = _read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
    return Host(
        cpu_model=cpu_model(),
        architecture=platform.machine(),
        logical_cores=psutil.cpu_count(logical=True) or len(affinity),
        usable_cores=usable_cores(),
        affinity=affinity,
        memory_bytes=psutil.virtual_memory().total,
        kernel=platform.release(),
        os=_os_name(),
        governor=governor,
        load_average_1min=os.getloadavg()[0],
        in_container=Path("/.dockerenv").exists()
        or Path("/run/.containerenv").exists(),
        hypervisor=_read("/sys/hypervisor/type")
        or ("yes" if "hypervisor" in cpu_flags() else None),
    )


def usable_cores() -> float:
    """Return how many cores this process may use.

    Returns
    -------
    float
        The smaller of the affinity mask's size and the cgroup's CPU quota.
    """
    allowed = float(len(os.sched_getaffinity(0)))
    limit = _read("/sys/fs/cgroup/cpu.max")
    if limit:
        quota, _, period = limit.partition(" ")
        if quota != "max" and period:
            allowed = min(allowed, int(quota) / int(period))
    return allowed


def busy_host(host: Host) -> str | None:
    """Say that other programs will be in the numbers, if they will.

    Parameters
    ----------
    host : Host
        As it was before the first point.

    Returns
    -------
    str or None
        None if the load of the last minute, in which our own preparation may have kept
        every core busy, leaves no doubt.
    """
    if host.load_average_1min <= MAX_LOAD_PER_CORE * host.usable_cores:
        return None
    return (
        f"the machine was busy: load average {host.load_average_1min:.1f} on "
        f"{host.usable_cores:g} cores before the first point, so other programs are in "
        "these numbers; repeat the run on a quiet machine"
    )


def package_versions() -> dict[str, str]:
    """Return the versions of the packages that move numbers.

    Returns
    -------
    dict of str to str
        Only those installed in this environment.
    """
    found: dict[str, str] = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def source_commit(folder: Path) -> str | None:
    """Return the commit of the checkout that `folder` lies in.

    Parameters
    ----------
    folder : Path
        The package's folder.

    Returns
    -------
    str or None
        40 hex digits; None if the package was installed from elsewhere.
    """
    head = _read(str(folder.parent / ".git" / "HEAD"))
    if head is None:
        return None
    if not head.startswith("ref: "):
        return head
    reference = head.removeprefix("ref: ")
    return _read(str(folder.parent / ".git" / reference))


def _read(path: str) -> str | None:
    """Return a small file's text, stripped; None where the file is not there."""
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").strip() or None
    except OSError:
        return None


def _cpu_field(name: str) -> str:
    """Return the first value of a field of /proc/cpuinfo, or an empty string."""
    for line in (_read("/proc/cpuinfo") or "").splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return ""


def cpu_model() -> str:
    """Return the processor's marketing name.

    Returns
    -------
    str
        As /proc/cpuinfo has it.
    """
    return _cpu_field("model name") or platform.processor() or platform.machine()


def cpu_flags() -> set[str]:
    """Return the processor's feature flags.

    Returns
    -------
    set of str
        As /proc/cpuinfo has them: ``flags`` of x86, ``Features`` of Arm.
    """
    return set((_cpu_field("flags") or _cpu_field("Features")).split())


def _os_name() -> str:
    """Return the distribution's name and version."""
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
    except OSError:
        return platform.system()
