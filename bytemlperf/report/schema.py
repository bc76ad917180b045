"""The result of a task: raw numbers with units in their names, and their origin.

Input: nothing. Output: msgspec structs that are the JSON on disk, versioned.
Every duration is an int in nanoseconds unless the name says otherwise; every field is
defined in docs/measurement.md. Formatting happens elsewhere, at the very edge.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

__all__ = [
    "SCHEMA_VERSION",
    "AccuracyReport",
    "CompileReport",
    "DatasetReport",
    "Distribution",
    "Failure",
    "Host",
    "InvocationIndex",
    "ModelReport",
    "NumericOutput",
    "NumericReport",
    "Point",
    "Provenance",
    "SeriesSecond",
    "SkippedPoint",
    "TaskEntry",
    "TaskResult",
    "WarmUpReport",
    "WorstSample",
]

SCHEMA_VERSION = 1

Status = Literal["ok", "invalid", "failed", "interrupted"]


class Distribution(msgspec.Struct, frozen=True):
    """A measured distribution of durations.

    Parameters
    ----------
    count : int
        Recorded values.
    min_ns, max_ns : int
        Extremes, 0 if `count` is 0.
    mean_ns : float
        Arithmetic mean.
    p50_ns, p90_ns, p99_ns, p999_ns : int
        Percentiles, resolved to 3 significant digits.
    overflow_count : int
        Values beyond 1 h, recorded as 1 h.
    hdr_v2_base64 : str
        The whole HdrHistogram, V2 encoding, zlib and base64; unit ns.
    """

    count: int
    min_ns: int
    max_ns: int
    mean_ns: float
    p50_ns: int
    p90_ns: int
    p99_ns: int
    p999_ns: int
    overflow_count: int
    hdr_v2_base64: str


class SeriesSecond(msgspec.Struct, frozen=True):
    """What was done in one second of the measured window."""

    second: int
    sample_count: int
    p50_ns: int
    p99_ns: int
    max_ns: int


class WarmUpReport(msgspec.Struct, frozen=True):
    """Queries before the measured window, kept and flagged."""

    query_count: int
    duration_ns: int
    settled: bool
    service: Distribution


class Point(msgspec.Struct, frozen=True):
    """One measured point: one batch size under one load.

    Parameters
    ----------
    batch_size : int
        Samples per query, as the workload says.
    clients, iterations : int
        Client coroutines, and queries asked of each.
    point_seconds : float or None
        Time limit of the window; None: there was none.
    max_batch, max_delay_us, predict_threads : int
        Dynamic batching and threads of the system under test.
    query_count, sample_count, failed_count : int
        Completed queries and samples; queries that failed.
    ended_by : str
        ``"iterations"``, ``"point_seconds"`` or ``"failed"``.
    window_ns : int
        First scheduled to last done.
    throughput_samples_per_s, throughput_queries_per_s : float
        Completed samples and queries over `window_ns`.
    latency, schedule_lag, queue_wait, gather, service, wakeup : Distribution
        Per query; ``latency = schedule_lag + queue_wait + gather + service``.
    mean_batch_samples : float
        Samples per `predict`.
    batch_sample_counts : dict of str to int
        Batches by their size in samples.
    view_count, gather_count : int
        Batches passed as views of the loaded samples, and batches copied together.
    peak_queued : int
        Most queries waiting at once.
    cpu_percent : float
        CPU time of the worker over the window; 100 is one core.
    peak_rss_bytes : int
        Highest resident memory of the worker up to the point's end.
    load_ns, loaded_batch_size : int
        Duration of `Backend.load`, and what the backend says it loaded.
    event_loop : str
        ``"uvloop"`` or ``"asyncio"``.
    warm_up : WarmUpReport
        What came before the window.
    series : list of SeriesSecond
        One entry a second.
    invalid_reasons : list of str
        Why this is not a valid measurement; empty means VALID.
    warnings : list of str
        What a reader should know although the point is valid.
    errors : list of str
        First errors of failed queries.
    timeline_file : str or None
        File of all rows, if kept.
    """

    batch_size: int
    clients: int
    iterations: int
    point_seconds: float | None
    max_batch: int
    max_delay_us: int
    predict_threads: int
    query_count: int
    sample_count: int
    failed_count: int
    ended_by: str
    window_ns: int
    throughput_samples_per_s: float
    throughput_queries_per_s: float
    latency: Distribution
    schedule_lag: Distribution
    queue_wait: Distribution
    gather: Distribution
    service: Distribution
    wakeup: Distribution
    mean_batch_samples: float
    batch_sample_counts: dict[str, int]
    view_count: int
    gather_count: int
    peak_queued: int
    cpu_percent: float
    peak_rss_bytes: int
    voluntary_switches: int
    involuntary_switches: int
    load_ns: int
    loaded_batch_size: int
    event_loop: str
    warm_up: WarmUpReport
    series: list[SeriesSecond] = []
    invalid_reasons: list[str] = []
    warnings: list[str] = []
    errors: list[str] = []
    timeline_file: str | None = None


class SkippedPoint(msgspec.Struct, frozen=True):
    """A batch size that was not measured, and why."""

    batch_size: int
    reason: str
    predicted_batch_ns: int | None = None


class Failure(msgspec.Struct, frozen=True):
    """Something that did not work, with all that is known of the cause.

    Parameters
    ----------
    phase : str
        What was being done, such as ``"compile"`` or ``"perf"``.
    kind : str
        The error's class, or ``"killed"``, ``"hang"``, ``"exited"``.
    message : str
        The sentence for a person.
    batch_size : int or None
        Batch size of the point in flight.
    detail : str or None
        Traceback or cause.
    log_tail : str or None
        Last lines of the worker's log.
    """

    phase: str
    kind: str
    message: str
    batch_size: int | None = None
    detail: str | None = None
    log_tail: str | None = None


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


class AccuracyReport(msgspec.Struct, frozen=True):
    """Quality against labels.

    `status` is ``"scored"``, or ``"not_meaningful"`` and ``"unavailable"`` with a
    `reason` and no value: a number that means nothing is not printed.

    Parameters
    ----------
    values : dict of str to float
        Figures by name, shares in [0, 1], the main one first.
    interval_95 : dict of str to (low, high)
        95 % confidence interval of each.
    n, unit : int, str
        The denominator, and what was counted.
    sample_count, incomplete_count, nonfinite_count : int
        Samples answered; units left out because a part of them was not run; samples
        with NaN or infinity, scored as wrong.
    data_percent : float
        Share of the dataset that was asked for.
    subset : str
        What was run of which data.
    """

    status: Literal["scored", "not_meaningful", "unavailable"]
    reason: str | None = None
    metric: str | None = None
    values: dict[str, float] = {}
    interval_95: dict[str, tuple[float, float]] = {}
    n: int = 0
    unit: str | None = None
    sample_count: int = 0
    incomplete_count: int = 0
    nonfinite_count: int = 0
    data_percent: float = 100.0
    subset: str | None = None


class NumericOutput(msgspec.Struct, frozen=True):
    """Differences of one output (or of all, name ``"*"``) from the reference.

    Over the elements that are finite on both sides; a figure is None where there are
    none, or where it is not defined. Formulas: docs/measurement.md.
    """

    name: str
    element_count: int
    compared_count: int
    reference_nonfinite_count: int
    actual_nonfinite_count: int
    agreeing_nonfinite_count: int
    mean_diff: float | None
    std_diff: float | None
    max_diff: float | None
    max_rel_diff: float | None
    mean_rel_diff: float | None
    p50_diff: float | None
    p90_diff: float | None
    p99_diff: float | None
    p999_diff: float | None
    cosine_similarity: float | None
    snr_db: float | None


class WorstSample(msgspec.Struct, frozen=True):
    """A sample whose outputs differ most."""

    sample_id: int
    max_diff: float
    disagreeing_nonfinite_count: int


class NumericReport(msgspec.Struct, frozen=True):
    """Fidelity of the outputs to the reference.

    `status` is ``"compared"``, or ``"unavailable"`` with a `reason`.
    """

    status: Literal["compared", "unavailable"]
    reason: str | None = None
    reference: str | None = None
    sample_count: int = 0
    overall: NumericOutput | None = None
    outputs: list[NumericOutput] = []
    worst_samples: list[WorstSample] = []


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


class TaskResult(msgspec.Struct, frozen=True):
    """Everything measured for one task on one hardware type."""

    schema_version: int
    task: str
    hardware_type: str
    backend_version: str | None
    status: Status
    workload: dict[str, Any]
    model: ModelReport | None
    dataset: DatasetReport | None
    compile: CompileReport | None
    accuracy: AccuracyReport | None
    numeric: NumericReport | None
    points: list[Point]
    skipped: list[SkippedPoint]
    failures: list[Failure]
    warnings: list[str]
    vendor_benchmark: dict[str, Any] | None
    provenance: Provenance | None
    log_file: str | None
    duration_seconds: float


class TaskEntry(msgspec.Struct, frozen=True):
    """One line of an invocation's index."""

    task: str
    hardware_type: str
    status: Status
    result_file: str | None
    point_count: int
    skipped_count: int
    failure_count: int
    duration_seconds: float


class InvocationIndex(msgspec.Struct, frozen=True):
    """What one command did: its tasks and where their results are."""

    schema_version: int
    invocation_id: str
    command_line: list[str]
    started_at_utc: str
    finished_at_utc: str
    status: Status
    exit_code: int
    tasks: list[TaskEntry]
