"""Measure one task on one backend, phase by phase.

Input: a `MeasureJob`. Output: events, each on disk before the next phase. A failing
accuracy, numeric or batch-size phase is reported and the rest goes on; a failing
compile ends the task.

It is long because it is the order of the phases, each of which is a module of its own:
what one leaves for the next, and what is on disk between them, is seen in one place.
"""

from __future__ import annotations

import os
import platform
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy.typing as npt

import bytemlperf
from bytemlperf.backends import Backend, create_backend, find_backend
from bytemlperf.datasets import open_arrays
from bytemlperf.engine.calibration import CalibrationData
from bytemlperf.engine.compilation import Compiled, compile_model
from bytemlperf.engine.compile_report import compile_report
from bytemlperf.engine.coverage import claim_warnings, measure_coverage
from bytemlperf.engine.emitter import Emitter
from bytemlperf.engine.feeding import output_names, resident
from bytemlperf.engine.fidelity import compare_with_reference, score_accuracy
from bytemlperf.engine.gate import start_gate
from bytemlperf.engine.host import (
    busy_host,
    describe_host,
    package_versions,
    source_commit,
)
from bytemlperf.engine.host_card import host_card
from bytemlperf.engine.loading import Loaded, load_batch_size
from bytemlperf.engine.messages import (
    AccuracyDone,
    CompileDone,
    MeasureJob,
    NumericDone,
    PointDone,
    PointFailed,
    PointSkipped,
    PreparedTask,
    TaskDescribed,
    VendorBenchmark,
    Warned,
)
from bytemlperf.engine.parts import Parts
from bytemlperf.engine.perf import measure_point
from bytemlperf.engine.perf_budget import PerfBudget, predicted_point_seconds
from bytemlperf.engine.point_load import point_seconds
from bytemlperf.engine.point_plan import PointPlan, predicted_skip
from bytemlperf.engine.recordable import printable
from bytemlperf.engine.vendor_calls import vendor_call
from bytemlperf.errors import BytemlperfError
from bytemlperf.report.schema import (
    DatasetReport,
    Failure,
    ModelReport,
    Provenance,
    SkippedPoint,
)
from bytemlperf.runtime import RNG_NAME, ArraySamples, parse_affinity
from bytemlperf.runtime.affinity import (
    allowed_cpus,
    check_affinity,
    hold_this_thread,
)
from bytemlperf.runtime.clock import utc_now
from bytemlperf.workloads import Workload

__all__ = ["measure_task"]

QUALITY_DEADLINE_SECONDS = 1800.0
VENDOR_BENCHMARK_DEADLINE_SECONDS = 1800.0
# Environment variables that move numbers, recorded when set.
RECORDED_VARIABLES = (
    "CUDA_VISIBLE_DEVICES",
    "GOMP_CPU_AFFINITY",
    "KMP_AFFINITY",
    "KMP_BLOCKTIME",
    "LD_PRELOAD",
    "MALLOC_ARENA_MAX",
    "MKL_NUM_THREADS",
    "OMP_NUM_THREADS",
    "OMP_PROC_BIND",
    "OPENBLAS_NUM_THREADS",
    "TF_ENABLE_ONEDNN_OPTS",
    "TF_NUM_INTEROP_THREADS",
    "TF_NUM_INTRAOP_THREADS",
)


def measure_task(job: MeasureJob, emitter: Emitter) -> None:
    """Measure a task.

    Parameters
    ----------
    job : MeasureJob
        What to measure, and what an earlier worker has already done.
    emitter : Emitter
        Gets every result.

    Raises
    ------
    BytemlperfError
        The task cannot be measured at all: no backend, no compile, no load.
    """
    _Measurement(job, emitter).run()


class _Measurement:
    """One task in flight: the backend, the samples and what was asked."""

    def __init__(self, job: MeasureJob, emitter: Emitter) -> None:
        self._job = job
        self._emitter = emitter
        self._workload = msgspec.convert(job.workload, Workload)
        self._prepared = job.prepared
        self._rows_per_sample = job.prepared.samples.rows_per_sample
        self._output_names = output_names(job.prepared.model_info)
        self._arrays: dict[str, npt.NDArray[Any]] = dict(
            open_arrays(job.prepared.samples)
        )
        self._affinity = parse_affinity(self._workload.affinity)
        self._cpus = allowed_cpus()

    def run(self) -> None:
        """Do every phase that is asked for and not yet done."""
        check_affinity(self._affinity, self._cpus)
        # Frameworks count the processors of the thread that loads them, and the threads
        # that they make inherit its own.
        with hold_this_thread(self._affinity.cpus_of("intra_op")):
            self._run()

    def _run(self) -> None:
        job, emitter = self._job, self._emitter
        emitter.phase("import", QUALITY_DEADLINE_SECONDS, job.hardware_type)
        path = Path(job.backend_path) if job.backend_path else None
        backend = create_backend(find_backend(job.hardware_type, path))
        version = str(vendor_call(job.hardware_type, "version", backend.version))
        if "describe" not in job.done_phases:
            with hold_this_thread(self._cpus):
                description = self._description(version)
            emitter.record(description)
            busy = busy_host(description.provenance.host)
            if busy is not None:
                emitter.record(Warned(busy))

        data = CalibrationData(
            self._arrays, self._rows_per_sample, shared=self._prepared.samples.shared
        )
        compiled = compile_model(
            backend,
            {
                "workload": job.workload,
                "model_info": job.prepared.model_info,
                "interact_info": job.interact_info,
            },
            self._workload.batch_sizes,
            data if backend.need_quant else None,
            emitter,
            sample={
                name: array[: self._rows_per_sample[name]]
                for name, array in self._arrays.items()
            },
            shared=self._prepared.samples.shared,
            on_refused=lambda refused: self._record_compiled(backend, refused, None),
        )
        self._compiled = compiled
        self._budget = PerfBudget(self._workload.perf_seconds, job.perf_seconds_spent)
        with self._budget.spending():
            first = self._load(backend, compiled.batch_sizes[0], 0)
        if "compile" not in job.done_phases:
            self._record_compiled(backend, compiled, first)
        if self._workload.compile_only:
            return
        self._judge_quality(first, compiled)
        if self._workload.test_perf:
            count = self._workload.processes
            if count == 1:
                self._measure_points(backend, compiled, first, None)
            else:
                with Parts(job, count, emitter) as parts:
                    self._measure_points(backend, compiled, first, parts)
            self._vendor_benchmark(backend, data)

    def _record_compiled(
        self, backend: Backend, compiled: Compiled, first: Loaded | None
    ) -> None:
        """Put the compilation on record, also one that cannot be run."""
        coverage = measure_coverage(backend, compiled.result, compiled.model_info)
        report = compile_report(
            compiled,
            load_ns=first.load_ns if first else 0,
            first_predict_ns=first.first_predict_ns if first else 0,
            coverage=coverage,
        )
        self._emitter.record(CompileDone(report, compiled.batch_sizes))
        for text in claim_warnings(backend.hardware_type, compiled.result, coverage):
            self._emitter.record(Warned(text))

    def _description(self, version: str) -> TaskDescribed:
        """Say what is about to be measured, on what."""
        job = self._job
        model, samples = self._prepared.model, self._prepared.samples
        return TaskDescribed(
            backend_version=version,
            model=model_report(self._prepared) if model else None,
            dataset=DatasetReport(
                name=samples.dataset,
                origin=samples.origin,
                reason=samples.reason,
                sample_count=samples.count,
                subset=samples.subset,
                licence=samples.licence,
                sha256=samples.key,
                seed=samples.seed,
            ),
            provenance=Provenance(
                bytemlperf_version=bytemlperf.__version__,
                source_commit=source_commit(Path(bytemlperf.__file__).parent),
                python_version=platform.python_version(),
                packages=package_versions(),
                command_line=list(job.command_line),
                started_at_utc=utc_now().isoformat(),
                finished_at_utc="",
                host=describe_host(),
                workload_sha256=job.workload_sha256,
                model_json_sha256=job.model_json_sha256,
                seed=job.seed,
                environment={
                    name: os.environ[name]
                    for name in RECORDED_VARIABLES
                    if name in os.environ
                },
                environment_kind=job.environment_kind,
                random_generator=RNG_NAME,
                interact_info=job.interact_info,
                hardware_card=host_card() if job.on_host else job.hardware_card,
            ),
        )

    def _load(self, backend: Backend, batch_size: int, predicted_ns: int) -> Loaded:
        """Load a batch size and predict once with real samples."""
        return load_batch_size(
            backend,
            batch_size,
            samples=self._at_least(batch_size),
            rows_per_sample=self._rows_per_sample,
            output_names=self._output_names,
            predicted_batch_ns=predicted_ns,
            emitter=self._emitter,
            predict=self._compiled.predict,
            shared=self._prepared.samples.shared,
        )

    def _at_least(self, count: int) -> Mapping[str, npt.NDArray[Any]]:
        """Return at least `count` samples, and no more than memory should hold."""
        return resident(self._arrays, self._prepared.samples.count, count)

    def _judge_quality(self, loaded: Loaded, compiled: Compiled) -> None:
        """Score accuracy and compare numerics, each unless done or not asked."""
        emitter, workload = self._emitter, self._workload
        if workload.test_accuracy:
            self._guarded(
                "accuracy",
                lambda: AccuracyDone(
                    score_accuracy(
                        loaded.predict,
                        self._arrays,
                        self._prepared,
                        workload,
                        emitter,
                    )
                ),
            )
        if workload.test_numeric:
            self._guarded(
                "numeric",
                lambda: NumericDone(
                    compare_with_reference(
                        loaded.predict,
                        self._arrays,
                        self._prepared,
                        workload,
                        compiled.result.compile_precision,
                        emitter,
                    )
                ),
            )

    def _measure_points(
        self,
        backend: Backend,
        compiled: Compiled,
        first: Loaded,
        parts: Parts | None,
    ) -> None:
        """Measure every batch size that is left."""
        job, emitter = self._job, self._emitter
        plan = PointPlan(
            clients=self._workload.clients,
            iterations=self._workload.iterations,
            point_seconds=point_seconds(self._workload, job.point_seconds),
            seed=job.seed,
            timeline_dir=job.timeline_dir,
            load=self._workload,
            percentiles=job.percentiles,
            slos=job.slos,
            affinity=self._affinity,
            cpus=self._cpus,
        )
        if job.timeline_dir is not None:
            Path(job.timeline_dir).mkdir(parents=True, exist_ok=True)
        # A new worker's first predictions are slower than what an earlier one measured.
        batch_ns_per_sample = (
            job.known_ns_per_sample or first.batch_ns / first.batch_size
        )
        loaded: Loaded | None = first
        for batch_size in compiled.batch_sizes:
            if batch_size in job.skip_batch_sizes:
                continue
            predicted_ns = round(batch_ns_per_sample * batch_size)
            skipped = (
                too_large(batch_size, compiled)
                or predicted_skip(batch_size, predicted_ns, plan.point_seconds)
                or self._beyond_budget(batch_size, predicted_ns, plan)
            )
            if skipped is not None:
                emitter.record(PointSkipped(skipped))
                continue
            try:
                with self._budget.spending():
                    if parts is not None:
                        point = parts.measure(batch_size, plan, predicted_ns)
                    else:
                        if (
                            loaded is None
                            or loaded.batch_size != batch_size
                            or backend.need_reload
                        ):
                            loaded = self._load(backend, batch_size, predicted_ns)
                        point = measure_point(
                            loaded,
                            self._resident(batch_size),
                            plan,
                            predict_threads=compiled.result.instance_count,
                            emitter=emitter,
                            start_gate=start_gate(job.start_gate, batch_size),
                        )
                emitter.record(PointDone(point))
            except Exception as error:
                # Vendor's or ours: it costs this point, is on record with its
                # traceback, and the next one begins anew.
                self._record_failure(error, batch_size)
                loaded = None
                continue
            if point.query_count:
                batch_ns_per_sample = point.service.p50_ns / batch_size

    def _beyond_budget(
        self, batch_size: int, predicted_ns: int, plan: PointPlan
    ) -> SkippedPoint | None:
        """Say whether a point does not fit into the task's time; the first one does."""
        if batch_size == self._compiled.batch_sizes[0]:
            return None
        needed = predicted_point_seconds(
            plan,
            batch_size,
            predicted_ns,
            predict_threads=self._compiled.result.instance_count,
        )
        return self._budget.skipped(batch_size, predicted_ns, needed)

    def _resident(self, batch_size: int) -> ArraySamples:
        """Return samples for queries of `batch_size`; the run loads them."""
        arrays = self._at_least(
            max(batch_size, self._workload.query_samples(batch_size))
        )
        return ArraySamples(arrays, self._rows_per_sample)

    def _vendor_benchmark(self, backend: Backend, data: CalibrationData) -> None:
        """Ask for the vendor's own figures, shown beside ours."""
        if "vendor_benchmark" in self._job.done_phases:
            return
        if type(backend).benchmark is Backend.benchmark:
            return

        def ask() -> VendorBenchmark | None:
            figures = vendor_call(
                self._job.hardware_type, "benchmark", lambda: backend.benchmark(data)
            )
            return VendorBenchmark(figures) if figures is not None else None

        self._guarded("vendor_benchmark", ask)

    def _guarded(self, phase: str, work: Callable[[], Any]) -> None:
        """Do one phase; report its failure and go on."""
        if phase in self._job.done_phases:
            return
        self._emitter.phase(phase, QUALITY_DEADLINE_SECONDS)
        try:
            event = work()
            if event is not None:
                self._emitter.record(event)
        except Exception as error:
            # As of a point: it costs this phase, and is on record.
            self._record_failure(error, None)

    def _record_failure(self, error: Exception, batch_size: int | None) -> None:
        """Put a failure on record with its whole traceback."""
        message = error.message if isinstance(error, BytemlperfError) else str(error)
        self._emitter.record(
            PointFailed(
                Failure(
                    phase=self._emitter.phase_name,
                    kind=type(error).__name__,
                    message=printable(message),
                    batch_size=batch_size,
                    detail=printable(
                        "".join(traceback.format_exception(error)).strip()
                    ),
                )
            )
        )


def too_large(batch_size: int, compiled: Compiled) -> SkippedPoint | None:
    """Say whether a batch size is beyond what the backend says it can load."""
    limit = compiled.result.max_batch_size
    if batch_size <= limit:
        return None
    return SkippedPoint(
        batch_size=batch_size,
        reason=f"the backend's max_batch_size is {limit}",
    )


def model_report(prepared: PreparedTask) -> ModelReport:
    """Put the prepared model into the report's words."""
    model = prepared.model
    assert model is not None
    info = prepared.model_info
    return ModelReport(
        name=str(info["model"]),
        framework=model.framework,
        format=model.model_format,
        precision=str(info["model_precision"]),
        weights=model.weights,
        weights_source=model.weights_source,
        sha256=model.sha256,
        artefact_bytes=model.bytes,
        parameter_count=model.parameter_count,
        build_seconds=model.build_seconds,
        ops_per_sample=model.ops_per_sample,
        weights_licence=model.weights_licence,
    )
