"""Where and how a run was made: all that is needed to repeat it."""

from __future__ import annotations

from typing import Any

import msgspec

from bytemlperf.report.schema.hardware_card import HardwareCard

__all__ = ["Host", "Provenance"]


class Host(msgspec.Struct, frozen=True):
    """The machine, as the worker saw it."""

    cpu_model: str
    architecture: str
    logical_cores: int
    usable_cores: float
    affinity: list[int]
    memory_bytes: int
    kernel: str
    os: str
    governor: str | None
    load_average_1min: float
    in_container: bool
    hypervisor: str | None


class Provenance(msgspec.Struct, frozen=True):
    """All that is needed to repeat the run."""

    bytemlperf_version: str
    source_commit: str | None
    python_version: str
    packages: dict[str, str]
    command_line: list[str]
    started_at_utc: str
    finished_at_utc: str
    host: Host
    workload_sha256: str
    model_json_sha256: str
    seed: int
    environment: dict[str, str]
    environment_kind: str
    random_generator: str
    interact_info: dict[str, Any] = {}
    hardware_card: HardwareCard | None = None
