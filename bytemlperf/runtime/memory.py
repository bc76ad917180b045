"""How much memory a run may take, asked before it takes it.

It reads what the machine and its control group allow; it refuses to guess afterwards.
"""

from __future__ import annotations

from pathlib import Path

import psutil

from bytemlperf.errors import ConfigError

__all__ = ["available_bytes", "check_memory"]

_CGROUP = Path("/sys/fs/cgroup")
# The rest is for samples, models and whatever else this process does.
_MAX_SHARE = 0.5


def available_bytes() -> int:
    """Tell how much memory this process could still take.

    Returns
    -------
    int
        Bytes: the machine's, or its control group's if that allows less.
    """
    available = int(psutil.virtual_memory().available)
    try:
        limit = (_CGROUP / "memory.max").read_text().strip()
        used = int((_CGROUP / "memory.current").read_text())
    except (OSError, ValueError):
        return available
    if limit == "max":
        return available
    return min(available, max(0, int(limit) - used))


def check_memory(needed_bytes: int, what: str, *, hint: str) -> None:
    """Refuse what would take more than half of the memory there is.

    Parameters
    ----------
    needed_bytes : int
        What it would take.
    what : str
        Named in the error.
    hint : str
        What to do instead.

    Raises
    ------
    ConfigError
        It does not fit.
    """
    allowed = int(available_bytes() * _MAX_SHARE)
    if needed_bytes > allowed:
        raise ConfigError(
            f"{what} would take about {needed_bytes / 2**30:,.1f} GiB, but at most "
            f"half of the memory available may be used: {allowed / 2**30:,.1f} GiB",
            hint=hint,
        )
