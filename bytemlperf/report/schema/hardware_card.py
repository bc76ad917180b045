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
    source_url : str or None
        The vendor's page that the figures were compared with.
    checked_on : str or None
        The day of that, such as ``"2026-11-24"``; None: nobody has, and what is derived
        from them is called unverified.
    unverified : tuple of str
        Fields that the page does not confirm.
    """

    sku: str
    vendor: str
    peak_ops_per_s: dict[str, float]
    source: str
    memory_bytes: int | None = None
    memory_bandwidth_bytes_per_s: float | None = None
    tdp_watts: float | None = None
    form: str | None = None
    source_url: str | None = None
    checked_on: str | None = None
    unverified: tuple[str, ...] = ()

    @property
    def has_verified_peaks(self) -> bool:
        """Whether the peaks were compared with what the vendor says."""
        return self.checked_on is not None and "peak_ops_per_s" not in self.unverified
