"""A recording's threads in the report's words, and what is wrong with them. Pure.

Input: what each thread used of the window. Output: groups for the result, and warnings
with their remedy: threads that are not where they were to be, and more threads at work
than there are processors.
"""

from __future__ import annotations

from collections.abc import Sequence

from bytemlperf.report.schema import ThreadGroup
from bytemlperf.runtime import Affinity, Recording, ThreadUse
from bytemlperf.runtime.affinity import ROLES, cpu_list_text

__all__ = ["thread_groups", "thread_warnings"]

# A thread is busy if it used so much of the window.
BUSY_SHARE = 0.1
# Busy threads waited for a processor so much of the time that they could have run.
MAX_WAITED_SHARE = 0.1
# The processors were full, where the kernel does not tell how long threads waited.
FULL_SHARE = 0.8


def thread_groups(
    threads: Sequence[ThreadUse], affinity: Affinity, *, window_ns: int = 0
) -> list[ThreadGroup]:
    """Put threads of a role that may use the same processors together.

    Parameters
    ----------
    threads : sequence of ThreadUse
        Of a recording.
    affinity : Affinity
        What was asked for.
    window_ns : int
        Of the recording.

    Returns
    -------
    list of ThreadGroup
        In the order of `ROLES`, others last.
    """
    grouped: dict[tuple[str, tuple[int, ...]], list[ThreadUse]] = {}
    for each in threads:
        grouped.setdefault((each.role, each.cpus), []).append(each)
    order = [*ROLES, "other"]
    groups = []
    for (role, cpus), group in sorted(
        grouped.items(), key=lambda item: (order.index(item[0][0]), item[0][1])
    ):
        asked = affinity.cpus_of(role)
        delays = [each.run_delay_ns for each in group]
        groups.append(
            ThreadGroup(
                role=role,
                count=len(group),
                busy_count=sum(_is_busy(each, window_ns) for each in group),
                cpus=list(cpus),
                is_as_asked=(cpus == asked) if asked else None,
                cpu_ns=sum(each.cpu_ns for each in group),
                run_delay_ns=None if None in delays else sum(d or 0 for d in delays),
                involuntary_switches=sum(each.involuntary_switches for each in group),
            )
        )
    return groups


def thread_warnings(recording: Recording, usable_cores: float) -> list[str]:
    """Say what is wrong with a recording's threads, and the remedy.

    Parameters
    ----------
    recording : Recording
        With its threads.
    usable_cores : float
        Processors that the process may use, under its affinity and control group.

    Returns
    -------
    list of str
        Empty if nothing is.
    """
    found = [
        f"affinity: {group.count} {group.role} "
        f"{'thread was' if group.count == 1 else 'threads were'} allowed on "
        f"{cpu_list_text(group.cpus)}, not on "
        f"{cpu_list_text(recording.affinity.cpus_of(group.role))} as asked; the "
        "framework has moved them, or made them during the window"
        for group in thread_groups(recording.threads, recording.affinity)
        if group.is_as_asked is False
    ]
    crowded = _oversubscribed(recording, usable_cores)
    return found if crowded is None else [*found, crowded]


def _oversubscribed(recording: Recording, usable_cores: float) -> str | None:
    """Say that more threads worked than there are processors, as measured."""
    window_ns = recording.window_ns
    busy = [each for each in recording.threads if _is_busy(each, window_ns)]
    cores = min(usable_cores, len({cpu for each in busy for cpu in each.cpus}))
    if not window_ns or len(busy) <= cores:
        return None
    cpu_ns = sum(each.cpu_ns for each in busy)
    delays = [each.run_delay_ns for each in busy if each.run_delay_ns is not None]
    if len(delays) == len(busy):
        waited = sum(delays) / (cpu_ns + sum(delays))
        wanted = (cpu_ns + sum(delays)) / window_ns
        if waited <= MAX_WAITED_SHARE or wanted <= cores:
            return None
        seen = (
            f"wanted {wanted:.1f} processors at once and waited for one {waited:.0%} "
            "of that time"
        )
    else:
        if cpu_ns < FULL_SHARE * cores * window_ns:
            return None
        switches = sum(each.involuntary_switches for each in busy)
        seen = (
            f"kept them {cpu_ns / (cores * window_ns):.0%} busy, and had them taken "
            f"away {switches:,} times"
        )
    roles = ", ".join(
        f"{count} {role}"
        for role in dict.fromkeys(each.role for each in busy)
        if (count := sum(each.role == role for each in busy))
    )
    return (
        f"oversubscribed: {len(busy)} busy threads ({roles}) on {cores:g} processors "
        f"{seen}; lower intra_op_threads x predict_threads, leave one processor to "
        "the loop and the pacer (--affinity), or stop other programs"
    )


def _is_busy(thread: ThreadUse, window_ns: int) -> bool:
    return window_ns > 0 and thread.cpu_ns >= BUSY_SHARE * window_ns
