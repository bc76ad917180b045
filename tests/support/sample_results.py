"""Results as a real run would give them, made from drawn latencies, not by hand."""

from __future__ import annotations

import random

from hdrh.histogram import HdrHistogram

from bytemlperf.report.schema import (
    SCHEMA_VERSION,
    AccuracyReport,
    CompileReport,
    DatasetReport,
    Distribution,
    Failure,
    Host,
    ModelReport,
    NumericOutput,
    NumericReport,
    Point,
    Provenance,
    SeriesSecond,
    SkippedPoint,
    TaskResult,
    WarmUpReport,
)

MAX_NS = 3_600_000_000_000


def distribution(values_ns: list[int]) -> Distribution:
    """Summarise values the way the recorder does."""
    histogram = HdrHistogram(1, MAX_NS, 3)
    for value_ns in values_ns:
        histogram.record_value(value_ns)
    percentile = histogram.get_value_at_percentile
    return Distribution(
        count=len(values_ns),
        min_ns=min(values_ns, default=0),
        max_ns=max(values_ns, default=0),
        mean_ns=sum(values_ns) / len(values_ns) if values_ns else 0.0,
        p50_ns=percentile(50),
        p90_ns=percentile(90),
        p99_ns=percentile(99),
        p999_ns=percentile(99.9),
        overflow_count=0,
        hdr_v2_base64=histogram.encode().decode(),
    )


def spread(center_ns: int, count: int, seed: int) -> list[int]:
    """Draw durations with a tail."""
    draw = random.Random(seed)
    return [
        max(1, round(center_ns * draw.lognormvariate(0, 0.12))) for _ in range(count)
    ]


def make_point(
    batch_size: int = 1,
    *,
    query_count: int = 300,
    service_ns: int = 21_300_000,
    clients: int = 3,
    seed: int = 7,
    **changes: object,
) -> Point:
    """Make a closed-loop point whose parts fit together."""
    service = spread(service_ns, query_count, seed)
    waiting = spread(service_ns * (clients - 1), query_count, seed + 1)
    gather = spread(180_000, query_count, seed + 2)
    lag = spread(21_000, query_count, seed + 3)
    latency = [sum(parts) for parts in zip(service, waiting, gather, lag, strict=True)]
    window_ns = sum(service) + sum(gather)
    fields: dict[str, object] = {
        "batch_size": batch_size,
        "clients": clients,
        "iterations": query_count // clients,
        "max_batch": batch_size,
        "max_delay_us": 0,
        "predict_threads": 1,
        "query_count": query_count,
        "sample_count": query_count * batch_size,
        "failed_count": 0,
        "ended_by": "iterations",
        "window_ns": window_ns,
        "throughput_samples_per_s": query_count * batch_size * 1e9 / window_ns,
        "throughput_queries_per_s": query_count * 1e9 / window_ns,
        "latency": distribution(latency),
        "schedule_lag": distribution(lag),
        "queue_wait": distribution(waiting),
        "gather": distribution(gather),
        "service": distribution(service),
        "wakeup": distribution(spread(64_000, query_count, seed + 4)),
        "mean_batch_samples": float(batch_size),
        "batch_sample_counts": {str(batch_size): query_count},
        "view_count": query_count,
        "gather_count": 0,
        "peak_queued": clients - 1,
        "cpu_percent": 197.3,
        "peak_rss_bytes": 1_288_490_188 + batch_size * 9_000_000,
        "voluntary_switches": query_count * 3,
        "involuntary_switches": 411,
        "load_ns": 112_000_000,
        "loaded_batch_size": batch_size,
        "event_loop": "uvloop",
        "point_seconds": 10.0,
        "warm_up": WarmUpReport(12, 12 * service_ns, True, distribution(service[:12])),
        "series": [SeriesSecond(0, batch_size * 40, *(service_ns,) * 3)],
    }
    return Point(**(fields | changes))  # type: ignore[arg-type]


def make_provenance(**changes: object) -> Provenance:
    """Make the origin of a run on a small virtual machine."""
    fields: dict[str, object] = {
        "bytemlperf_version": "0.1.0",
        "source_commit": None,
        "python_version": "3.11.9",
        "packages": {"numpy": "2.4.0", "torch": "2.13.0"},
        "command_line": ["bytemlperf", "--tasks", "resnet50-torch-fp32"],
        "started_at_utc": "2026-01-02T03:04:05+00:00",
        "finished_at_utc": "",
        "host": Host(
            cpu_model="Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz",
            architecture="x86_64",
            logical_cores=2,
            usable_cores=2.0,
            affinity=[0, 1],
            memory_bytes=25_769_803_776,
            kernel="6.18.44",
            os="Debian GNU/Linux 12",
            governor=None,
            load_average_1min=0.31,
            in_container=False,
            hypervisor="KVM",
        ),
        "workload_sha256": "1" * 64,
        "model_json_sha256": "2" * 64,
        "seed": 0,
        "environment": {},
        "environment_kind": "current",
        "random_generator": "numpy PCG64",
    }
    return Provenance(**(fields | changes))  # type: ignore[arg-type]


def make_compile(**changes: object) -> CompileReport:
    """Make the report of a compilation that passes the model through."""
    fields: dict[str, object] = {
        "status": "success",
        "precision": "FP32",
        "sg_percent": 100.0,
        "duration_ns": 1_412_000_000,
        "load_ns": 312_000_000,
        "first_predict_ns": 88_100_000,
        "peak_rss_bytes": 1_100_000_000,
        "pre_optimized": False,
        "tuned": False,
        "segment_count": 1,
        "fallback_count": 0,
        "instance_count": 1,
        "device_count": 1,
        "max_batch_size": 64,
        "optimizations": {},
        "result": {},
    }
    return CompileReport(**(fields | changes))  # type: ignore[arg-type]


def make_numeric() -> NumericReport:
    """Make a comparison that found nothing bad."""
    overall = NumericOutput(
        name="*",
        element_count=16_000,
        compared_count=16_000,
        reference_nonfinite_count=0,
        actual_nonfinite_count=0,
        agreeing_nonfinite_count=0,
        mean_diff=1.1e-6,
        std_diff=9.0e-7,
        max_diff=7.15e-6,
        max_rel_diff=3.2e-4,
        mean_rel_diff=4.1e-7,
        p50_diff=8e-7,
        p90_diff=2e-6,
        p99_diff=4e-6,
        p999_diff=6e-6,
        cosine_similarity=0.9999999,
        snr_db=118.4,
    )
    return NumericReport(
        status="compared",
        reference="float64 PyTorch, eager, the same weights (resnet50-torch-fp32)",
        sample_count=16,
        overall=overall,
        outputs=[overall],
    )


def make_result(**changes: object) -> TaskResult:
    """Make a task's result with every part filled."""
    fields: dict[str, object] = {
        "schema_version": SCHEMA_VERSION,
        "task": "resnet50-torch-fp32",
        "hardware_type": "CPU",
        "backend_version": "torch 2.13.0+cpu",
        "status": "failed",
        "workload": {
            "model": "resnet50-torch-fp32",
            "batch_sizes": [1, 8, 32, 64, 128],
        },
        "model": ModelReport(
            name="resnet50-torch-fp32",
            framework="Pytorch",
            format="pt",
            precision="FP32",
            weights="seeded",
            weights_source="seed 0",
            sha256="a" * 64,
            artefact_bytes=102_540_417,
            parameter_count=25_557_032,
        ),
        "dataset": DatasetReport(
            name="open_imagenet",
            origin="real",
            reason=None,
            sample_count=200,
            subset="200 of 50000 validation images, every 250th",
            licence="ImageNet terms of access",
            sha256="b" * 64,
            seed=0,
        ),
        "compile": make_compile(),
        "accuracy": AccuracyReport(
            status="not_meaningful", reason="seeded weights", data_percent=100.0
        ),
        "numeric": make_numeric(),
        "points": [
            make_point(1, query_count=300, service_ns=21_300_000),
            make_point(8, query_count=240, service_ns=149_000_000, seed=11),
            make_point(
                32,
                query_count=30,
                service_ns=611_000_000,
                seed=12,
                ended_by="point_seconds",
                invalid_reasons=["too few samples: 30 queries, at least 64 wanted"],
                warnings=["2 predict threads x 2 intra-op threads on 2 cores"],
            ),
        ],
        "skipped": [
            SkippedPoint(
                batch_size=128,
                reason="one batch would take about 2.4 times the point's time",
                predicted_batch_ns=24_400_000_000,
            )
        ],
        "failures": [
            Failure(
                phase="perf",
                kind="killed",
                message="the worker was killed by SIGKILL, in phase 'perf' at batch "
                "size 64",
                batch_size=64,
                detail="probably out of memory: the kernel's out-of-memory killer "
                "struck on this machine meanwhile (1 times)",
                log_tail="loading batch size 64\nallocating 9.2 GB",
            )
        ],
        "warnings": ["load average was 1.8 on 2 cores when the run began"],
        "vendor_benchmark": None,
        "provenance": make_provenance(finished_at_utc="2026-01-02T03:09:11+00:00"),
        "log_file": "reports/CPU/resnet50-torch-fp32/worker.log",
        "duration_seconds": 306.2,
    }
    return TaskResult(**(fields | changes))  # type: ignore[arg-type]
