"""Read the counters of this process and of the machine, and take differences.

Input: nothing but /proc, /sys and the process. Output: a `ResourceReport`, warnings.
Read outside the measured window; a counter that cannot be read is None.
"""

from __future__ import annotations

import resource
from pathlib import Path

import msgspec
import psutil

from bytemlperf.report.schema.resources import ResourceReport
from bytemlperf.runtime.clock import now_ns

__all__ = ["Counters", "read_counters", "resource_report", "resource_warnings"]

NS_PER_S = 1_000_000_000
MAX_STEAL_SHARE = 0.01
MAX_THROTTLED_SHARE = 0.001


class Counters(msgspec.Struct, frozen=True):
    """Counters at one moment; all only grow, but for the memory."""

    at_ns: int
    rss_bytes: int
    cpu_ns: int
    voluntary_switches: int
    involuntary_switches: int
    minor_faults: int
    major_faults: int
    steal_ticks: int | None
    all_ticks: int | None
    throttled_us: int | None
    swapped_in_pages: int | None
    swapped_out_pages: int | None
    energy_uj: tuple[tuple[int, int], ...]


def read_counters(root: Path = Path("/")) -> Counters:
    """Read all counters.

    Parameters
    ----------
    root : Path, default ``/``
        Where proc and sys are.

    Returns
    -------
    Counters
        As they are now.
    """
    used = resource.getrusage(resource.RUSAGE_SELF)
    ticks = [
        int(word) for word in _text(root / "proc/stat").partition("\n")[0].split()[1:9]
    ]
    throttled = _named(root / "sys/fs/cgroup/cpu.stat")
    pages = _named(root / "proc/vmstat")
    return Counters(
        at_ns=now_ns(),
        rss_bytes=psutil.Process().memory_info().rss,
        cpu_ns=round((used.ru_utime + used.ru_stime) * NS_PER_S),
        voluntary_switches=used.ru_nvcsw,
        involuntary_switches=used.ru_nivcsw,
        minor_faults=used.ru_minflt,
        major_faults=used.ru_majflt,
        steal_ticks=ticks[7] if len(ticks) == 8 else None,
        all_ticks=sum(ticks) if len(ticks) == 8 else None,
        throttled_us=throttled.get("throttled_usec"),
        swapped_in_pages=pages.get("pswpin"),
        swapped_out_pages=pages.get("pswpout"),
        energy_uj=_energies(root),
    )


def resource_report(before: Counters, after: Counters) -> ResourceReport:
    """Take the difference of two readings.

    Parameters
    ----------
    before, after : Counters
        In that order.

    Returns
    -------
    ResourceReport
        Of the time between them.
    """
    steal = _difference(before.steal_ticks, after.steal_ticks)
    ticks = _difference(before.all_ticks, after.all_ticks)
    energy = None
    if before.energy_uj and len(before.energy_uj) == len(after.energy_uj):
        # The counters wrap around at a maximum of their own.
        energy = sum(
            (now - then) % (top + 1)
            for (then, top), (now, _) in zip(
                before.energy_uj, after.energy_uj, strict=True
            )
        )
    return ResourceReport(
        duration_ns=after.at_ns - before.at_ns,
        rss_bytes=after.rss_bytes,
        cpu_ns=after.cpu_ns - before.cpu_ns,
        voluntary_switches=after.voluntary_switches - before.voluntary_switches,
        involuntary_switches=after.involuntary_switches - before.involuntary_switches,
        minor_faults=after.minor_faults - before.minor_faults,
        major_faults=after.major_faults - before.major_faults,
        steal_share=None if steal is None or not ticks else steal / ticks,
        throttled_us=_difference(before.throttled_us, after.throttled_us),
        swapped_in_pages=_difference(before.swapped_in_pages, after.swapped_in_pages),
        swapped_out_pages=_difference(
            before.swapped_out_pages, after.swapped_out_pages
        ),
        energy_uj=energy,
    )


def resource_warnings(report: ResourceReport) -> list[str]:
    """Say what the machine took away during a point, and the remedy.

    Parameters
    ----------
    report : ResourceReport
        Of the point.

    Returns
    -------
    list of str
        Empty if nothing was taken.
    """
    found = []
    if report.steal_share is not None and report.steal_share > MAX_STEAL_SHARE:
        found.append(
            f"the hypervisor gave {report.steal_share:.1%} of the processors' time to "
            "others during this point; measure on dedicated cores"
        )
    throttled_us = report.throttled_us or 0
    if throttled_us * 1000 > MAX_THROTTLED_SHARE * report.duration_ns:
        found.append(
            "the control group's CPU quota stopped threads for "
            f"{throttled_us / 1000:.0f} ms during this point; raise it, or use cpusets"
        )
    if report.swapped_in_pages:
        found.append(
            f"{report.swapped_in_pages} pages were swapped in during this point; free "
            "memory, or swapoff -a"
        )
    return found


def _difference(before: int | None, after: int | None) -> int | None:
    return None if before is None or after is None else after - before


def _energies(root: Path) -> tuple[tuple[int, int], ...]:
    """Energy and its largest value of every package; empty if one cannot be read."""
    found = []
    for zone in sorted((root / "sys/class/powercap").glob("intel-rapl:[0-9]")):
        energy, top = _text(zone / "energy_uj"), _text(zone / "max_energy_range_uj")
        if not (energy.isdecimal() and top.isdecimal()):
            return ()
        found.append((int(energy), int(top)))
    return tuple(found)


def _named(path: Path) -> dict[str, int]:
    found = {}
    for line in _text(path).splitlines():
        name, _, value = line.partition(" ")
        if value.isdecimal():
            found[name] = int(value)
    return found


def _text(path: Path) -> str:
    """Return a file's text, stripped; empty where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
