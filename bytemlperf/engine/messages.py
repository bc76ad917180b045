"""What the launcher and a worker say to each other.

Input: values. Output: length-framed msgspec (MessagePack) bytes on a pipe: four bytes
of length, big-endian, then the body. A job goes down once, and a `Recorded` for every
event that reached the disk; events come up until `Finished` or `Failed`.

It is long because a protocol is read as a whole: every message of it is here, and next
to nothing else.
"""

from __future__ import annotations

from typing import Any, BinaryIO, Literal

import msgspec

from bytemlperf.datasets import PreparedSamples
from bytemlperf.errors import WorkerError
from bytemlperf.model_zoo import PreparedModel, ReferenceScore
from bytemlperf.report.schema import (
    AccuracyReport,
    CompileReport,
    DatasetReport,
    Failure,
    HardwareCard,
    ModelReport,
    NumericReport,
    Point,
    Provenance,
    RuleOutcome,
    SkippedPoint,
)
from bytemlperf.statistics.slo import Slo
from bytemlperf.statistics.summary import DEFAULT_PERCENTILES

__all__ = [
    "AccuracyDone",
    "BackendDescribed",
    "CheckJob",
    "CompileDone",
    "DescribeJob",
    "Event",
    "Failed",
    "Finished",
    "Job",
    "MeasureJob",
    "NumericDone",
    "Phase",
    "PointDone",
    "PointFailed",
    "PartCommand",
    "PartJob",
    "PartMeasured",
    "PartQuit",
    "PartReady",
    "PartRun",
    "PartStart",
    "PointSkipped",
    "PrepareJob",
    "PreparedTask",
    "ProbeJob",
    "ProbesBuilt",
    "Progress",
    "Recorded",
    "RuleChecked",
    "Started",
    "TaskDescribed",
    "TaskPrepared",
    "VendorBenchmark",
    "Warned",
    "read_frame",
    "write_frame",
]

MAX_FRAME_BYTES = 256 * 1024 * 1024


class PreparedTask(msgspec.Struct, frozen=True):
    """What a measure worker needs of a prepared model and its samples.

    Parameters
    ----------
    model : PreparedModel or None
        None if the backend wants no model file.
    model_info : dict
        ``configs["model_info"]`` for the backend.
    samples : PreparedSamples
        Memory-mapped inputs and labels.
    reference_file : str or None
        ``.npz`` of the reference outputs of the first samples; None: there are none.
    reference : str or None
        What the reference is, in words; or why there is none.
    reference_sample_count : int
        Samples in `reference_file`.
    reference_scores : tuple of ReferenceScore
        Of the model file.
    """

    model: PreparedModel | None
    model_info: dict[str, Any]
    samples: PreparedSamples
    reference_file: str | None = None
    reference: str | None = None
    reference_sample_count: int = 0
    reference_scores: tuple[ReferenceScore, ...] = ()


class DescribeJob(msgspec.Struct, frozen=True, tag="describe"):
    """Import a backend and say what it wants; runs in the backend's environment."""

    hardware_type: str
    backend_path: str | None


class PrepareJob(msgspec.Struct, frozen=True, tag="prepare"):
    """Build the model, the samples and the reference; runs in the CPU environment."""

    task: str
    model: str
    cache_dir: str
    data_root: str | None
    model_path: str | None
    weights: Literal["auto", "seeded", "download"]
    need_model: bool
    need_reference: bool
    max_samples: int
    reference_samples: int
    seed: int
    download_data: bool = False


class MeasureJob(msgspec.Struct, frozen=True, tag="measure"):
    """Measure one task on one backend; runs in the backend's environment.

    The fields `skip_batch_sizes`, `done_phases` and `known_ns_per_sample` say what
    earlier workers of the task did; the last one is the service time per sample of
    the last measured point, to predict others by, or None. `start_gate` is the socket
    where a warm point asks when to begin, if it begins together with other machines.
    `hardware_card` has the peaks of the device; with `on_host` it is the worker's own
    processor, described there.
    `perf_seconds_spent` is what earlier workers have spent on loading and measuring.
    `percentiles` and `slos` are what each point's statistics say.
    """

    task: str
    hardware_type: str
    backend_path: str | None
    workload: dict[str, Any]
    workload_sha256: str
    model_json_sha256: str
    prepared: PreparedTask
    interact_info: dict[str, Any]
    seed: int
    point_seconds: float | None
    skip_batch_sizes: tuple[int, ...]
    done_phases: tuple[str, ...]
    timeline_dir: str | None
    command_line: tuple[str, ...]
    environment_kind: str
    known_ns_per_sample: float | None = None
    start_gate: str | None = None
    hardware_card: HardwareCard | None = None
    on_host: bool = False
    percentiles: tuple[float, ...] = DEFAULT_PERCENTILES
    slos: tuple[Slo, ...] = ()
    perf_seconds_spent: float = 0.0


class PartJob(msgspec.Struct, frozen=True, tag="part"):
    """Be one of several processes that load a point together.

    Parameters
    ----------
    measure : MeasureJob
        Whose points.
    part : int
        Which process, from 0.
    cores : tuple of int
        The only cores it may use; empty: no limit.
    """

    measure: MeasureJob
    part: int
    cores: tuple[int, ...]


class ProbeJob(msgspec.Struct, frozen=True, tag="probe"):
    """Write the conformance suite's model into a folder; in the CPU environment."""

    folder: str


class CheckJob(msgspec.Struct, frozen=True, tag="check"):
    """Try the conformance rules on one backend; runs in the backend's environment.

    Parameters
    ----------
    hardware_type, backend_path : str, str or None
        Which backend, and where to look for it first.
    model_infos : dict of str to dict
        ``configs["model_info"]`` of the probe model by framework.
    interact_info : dict
        Answers to the backend's questions.
    computes : bool
        Whether its answers are the model's: not of a backend that wants no model.
    outcomes : dict of str to str
        Status by rule, of the rules that earlier workers have tried.
    """

    hardware_type: str
    backend_path: str | None
    model_infos: dict[str, dict[str, Any]]
    interact_info: dict[str, Any]
    computes: bool
    outcomes: dict[str, str] = {}


Job = DescribeJob | PrepareJob | MeasureJob | PartJob | ProbeJob | CheckJob


class PartRun(msgspec.Struct, frozen=True, tag="part_run"):
    """Load a batch size, warm up, say `PartReady` and wait (sent down to a part)."""

    batch_size: int
    clients: int
    iterations: int
    point_seconds: float | None
    seed: int
    predicted_batch_ns: int
    timeline_dir: str | None = None
    share: tuple[int, int] = (0, 1)
    queries: int | None = None


class PartStart(msgspec.Struct, frozen=True, tag="part_start"):
    """Begin to measure at this moment of the machine's monotonic clock (sent down)."""

    start_ns: int


class PartQuit(msgspec.Struct, frozen=True, tag="part_quit"):
    """There are no more points; exit (sent down)."""


PartCommand = PartRun | PartStart | PartQuit


class Recorded(msgspec.Struct, frozen=True, tag="recorded"):
    """So many of this worker's durable events are on disk (sent down, after the job).

    A worker that waits for it before it goes on keeps the launcher's file writing out
    of its next measured window, and loses nothing even to a power cut.
    """

    event_count: int


class Started(msgspec.Struct, frozen=True, tag="started"):
    """The worker has read its job."""

    pid: int


class Phase(msgspec.Struct, frozen=True, tag="phase"):
    """A phase begins; silence for longer than `deadline_seconds` means a hang."""

    name: str
    deadline_seconds: float
    detail: str = ""
    batch_size: int | None = None


class Progress(msgspec.Struct, frozen=True, tag="progress"):
    """How far the phase is; `total` 0 means unknown."""

    done: int
    total: int
    text: str = ""


class BackendDescribed(msgspec.Struct, frozen=True, tag="backend_described"):
    """A describe job's result.

    Parameters
    ----------
    version : str
        What `Backend.version` says.
    need_model, need_reload, need_quant : bool
        The backend's attributes.
    interact_profile : list of dict
        What `Backend.get_interact_profile` asks; empty asks nothing.
    """

    version: str
    need_model: bool
    need_reload: bool
    need_quant: bool
    interact_profile: list[dict[str, Any]] = []


class TaskPrepared(msgspec.Struct, frozen=True, tag="task_prepared"):
    """A prepare job's result."""

    prepared: PreparedTask


class TaskDescribed(msgspec.Struct, frozen=True, tag="task_described"):
    """What is about to be measured."""

    backend_version: str
    model: ModelReport | None
    dataset: DatasetReport
    provenance: Provenance


class CompileDone(msgspec.Struct, frozen=True, tag="compile_done"):
    """The compile report."""

    report: CompileReport
    batch_sizes: tuple[int, ...]


class AccuracyDone(msgspec.Struct, frozen=True, tag="accuracy_done"):
    """The accuracy report."""

    report: AccuracyReport


class NumericDone(msgspec.Struct, frozen=True, tag="numeric_done"):
    """The numeric report."""

    report: NumericReport


class PointDone(msgspec.Struct, frozen=True, tag="point_done"):
    """A measured point."""

    point: Point


class PointSkipped(msgspec.Struct, frozen=True, tag="point_skipped"):
    """A batch size that was left out."""

    skipped: SkippedPoint


class PointFailed(msgspec.Struct, frozen=True, tag="point_failed"):
    """A phase or point failed and the worker goes on."""

    failure: Failure


class VendorBenchmark(msgspec.Struct, frozen=True, tag="vendor_benchmark"):
    """The vendor's own figures."""

    figures: dict[str, Any]


class ProbesBuilt(msgspec.Struct, frozen=True, tag="probes_built"):
    """A probe job's result: ``configs["model_info"]`` by framework."""

    model_infos: dict[str, dict[str, Any]]


class RuleChecked(msgspec.Struct, frozen=True, tag="rule_checked"):
    """A conformance rule was tried."""

    outcome: RuleOutcome


class PartReady(msgspec.Struct, frozen=True, tag="part_ready"):
    """A part is warm and waits for the common start."""


class PartMeasured(msgspec.Struct, frozen=True, tag="part_measured"):
    """A part's share of a point."""

    point: Point


class Warned(msgspec.Struct, frozen=True, tag="warned"):
    """Something the reader of the report should know."""

    text: str


class Finished(msgspec.Struct, frozen=True, tag="finished"):
    """The job is done; the worker exits."""

    finished_at_utc: str


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """The job cannot go on; the worker exits."""

    failure: Failure


Event = (
    Started
    | Phase
    | Progress
    | BackendDescribed
    | TaskPrepared
    | TaskDescribed
    | CompileDone
    | AccuracyDone
    | NumericDone
    | PointDone
    | PointSkipped
    | PointFailed
    | VendorBenchmark
    | ProbesBuilt
    | RuleChecked
    | PartReady
    | PartMeasured
    | Warned
    | Finished
    | Failed
)

_encoder = msgspec.msgpack.Encoder()


def write_frame(
    stream: BinaryIO, message: Event | Job | Recorded | PartCommand
) -> None:
    """Write one message and flush it.

    Parameters
    ----------
    stream : BinaryIO
        A pipe's writing end.
    message : Event, Job, Recorded or PartCommand
        At most 256 MiB encoded.

    Raises
    ------
    BrokenPipeError
        The other side is gone.
    """
    body = _encoder.encode(message)
    stream.write(len(body).to_bytes(4, "big") + body)
    stream.flush()


def read_frame(stream: BinaryIO) -> bytes | None:
    """Read one message's body.

    Parameters
    ----------
    stream : BinaryIO
        A pipe's reading end, buffered.

    Returns
    -------
    bytes or None
        None at a clean end of the stream.

    Raises
    ------
    WorkerError
        The stream ends inside a frame, or the length is absurd.
    """
    head = stream.read(4)
    if not head:
        return None
    length = int.from_bytes(head, "big")
    if len(head) < 4 or length > MAX_FRAME_BYTES:
        raise WorkerError(f"expected a message frame, got {head!r} as its length")
    body = stream.read(length)
    if len(body) < length:
        raise WorkerError(f"message cut short: {len(body)} of {length} bytes")
    return body
