"""MLPerf LoadGen's logs, read: the summary, and the detail log that has the counts.

Input: a folder or one of its two files. Output: a result.
"""

from __future__ import annotations

import datetime
import re
from pathlib import Path
from typing import Any

import msgspec

from bytemlperf.errors import MALFORMED, ConfigError
from bytemlperf.report.formats.imported import NOTHING, bare_point, bare_result
from bytemlperf.report.schema import (
    AccuracyReport,
    Distribution,
    ImportedFrom,
    NumericReport,
    TaskResult,
)

__all__ = ["DETAIL", "SUMMARY", "read_loadgen"]

SUMMARY = "mlperf_log_summary.txt"
DETAIL = "mlperf_log_detail.txt"
PREFIX = ":::MLLOG "
MAX_BYTES = 64 << 20
# What the summary calls what the detail log has a key for.
SUMMARY_KEYS = {
    "SUT name": "sut_name",
    "Scenario": "effective_scenario",
    "Mode": "effective_test_mode",
    "Result is": "result_validity",
    "QPS w/ loadgen overhead": "result_qps_with_loadgen_overhead",
    "Completed samples per second": "result_completed_samples_per_sec",
    "Samples per second": "result_samples_per_second",
    "Min latency (ns)": "result_min_latency_ns",
    "Max latency (ns)": "result_max_latency_ns",
    "Mean latency (ns)": "result_mean_latency_ns",
    "samples_per_query": "effective_samples_per_query",
    "Min duration satisfied": "result_min_duration_met",
    "Min queries satisfied": "result_min_queries_met",
    "Early stopping satisfied": "early_stopping_met",
    "Performance constraints satisfied": "result_perf_constraints_met",
}
PERCENTILE = re.compile(r"(\d+\.\d+) percentile latency \(ns\)")
CONDITIONS = {
    "result_min_duration_met": "the minimum duration was not reached",
    "result_min_queries_met": "the minimum number of queries was not reached",
    "early_stopping_met": "early stopping was not satisfied: too few queries",
    "result_perf_constraints_met": "the latency bound was not kept",
}
POWER_FORMAT = "%m-%d-%Y %H:%M:%S.%f"


def read_loadgen(path: Path) -> TaskResult:
    """Read what LoadGen wrote about one test.

    Parameters
    ----------
    path : Path
        Its output folder, its summary or its detail log; the other one is read too if
        it lies beside.

    Returns
    -------
    TaskResult
        With one point; `imported_from` says what LoadGen's figures are. Without the
        detail log there is no number of queries, and so no percentile is shown.

    Raises
    ------
    ConfigError
        There is no such file, it is none of LoadGen's, or it is of an accuracy run.
    """
    folder = path if path.is_dir() else path.parent
    if not (folder / SUMMARY).exists() and not (folder / DETAIL).exists():
        raise ConfigError(f"{folder}: expected {SUMMARY} or {DETAIL}")
    values: dict[str, Any] = {}
    if (folder / SUMMARY).exists():
        values |= _read_summary(folder / SUMMARY)
    if (folder / DETAIL).exists():
        values |= _read_detail(folder / DETAIL)
    scenario = values.get("effective_scenario")
    if not scenario or "result_validity" not in values:
        raise ConfigError(
            f"{folder}: the test has no result; expected a scenario and a validity",
            hint="a run that was cut off, or of accuracy only, has none",
        )
    size = int(_number(folder, values, "effective_samples_per_query") or 1)
    queries = int(_number(folder, values, "result_query_count") or 0)
    rate, window_ns = _rate(folder, values, size, queries)
    # Offline is one query of many samples; its latencies are the samples'.
    count = queries * size if scenario == "Offline" else queries
    first = "measured by MLPerf LoadGen; latency counts from the scheduled issue"
    notes = [f"{first}; scenario {scenario}"]
    if not count:
        notes.append(f"{DETAIL} is not there: no number of queries, so no percentiles")
    if scenario == "MultiStream":
        notes.append("samples/s is queries over the time from power_begin to power_end")
    version = values.get("loadgen_version")
    point = bare_point(
        batch_size=size,
        clients={"SingleStream": 1, "MultiStream": 1}.get(str(scenario), 0),
        samples_per_s=rate,
        latency=_latency(folder, values, count, per_query=scenario == "MultiStream"),
        query_count=queries,
        window_ns=window_ns,
        invalid_reasons=_reasons(values),
    )
    return bare_result(
        task=f"{values.get('sut_name') or folder.name} {scenario}",
        hardware_type="LoadGen",
        backend_version=f"LoadGen {version}" if version else None,
        points=[point],
        accuracy=AccuracyReport("unavailable", reason="LoadGen scores elsewhere"),
        numeric=NumericReport("unavailable", reason="LoadGen compares no outputs"),
        published={
            key: value
            for key, value in values.items()
            if key.startswith(("result", "early", "effective"))
        },
        imported_from=ImportedFrom(
            "MLPerf LoadGen",
            str(version) if version else None,
            DETAIL if (folder / DETAIL).exists() else SUMMARY,
            notes,
        ),
    )


def _rate(
    folder: Path, values: dict[str, Any], size: int, queries: int
) -> tuple[float, int]:
    """Return samples per second and the window that they were counted over, if told."""
    per_query = _number(folder, values, "result_qps_with_loadgen_overhead")
    rate = (
        per_query * size
        if per_query is not None
        else _number(folder, values, "result_completed_samples_per_sec")
        or _number(folder, values, "result_samples_per_second")
    )
    if rate is not None:
        return rate, round(queries * size / rate * 1e9) if rate else 0
    try:
        begin, end = (
            datetime.datetime.strptime(str(values[key]), POWER_FORMAT)
            for key in ("power_begin", "power_end")
        )
    except (KeyError, ValueError) as error:
        raise ConfigError(
            f"{folder}: expected a throughput, or the times power_begin and power_end"
        ) from error
    seconds = (end - begin).total_seconds()
    return (queries * size / seconds, round(seconds * 1e9)) if seconds > 0 else (0.0, 0)


def _latency(
    folder: Path, values: dict[str, Any], count: int, *, per_query: bool
) -> Distribution:
    if not count:
        return NOTHING
    what = "query_latency" if per_query else "latency"
    percentile = "percentile_per_query_latency" if per_query else "percentile_latency"

    def number(key: str) -> float:
        value = _number(folder, values, key)
        if value is None:
            raise ConfigError(f"{folder}: {key} is missing")
        return value

    return Distribution(
        count=count,
        min_ns=int(number(f"result_min_{what}_ns")),
        max_ns=int(number(f"result_max_{what}_ns")),
        mean_ns=number(f"result_mean_{what}_ns"),
        p50_ns=int(number(f"result_50.00_{percentile}_ns")),
        p90_ns=int(number(f"result_90.00_{percentile}_ns")),
        p99_ns=int(number(f"result_99.00_{percentile}_ns")),
        p999_ns=int(number(f"result_99.90_{percentile}_ns")),
        overflow_count=0,
        hdr_v2_base64="",
    )


def _reasons(values: dict[str, Any]) -> list[str]:
    """Return why LoadGen calls it invalid."""
    if values["result_validity"] == "VALID":
        return []
    reasons = [
        f"LoadGen: {reason}"
        for key, reason in CONDITIONS.items()
        if values.get(key) is False
    ]
    return reasons or ["LoadGen says INVALID"]


def _read_summary(path: Path) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for line in _text(path).splitlines():
        name, colon, text = line.partition(":")
        name, text = name.strip(), text.strip()
        if not colon or not text:
            continue
        if match := PERCENTILE.fullmatch(name):
            values[f"result_{match[1]}_percentile_latency_ns"] = _value(text)
        elif (key := SUMMARY_KEYS.get(name)) is not None:
            values[key] = {"yes": True, "no": False}.get(text.lower(), _value(text))
    return values


def _read_detail(path: Path) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for number, line in enumerate(_text(path).splitlines(), start=1):
        if not line.startswith(PREFIX):
            continue
        try:
            entry = msgspec.json.decode(line[len(PREFIX) :])
        except MALFORMED as error:
            raise ConfigError(f"{path}:{number}: expected JSON: {error}") from error
        if isinstance(entry, dict) and isinstance(entry.get("key"), str):
            values[entry["key"]] = entry.get("value")
    return values


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ConfigError(f"{path} is larger than {MAX_BYTES} bytes")
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error


def _value(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _number(folder: Path, values: dict[str, Any], key: str) -> float | None:
    value = values.get(key)
    if value is None or (
        isinstance(value, int | float) and not isinstance(value, bool)
    ):
        return value
    raise ConfigError(f"{folder}: {key}: expected a number, got {value!r}")
