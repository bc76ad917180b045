"""Figures: from a result to a Vega-Lite specification, drawn the same way everywhere.

Input: result structs. Output: `Figure`. Nothing is rendered here: a page gives them to
the browser, `bytemlperf.report.pictures` to a renderer without one.
"""

from __future__ import annotations

from bytemlperf.report.figures.breakdown import batch_sizes, latency_parts
from bytemlperf.report.figures.compiled import compile_times
from bytemlperf.report.figures.fidelity import differences
from bytemlperf.report.figures.figure import PALETTE, Figure
from bytemlperf.report.figures.heat import latency_heat
from bytemlperf.report.figures.over_time import latency_over_time, rate_over_time
from bytemlperf.report.figures.overview import (
    NamedResult,
    accuracy_speed,
    best_point,
    best_throughput,
)
from bytemlperf.report.figures.spectrum import spectrum
from bytemlperf.report.figures.throughput import NamedPoint, throughput_latency

__all__ = [
    "PALETTE",
    "Figure",
    "NamedPoint",
    "NamedResult",
    "accuracy_speed",
    "batch_sizes",
    "best_point",
    "best_throughput",
    "compile_times",
    "differences",
    "latency_heat",
    "latency_over_time",
    "latency_parts",
    "rate_over_time",
    "spectrum",
    "throughput_latency",
]
