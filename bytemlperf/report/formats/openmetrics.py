"""OpenMetrics text: what Prometheus and its kin read.

Input: collected results. Output: text of the exposition format, version 1.0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bytemlperf.report.collect import Collected
from bytemlperf.report.percentiles import min_count
from bytemlperf.report.schema import Point, TaskResult

__all__ = ["to_openmetrics"]

QUANTILES = (("0.5", 50.0, "p50_ns"), ("0.9", 90.0, "p90_ns"), ("0.99", 99.0, "p99_ns"),
             ("0.999", 99.9, "p999_ns"))  # fmt: skip
GAUGES: tuple[tuple[str, str, str, Callable[[Point], float]], ...] = (
    ("bytemlperf_throughput_samples_per_second", "",
     "Completed samples over the measured window.",
     lambda point: point.throughput_samples_per_s),
    ("bytemlperf_valid", "",
     "1 if the point is a valid measurement, else 0.",
     lambda point: float(not point.invalid_reasons)),
    ("bytemlperf_peak_rss_bytes", "bytes",
     "Highest resident memory of the worker up to the point's end.",
     lambda point: float(point.peak_rss_bytes)),
    ("bytemlperf_cpu_ratio", "ratio",
     "CPU time of the worker over the window; 1 is one core.",
     lambda point: point.cpu_percent / 100),
)  # fmt: skip
LATENCY = "bytemlperf_latency_seconds"


def to_openmetrics(collected: Sequence[Collected]) -> bytes:
    """Write figures of all points.

    Parameters
    ----------
    collected : sequence of Collected
        Any results.

    Returns
    -------
    bytes
        UTF-8. A quantile that too few queries carry is left out.
    """
    points = [
        (_labels(each, index, point), point)
        for each in collected
        for index, point in enumerate(each.result.points)
    ]
    lines: list[str] = []
    for name, unit, meaning, value in GAUGES:
        lines += _head(name, "gauge", unit, meaning)
        lines += [f"{name}{{{labels}}} {value(point):.17g}" for labels, point in points]
    lines += _head(
        LATENCY, "summary", "seconds", "From planned start to answer, per query."
    )
    for labels, point in points:
        latency = point.latency
        if not latency.count:
            continue
        lines += [
            f'{LATENCY}{{{labels},quantile="{quantile}"}} '
            f"{getattr(latency, field) / 1e9:.9g}"
            for quantile, percentile, field in QUANTILES
            if latency.count >= min_count(percentile)
        ]
        lines.append(f"{LATENCY}_count{{{labels}}} {latency.count}")
        total = latency.mean_ns * latency.count / 1e9
        lines.append(f"{LATENCY}_sum{{{labels}}} {total:.9g}")
    lines += _head(
        "bytemlperf_score", "gauge", "", "Accuracy against labels, by metric."
    )
    for each in collected:
        lines += _scores(each)
    return ("\n".join([*lines, "# EOF"]) + "\n").encode("utf-8", "replace")


def _head(name: str, kind: str, unit: str, meaning: str) -> list[str]:
    lines = [f"# TYPE {name} {kind}"]
    if unit:
        lines.append(f"# UNIT {name} {unit}")
    return [*lines, f"# HELP {name} {meaning}"]


def _scores(each: Collected) -> list[str]:
    accuracy = each.result.accuracy
    if accuracy is None or accuracy.status != "scored":
        return []
    return [
        f'bytemlperf_score{{{_names(each)},metric="{_escape(name)}"}} {value:.17g}'
        for name, value in accuracy.values.items()
    ]


def _names(each: Collected) -> str:
    result: TaskResult = each.result
    names = {
        "run": each.run,
        "task": result.task,
        "hardware_type": result.hardware_type,
    }
    return ",".join(f'{name}="{_escape(value)}"' for name, value in names.items())


def _labels(each: Collected, index: int, point: Point) -> str:
    return (
        f'{_names(each)},point="{index}",batch_size="{point.batch_size}",'
        f'clients="{point.clients}"'
    )


def _escape(text: str) -> str:
    """Escape a label's value as the format says."""
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
