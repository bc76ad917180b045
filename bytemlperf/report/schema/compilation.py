"""How a model was compiled."""

from __future__ import annotations

from typing import Any

import msgspec

__all__ = ["CompileReport"]


class CompileReport(msgspec.Struct, frozen=True):
    """How the model was compiled; `result` is what the backend returned."""

    status: str
    precision: str
    sg_percent: float
    duration_ns: int
    load_ns: int
    first_predict_ns: int
    peak_rss_bytes: int
    pre_optimized: bool
    tuned: bool
    segment_count: int
    fallback_count: int
    instance_count: int
    device_count: int
    max_batch_size: int
    optimizations: dict[str, Any]
    result: dict[str, Any]
