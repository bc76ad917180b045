"""What a point used of the machine, and what the machine took away meanwhile."""

from __future__ import annotations

import msgspec

__all__ = ["ResourceReport"]


class ResourceReport(msgspec.Struct, frozen=True):
    """Counters over a point, from before its warm-up to the end of its window.

    Parameters
    ----------
    duration_ns : int
        Of that time.
    rss_bytes : int
        Resident memory of the process that drives the point, at the end.
    cpu_ns : int
        User and system time of all its threads.
    voluntary_switches, involuntary_switches : int
        Times a thread gave up its processor, and had it taken away.
    minor_faults, major_faults : int
        Pages mapped, and pages read from a disk.
    steal_share : float or None
        Share of the whole machine's processor time that a hypervisor gave to others.
    throttled_us : int or None
        Time the control group was held back by its CPU quota.
    swapped_in_pages, swapped_out_pages : int or None
        Of the whole machine.
    energy_uj : int or None
        Used by the processor packages (RAPL), everything on the machine included; None:
        not readable.
    """

    duration_ns: int
    rss_bytes: int
    cpu_ns: int
    voluntary_switches: int
    involuntary_switches: int
    minor_faults: int
    major_faults: int
    steal_share: float | None
    throttled_us: int | None
    swapped_in_pages: int | None
    swapped_out_pages: int | None
    energy_uj: int | None
