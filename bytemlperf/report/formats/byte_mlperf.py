"""ByteMLPerf's result files: its exact keys, written and read.

Input: a result, or such a file. Output: such a dictionary, or a result. Facts about the
keys and what stood behind them: docs/results.md.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from bytemlperf.errors import MALFORMED, ConfigError
from bytemlperf.report.formats.imported import bare_point, bare_result
from bytemlperf.report.percentiles import min_count
from bytemlperf.report.schema import (
    AccuracyReport,
    CompileReport,
    ImportedFrom,
    NumericOutput,
    NumericReport,
    Point,
    TaskResult,
)

__all__ = ["file_name", "read_byte_mlperf", "to_byte_mlperf"]

# Our figures that it has a key for, and by what they are multiplied.
METRICS = {
    "exact_match": ("Exact Match", 100.0),
    "f1": ("F1 Score", 100.0),
    "top1": ("Top-1", 1.0),
    "accuracy": ("Top-1", 1.0),
}
NOT_METRICS = {
    "Data Percent", "Mean Diff", "Std Diff", "Max Diff", "Max Rel-Diff",
    "Mean Rel-Diff", "Diff Dist",
}  # fmt: skip
READ_METRICS = {
    "Exact Match": ("exact_match", 0.01),
    "F1 Score": ("f1", 0.01),
    "Top-1": ("top1", 1.0),
}
SCORE_DIGITS = 5
NOTES = [
    "measured by ByteMLPerf: one client with one query in flight, wall clock",
    "its QPS is batch size over rounded mean latency, not samples over a window",
    "its P99 Latency is the largest of an unknown count, so no percentile is shown",
]


def to_byte_mlperf(result: TaskResult) -> dict[str, Any]:
    """Say a result in ByteMLPerf's keys.

    Parameters
    ----------
    result : TaskResult
        Of one task.

    Returns
    -------
    dict
        To be written as JSON. Performance has valid points only, because the format has
        no word for an invalid one; a P99 that too few queries carry is null.
    """
    compiled, provenance = result.compile, result.provenance
    return {
        "Model": result.model.name if result.model else result.task,
        "Backend": result.hardware_type,
        "Host Info": provenance.host.cpu_model if provenance else "",
        "Dataset": result.dataset.name if result.dataset else "",
        "Instance Count": compiled.instance_count if compiled else 0,
        "Device Count": compiled.device_count if compiled else 0,
        "Graph Compile": _graph_compile(compiled),
        "Version": result.backend_version or "",
        "Execution Date": (
            provenance.started_at_utc[:19].replace("T", " ") if provenance else ""
        ),
        "Accuracy": _accuracy(result),
        "Performance": [
            _performance(point) for point in result.points if not point.invalid_reasons
        ],
    }


def file_name(result: TaskResult) -> str:
    """Return where ByteMLPerf's tools look for a result, in its report folder."""
    precision = result.compile.precision.lower() if result.compile else "fp32"
    return f"{result.hardware_type}/{result.task}/result-{precision}.json"


def _graph_compile(compiled: CompileReport | None) -> dict[str, Any]:
    if compiled is None:
        return {}
    return {
        "Compile Duration": round(compiled.duration_ns / 1e9, 5),
        "Compile Precision": compiled.precision.upper(),
        "Subgraph Coverage": compiled.sg_percent,
        "Optimizations": compiled.optimizations,
    }


def _accuracy(result: TaskResult) -> dict[str, Any]:
    found: dict[str, Any] = {}
    accuracy, numeric = result.accuracy, result.numeric
    if accuracy is not None:
        found["Data Percent"] = accuracy.data_percent
        for name, value in accuracy.values.items():
            key, factor = METRICS.get(name, (name, 1.0))
            found[key] = round(value * factor, SCORE_DIGITS)
    if numeric is not None and numeric.overall is not None:
        overall = numeric.overall
        found |= {
            "Mean Diff": _rounded(overall.mean_diff),
            "Std Diff": _rounded(overall.std_diff),
            "Max Diff": _rounded(overall.max_diff),
            "Max Rel-Diff": _rounded(overall.max_rel_diff),
            "Mean Rel-Diff": _rounded(overall.mean_rel_diff),
        }
    return found


def _rounded(value: float | None) -> float | None:
    # Not its five decimals, which make every small difference zero.
    return None if value is None else float(f"{value:.6g}")


def _performance(point: Point) -> dict[str, Any]:
    latency = point.latency
    carries_p99 = latency.count >= min_count(99)
    return {
        "BS": point.batch_size,
        # Its whole numbers made a slow model's rate zero.
        "QPS": round(point.throughput_samples_per_s, 2),
        "AVG Latency": round(latency.mean_ns / 1e6, 2),
        "P99 Latency": round(latency.p99_ns / 1e6, 2) if carries_p99 else None,
    }


def read_byte_mlperf(path: Path) -> TaskResult:
    """Read one of ByteMLPerf's result files.

    Parameters
    ----------
    path : Path
        A ``result-<precision>.json`` of its ``reports`` folder.

    Returns
    -------
    TaskResult
        With `imported_from`; throughput is as published, latencies have no count.

    Raises
    ------
    ConfigError
        It cannot be read, or is no such file.
    """
    try:
        raw = msgspec.json.decode(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
    except MALFORMED as error:
        raise ConfigError(f"{path}: expected JSON: {error}") from error
    if not isinstance(raw, dict) or not {"Model", "Backend"} <= raw.keys():
        raise ConfigError(
            f"{path}: expected ByteMLPerf's keys 'Model' and 'Backend'",
            hint="its files are reports/<hardware>/<model>/result-<precision>.json",
        )
    points = [_read_point(path, row) for row in raw.get("Performance") or []]
    return bare_result(
        task=str(raw["Model"]),
        hardware_type=str(raw["Backend"]),
        backend_version=str(raw["Version"]) if raw.get("Version") else None,
        points=points,
        accuracy=_read_accuracy(path, raw.get("Accuracy") or {}),
        numeric=_read_numeric(path, raw.get("Accuracy") or {}),
        published=raw,
        imported_from=ImportedFrom("ByteMLPerf", None, path.name, NOTES),
    )


def _read_point(path: Path, row: Any) -> Point:
    if not isinstance(row, dict):
        raise ConfigError(f"{path}: $.Performance: expected objects, got {row!r}")
    size = _number(path, row, "BS")
    if size is None or size < 1:
        raise ConfigError(f"{path}: $.Performance[...].BS: expected >= 1, got {size!r}")
    # One vendor's spelling has underscores.
    published = ", ".join(
        f"{name} {value:g} ms"
        for name in ("AVG Latency", "P99 Latency")
        if (value := _number(path, row, name, name.replace(" ", "_"))) is not None
    )
    return bare_point(
        batch_size=int(size),
        clients=1,
        samples_per_s=_number(path, row, "QPS") or 0.0,
        warnings=[f"as published: {published}"] if published else [],
    )


def _read_accuracy(path: Path, raw: dict[str, Any]) -> AccuracyReport:
    values = {}
    for key in raw.keys() - NOT_METRICS:
        name, factor = READ_METRICS.get(key, (key, 1.0))
        if (value := _number(path, raw, key)) is not None:
            values[name] = value * factor
    if not values:
        return AccuracyReport("unavailable", reason="the file has no score")
    return AccuracyReport(
        "scored",
        metric="ByteMLPerf",
        values=values,
        unit="features" if {"exact_match", "f1"} & values.keys() else "samples",
        data_percent=_number(path, raw, "Data Percent") or 100.0,
        subset="as published; of SQuAD it divides by features instead of questions, "
        "which understates the score",
    )


def _read_numeric(path: Path, raw: dict[str, Any]) -> NumericReport:
    def difference(key: str) -> float | None:
        return _number(path, raw, key)

    if difference("Max Diff") is None:
        return NumericReport("unavailable", reason="the file has no differences")
    overall = NumericOutput(
        name="*",
        element_count=0,
        compared_count=0,
        reference_nonfinite_count=0,
        actual_nonfinite_count=0,
        agreeing_nonfinite_count=0,
        mean_diff=difference("Mean Diff"),
        std_diff=difference("Std Diff"),
        max_diff=difference("Max Diff"),
        max_rel_diff=difference("Max Rel-Diff"),
        mean_rel_diff=difference("Mean Rel-Diff"),
        p50_diff=None,
        p90_diff=None,
        p99_diff=None,
        p999_diff=None,
        cosine_similarity=None,
        snr_db=None,
    )
    return NumericReport(
        "compared",
        reference="ByteMLPerf's CPU run, non-finite values set to zero on both sides",
        overall=overall,
    )


def _number(path: Path, raw: dict[str, Any], *keys: str) -> float | None:
    """Return the first of some keys that is there, as a number."""
    value = next((raw[key] for key in keys if raw.get(key) is not None), None)
    if value is None or (
        isinstance(value, int | float) and not isinstance(value, bool)
    ):
        return value
    raise ConfigError(f"{path}: {keys[0]!r}: expected a number, got {value!r}")
