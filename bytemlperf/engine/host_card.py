"""The hardware card of this machine's processor, from what it says of itself.

Input: /proc and /sys. Output: a `HardwareCard`. Peaks are cores x frequency x
operations per cycle of the widest instructions; no card where one of them is unknown.
"""

from __future__ import annotations

import platform

import psutil

from bytemlperf.engine.host import cpu_flags, cpu_model, usable_cores
from bytemlperf.report.schema import HardwareCard

__all__ = ["host_card", "ops_per_cycle"]

# Operations a cycle and core; a fused multiply-add is two. Two vector units of full
# width are assumed, as in server parts of the last ten years; a part with one has half.
# Sources: the vendors' optimization manuals.
AMX = {"bf16": 1024.0, "int8": 2048.0}


def ops_per_cycle(flags: set[str], machine: str) -> dict[str, float]:
    """Return operations per cycle and core, by precision.

    Parameters
    ----------
    flags : set of str
        Of /proc/cpuinfo.
    machine : str
        As ``platform.machine()``.

    Returns
    -------
    dict of str to float
        Empty for a processor that is not known.
    """
    if machine == "aarch64":
        # Two 128-bit units, fused: every server core since 2019 has at least these.
        found = {"fp64": 8.0, "fp32": 16.0}
        return found | ({"fp16": 32.0} if "asimdhp" in flags else {})
    if machine != "x86_64":
        return {}
    if "avx512f" in flags:
        found = {"fp64": 32.0, "fp32": 64.0}
        found |= {"bf16": 128.0} if "avx512_bf16" in flags else {}
        found |= {"fp16": 128.0} if "avx512_fp16" in flags else {}
        found |= {"int8": 256.0} if "avx512_vnni" in flags else {}
    elif {"avx2", "fma"} <= flags:
        found = {"fp64": 16.0, "fp32": 32.0}
        found |= {"int8": 128.0} if "avx_vnni" in flags else {}
    elif "avx" in flags:
        found = {"fp64": 8.0, "fp32": 16.0}
    else:
        found = {"fp64": 4.0, "fp32": 8.0}
    for kind, ops in AMX.items():
        if f"amx_{kind}" in flags:
            found[kind] = ops
    return found


def host_card() -> HardwareCard | None:
    """Describe the processor this process may use.

    Returns
    -------
    HardwareCard or None
        None if its frequency or kind is not known.
    """
    frequency = psutil.cpu_freq()
    per_cycle = ops_per_cycle(cpu_flags(), platform.machine())
    # The highest it may run at; a virtual machine often tells one figure only.
    mhz = (frequency.max or frequency.current) if frequency else 0.0
    if not mhz or not per_cycle:
        return None
    logical = psutil.cpu_count(logical=True) or 1
    physical = psutil.cpu_count(logical=False) or logical
    cores = usable_cores() * physical / logical
    return HardwareCard(
        sku="host",
        vendor=cpu_model(),
        peak_ops_per_s={
            kind: ops * cores * mhz * 1e6 for kind, ops in per_cycle.items()
        },
        source=(
            f"{cores:g} cores x {mhz / 1000:.3g} GHz x operations per cycle of the "
            "widest instructions, two units of full width assumed"
        ),
        memory_bytes=psutil.virtual_memory().total,
    )
