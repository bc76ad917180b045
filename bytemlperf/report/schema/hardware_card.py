"""What a device could do at most, by its data sheet."""

from __future__ import annotations

import msgspec

__all__ = ["HardwareCard"]


class HardwareCard(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The peak figures of one device.

    Parameters
    ----------
    sku : str
        Its name, unique.
    vendor : str
        Who sells it.
    peak_ops_per_s : dict of str to float
        Dense operations per second by precision (``"fp32"``, ``"fp16"``, ``"bf16"``,
        ``"int8"``, ...); a multiplication and an addition are two. Without sparsity.
    source : str
        Where the figures are from, or how they were derived.
    memory_bytes : int or None
        Of the device.
    memory_bandwidth_bytes_per_s : float or None
        Peak, to its own memory.
    tdp_watts : float or None
        Board or package power.
    form : str or None
        Such as ``"PCIe"``.
    """

    sku: str
    vendor: str
    peak_ops_per_s: dict[str, float]
    source: str
    memory_bytes: int | None = None
    memory_bandwidth_bytes_per_s: float | None = None
    tdp_watts: float | None = None
    form: str | None = None
