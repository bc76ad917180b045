"""Where each of several processes runs: cores, memory nodes, devices. Mostly pure.

Input: what the machine has. Output: one `Placement` for each part. A part is held to
cores of one memory node where that is possible, and to whole physical cores, so that
no other part uses its memory's bus or its cores' other hyper-threads. Its memory needs
no policy of its own: Linux takes a page from the node of the core that touches it
first, and a part is held to its cores before it loads anything.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from bytemlperf.runtime.affinity import parse_cpu_list

__all__ = [
    "DEVICE_VARIABLES",
    "PART_COUNT_VARIABLE",
    "PART_VARIABLE",
    "Core",
    "Placement",
    "place_parts",
    "read_cores",
    "share_cores",
    "share_devices",
    "share_out",
]

SYSTEM = Path("/sys/devices/system")
# What a backend may look at to choose a device for itself.
PART_VARIABLE = "BYTEMLPERF_PART"
PART_COUNT_VARIABLE = "BYTEMLPERF_PARTS"
# By which runtimes are told the devices they may see; a comma list in each.
DEVICE_VARIABLES = (
    "ASCEND_RT_VISIBLE_DEVICES",
    "CUDA_VISIBLE_DEVICES",
    "HABANA_VISIBLE_MODULES",
    "HIP_VISIBLE_DEVICES",
    "MLU_VISIBLE_DEVICES",
    "ROCR_VISIBLE_DEVICES",
    "ZE_AFFINITY_MASK",
)


class Core(msgspec.Struct, frozen=True, order=True):
    """A logical core; cores sort so that neighbours share what they can.

    Parameters
    ----------
    node : int
        Memory (NUMA) node.
    physical : int
        The lowest logical core of the same physical core.
    number : int
        The kernel's.
    """

    node: int
    physical: int
    number: int


class Placement(msgspec.Struct, frozen=True):
    """Where one part runs.

    Parameters
    ----------
    cores : tuple of int
        The only ones it may use; empty: any.
    nodes : tuple of int
        Memory nodes of these cores.
    devices : dict of str to str
        Variables of `DEVICE_VARIABLES` and the part's own share.
    """

    cores: tuple[int, ...] = ()
    nodes: tuple[int, ...] = ()
    devices: dict[str, str] = {}


def read_cores(numbers: Sequence[int], system: Path = SYSTEM) -> list[Core]:
    """Ask the kernel where cores are.

    Parameters
    ----------
    numbers : sequence of int
        Logical cores.
    system : Path
        Where the kernel's files are. What cannot be read there is taken for one node
        without hyper-threads.

    Returns
    -------
    list of Core
        Sorted.
    """
    node_of: dict[int, int] = {}
    for path in system.glob("node/node[0-9]*/cpulist"):
        node = int(path.parent.name.removeprefix("node"))
        node_of |= dict.fromkeys(parse_cpu_list(_read(path)), node)
    cores = []
    for number in numbers:
        folder = system / "cpu" / f"cpu{number}" / "topology"
        siblings = parse_cpu_list(_read(folder / "thread_siblings_list"))
        physical = min([number, *siblings])
        cores.append(Core(node_of.get(number, 0), physical, number))
    return sorted(cores)


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        # Not told in a container without /sys, and not needed there.
        return ""


def share_out(total: int, parts: int) -> list[int]:
    """Share a count out as evenly as whole numbers allow.

    Parameters
    ----------
    total, parts : int
        ``total >= 0``, ``parts >= 1``.

    Returns
    -------
    list of int
        One share for each part, the larger ones first; they sum to `total`.
    """
    share, rest = divmod(total, parts)
    return [share + (part < rest) for part in range(parts)]


def share_cores(cores: Sequence[Core], parts: int) -> list[tuple[Core, ...]]:
    """Share cores out, or not at all if there are too few.

    Parameters
    ----------
    cores : sequence of Core
        That may be used, sorted.
    parts : int
        Processes, >= 1.

    Returns
    -------
    list of tuple of Core
        Of each part. No part's cores are of two nodes if there are at least as many
        parts as nodes, and no two parts share a physical core if there are enough of
        them. All empty if there are fewer cores than parts.
    """
    if len(cores) < parts:
        return [()] * parts
    nodes = sorted({core.node for core in cores})
    if len(nodes) == 1 or parts < len(nodes):
        return _split(cores, parts)
    shares: list[tuple[Core, ...]] = []
    for node, count in zip(nodes, _parts_by_node(cores, nodes, parts), strict=True):
        shares += _split([core for core in cores if core.node == node], count)
    return shares


def _parts_by_node(
    cores: Sequence[Core], nodes: Sequence[int], parts: int
) -> list[int]:
    """Give every node one part, and the rest where most cores a part are left."""
    sizes = [sum(core.node == node for core in cores) for node in nodes]
    counts = [1] * len(nodes)
    for _ in range(parts - len(nodes)):
        roomiest = max(
            range(len(nodes)), key=lambda index: sizes[index] / (counts[index] + 1)
        )
        counts[roomiest] += 1
    return counts


def _split(cores: Sequence[Core], parts: int) -> list[tuple[Core, ...]]:
    """Cut sorted cores into runs, between physical cores if there are enough."""
    whole: dict[int, list[Core]] = {}
    for core in cores:
        whole.setdefault(core.physical, []).append(core)
    units = list(whole.values())
    if len(units) < parts:
        units = [[core] for core in cores]
    shares, start = [], 0
    for count in share_out(len(units), parts):
        run = units[start : start + count]
        shares.append(tuple(core for unit in run for core in unit))
        start += count
    return shares


def share_devices(variables: Mapping[str, str], parts: int) -> list[dict[str, str]]:
    """Share the devices out that a user has made visible.

    Parameters
    ----------
    variables : mapping of str to str
        Such as ``os.environ``.
    parts : int
        Processes, >= 1.

    Returns
    -------
    list of dict
        For each part, what it sees: neighbouring devices of its own, or one in turn if
        there are fewer devices than parts. A variable that is not set is in none.
    """
    shares: list[dict[str, str]] = [{} for _ in range(parts)]
    for name in DEVICE_VARIABLES:
        devices = [each for each in variables.get(name, "").split(",") if each.strip()]
        if not devices:
            continue
        start = 0
        for part, count in enumerate(share_out(len(devices), parts)):
            held = devices[start : start + count] or [devices[part % len(devices)]]
            shares[part][name] = ",".join(held)
            start += count
    return shares


def place_parts(parts: int) -> list[Placement]:
    """Place parts on what this process may use.

    Parameters
    ----------
    parts : int
        Processes, >= 1.

    Returns
    -------
    list of Placement
        One for each.
    """
    cores = read_cores(sorted(os.sched_getaffinity(0)))
    return [
        Placement(
            cores=tuple(sorted(core.number for core in held)),
            nodes=tuple(sorted({core.node for core in held})),
            devices=devices,
        )
        for held, devices in zip(
            share_cores(cores, parts), share_devices(os.environ, parts), strict=True
        )
    ]
