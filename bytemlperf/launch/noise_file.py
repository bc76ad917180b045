"""What a host's own noise does to a measurement, kept in the cache folder.

Input: what A/A runs said. Output: the noise of this machine, by metric. It is keyed by
the processor and the cores, so that a moved cache says nothing about another machine.
"""

from __future__ import annotations

import hashlib
import platform
from pathlib import Path

import msgspec

from bytemlperf.engine.host import describe_host
from bytemlperf.errors import MALFORMED, ConfigError
from bytemlperf.report.storage import make_folder, write_json_atomic

__all__ = ["HostNoise", "host_key", "read_noise", "write_noise"]

NOISE_VERSION = 1


class HostNoise(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The noise between runs of one thing on one machine.

    Parameters
    ----------
    noise_version : int
        Of this format.
    host_key : str
        Of the machine.
    cpu_model : str
        For people.
    measured_at_utc : str
        ISO 8601.
    task, hardware_type : str
        What was measured again and again.
    run_count : int
        Runs.
    run_noise : dict of str to float
        Metric to the standard deviation of its logarithm between runs, beyond what the
        noise within runs explains.
    detectable : dict of str to float
        Metric to the smallest share that one run a side tells from noise: at the 5 %
        level in 80 of 100 cases.
    """

    noise_version: int
    host_key: str
    cpu_model: str
    measured_at_utc: str
    task: str
    hardware_type: str
    run_count: int
    run_noise: dict[str, float]
    detectable: dict[str, float]


def host_key() -> str:
    """Name this machine by its processor, its cores and its name."""
    host = describe_host()
    facts = (
        f"{host.cpu_model}|{host.usable_cores}|{host.memory_bytes}|{platform.node()}"
    )
    return hashlib.sha256(facts.encode()).hexdigest()[:16]


def read_noise(cache_dir: Path) -> HostNoise | None:
    """Read this host's noise.

    Parameters
    ----------
    cache_dir : Path
        The cache folder.

    Returns
    -------
    HostNoise or None
        None if it was never measured.

    Raises
    ------
    ConfigError
        The file is damaged, or of another version.
    """
    path = _path(cache_dir)
    try:
        body = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
    try:
        noise = msgspec.json.decode(body, type=HostNoise)
    except MALFORMED as error:
        raise ConfigError(
            f"{path}: {error}", hint="measure it again: system show --calibrate"
        ) from error
    if noise.noise_version != NOISE_VERSION:
        raise ConfigError(
            f"{path}: $.noise_version: expected {NOISE_VERSION}, got "
            f"{noise.noise_version}",
            hint="measure it again: system show --calibrate",
        )
    return noise


def write_noise(cache_dir: Path, noise: HostNoise) -> Path:
    """Keep this host's noise.

    Parameters
    ----------
    cache_dir : Path
        The cache folder.
    noise : HostNoise
        As measured.

    Returns
    -------
    Path
        Where it is.

    Raises
    ------
    StorageError
        It cannot be written.
    """
    path = _path(cache_dir)
    make_folder(path.parent)
    write_json_atomic(path, noise)
    return path


def _path(cache_dir: Path) -> Path:
    return cache_dir / "hosts" / f"{host_key()}.json"
