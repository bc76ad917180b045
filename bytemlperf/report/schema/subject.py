"""What was measured: the model and its samples."""

from __future__ import annotations

from typing import Literal

import msgspec

__all__ = ["DatasetReport", "ModelReport"]


class ModelReport(msgspec.Struct, frozen=True):
    """What model was measured."""

    name: str
    framework: str
    format: str
    precision: str
    weights: Literal["seeded", "trained", "user", "none"]
    weights_source: str
    sha256: str
    artefact_bytes: int
    parameter_count: int | None
    build_seconds: float = 0.0
    ops_per_sample: float | None = None
    weights_licence: str | None = None


class DatasetReport(msgspec.Struct, frozen=True):
    """What samples were fed."""

    name: str
    origin: Literal["real", "synthetic"]
    reason: str | None
    sample_count: int
    subset: str | None
    licence: str | None
    sha256: str
    seed: int
