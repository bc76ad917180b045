"""Figures: from a result to a Vega-Lite specification, drawn the same way everywhere.

Input: result structs. Output: `Figure`. Nothing is rendered here: a page gives them to
the browser, `bytemlperf.report.pictures` to a renderer without one.
"""

from __future__ import annotations

from bytemlperf.report.figures.breakdown import batch_sizes, latency_parts
from bytemlperf.report.figures.capacity import rate_latency
from bytemlperf.report.figures.compiled import compile_times
from bytemlperf.report.figures.fidelity import differences
from bytemlperf.report.figures.figure import PALETTE, Figure
from bytemlperf.report.figures.harness import (
    offered_achieved,
    overhead_latency,
    schedule_lag,
)
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
from bytemlperf.report.figures.variants import (
    axis_curve,
    variant_latencies,
    variant_rates,
)

__all__ = [
    "PALETTE",
    "Figure",
    "NamedPoint",
    "NamedResult",
    "accuracy_speed",
    "axis_curve",
    "batch_sizes",
    "best_point",
    "best_throughput",
    "compile_times",
    "differences",
    "latency_heat",
    "latency_over_time",
    "latency_parts",
    "offered_achieved",
    "overhead_latency",
    "rate_latency",
    "rate_over_time",
    "schedule_lag",
    "spectrum",
    "throughput_latency",
    "variant_latencies",
    "variant_rates",
]
