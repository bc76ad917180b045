"""What reads bytes that somebody else wrote, each as a function of bytes.

A target returns for good input and for bad input that is refused as it should be; what
it lets through (any other error) is a finding.
"""

from __future__ import annotations

import base64
import json
import tempfile
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
from cyclopts import CycloptsError
from rich.console import Console
from support.sample_results import make_point, make_result

from bytemlperf import model_zoo, workloads
from bytemlperf.backends.compile_result import parse_compile_result
from bytemlperf.cli import app
from bytemlperf.engine.messages import (
    Event,
    Failed,
    Phase,
    PointDone,
    Progress,
    Warned,
)
from bytemlperf.errors import MALFORMED, BytemlperfError
from bytemlperf.launch.answers import parse_profile
from bytemlperf.launch.assemble import assemble_task
from bytemlperf.launch.done import Done, with_record
from bytemlperf.launch.frames import FrameBuffer, frame
from bytemlperf.launch.journal import Journal, TaskOpened, parse_records
from bytemlperf.launch.merge_results import merge_results
from bytemlperf.launch.requirements_file import read_requirements
from bytemlperf.launch.resume import REQUEST_NAME, load_request
from bytemlperf.model_zoo.schema import parse_model_info
from bytemlperf.report.collect import Collected
from bytemlperf.report.console import task_report
from bytemlperf.report.page import render_page
from bytemlperf.report.schema import Failure
from bytemlperf.report.storage import read_index, read_result
from bytemlperf.runtime import Histogram
from bytemlperf.runtime.trace import read_trace
from bytemlperf.workloads.schema import parse_workload

__all__ = ["TARGETS", "Target"]

Target = Callable[[bytes], object]
# V2, compressed: the cookie of http://hdrhistogram.org's encoding.
HDR_COOKIE = (0x1C849314).to_bytes(4, "big")
JOURNAL_RECORDS = 3
CONSOLE = Console(width=100)
FOLDER = Path(tempfile.mkdtemp(prefix="bytemlperf-fuzz-"))


def _in_file(name: str, read: Callable[[Path], object]) -> Target:
    path = FOLDER / name

    def target(data: bytes) -> object:
        path.write_bytes(data)
        return read(path)

    return target


def _profile(data: bytes) -> object:
    return parse_profile(_decoded(data, list[dict]), "FUZZ")


def _compile_result(data: bytes) -> object:
    return parse_compile_result(_decoded(data, object), "FUZZ")


def _decoded(data: bytes, wanted: Any) -> Any:
    """Decode as the worker's messages are before anybody parses them."""
    try:
        return msgspec.json.decode(data, type=wanted)
    except MALFORMED as error:
        raise msgspec.DecodeError(str(error)) from error


def _command_line(data: bytes) -> object:
    words = data.decode(errors="replace").split()
    # These print and are done; what they print is not the parser's business.
    words = [word for word in words if word not in ("-h", "--help", "--version")]
    return app.parse_args(words, print_error=False, exit_on_error=False)


def _histogram_payload(data: bytes) -> object:
    """Put damage behind the compression and the base64, where few bytes reach."""
    packed = zlib.compress(data)
    envelope = HDR_COOKIE + len(packed).to_bytes(4, "big")
    return Histogram.decode(base64.b64encode(envelope + packed))


def _journal_record(data: bytes) -> object:
    """Put damage behind the checksum, after good records, and go on with them all."""
    head = len(data).to_bytes(4, "big") + zlib.crc32(data).to_bytes(4, "big")
    records = parse_records(_journal() + head + data).records
    done = Done((), (), None)
    for record in records:
        done = with_record(done, record)
    assert len(records) >= JOURNAL_RECORDS
    return assemble_task(records, log_file=None, duration_seconds=0.0)


def _worker_says(data: bytes) -> object:
    """Read what a vendor's code has written to the pipe, in two pieces."""
    frames = FrameBuffer()
    half = len(data) // 2
    pieces = (data[:half], data[half:])
    bodies = [body for piece in pieces for body in frames.feed(piece)]
    return [_decoded_event(body) for body in bodies]


def _decoded_event(body: bytes) -> Event:
    try:
        return msgspec.msgpack.decode(body, type=Event)
    except MALFORMED as error:
        raise msgspec.DecodeError(str(error)) from error


def _reports(path: Path) -> object:
    """Show a result in every way that it can be shown."""
    result = read_result(path)
    collected = [Collected("fuzz", path, result)]
    page = render_page(collected, generated_at_utc="now", version="0")
    with CONSOLE.capture():
        CONSOLE.print(task_report(result))
    return page


def _merged(path: Path) -> object:
    result = read_result(path)
    return merge_results([result, result])


def _request_file(path: Path) -> object:
    path.replace(FOLDER / REQUEST_NAME)
    return load_request(FOLDER)


COMMAND_LINES = (
    "--tasks all --hardware_type CPU --seed 3 --out x",
    "--tasks a,b --scenario server --rate 1e2 --slo p99<=20ms --percentiles 50,99.9",
    "--resume x --ui plain --point_seconds 0.5 --processes 2 --launcher ray",
    "compare a b --fail_on p99>+5% --format json",
    "sweep --axis max_delay_us=0,200,1000 --tasks t --hardware_type NULL",
    "search --slo p99<=20ms --tasks t --hardware_type NULL",
    "ab --b max_batch=8 --tasks t --hardware_type NULL",
    "report a b --out x --pdf --md --plots y",
    "export a --format csv --out x",
    "merge a b --out x",
    "history --tasks r* --metric latency_p50_ns",
    "backend check NULL",
)

REFUSALS = (BytemlperfError, CycloptsError, msgspec.MsgspecError)

RAW: dict[str, Target] = {
    "workload": lambda data: parse_workload(data, "fuzz"),
    "model": lambda data: parse_model_info(data, "fuzz"),
    "profile": _profile,
    "compile_result": _compile_result,
    "result": _in_file("result.json", read_result),
    "index": _in_file("index.json", read_index),
    "request": _in_file("request", _request_file),
    "requirements": _in_file("requirements.txt", read_requirements),
    "reports": _in_file("shown.json", _reports),
    "merge": _in_file("merged.json", _merged),
    "trace_csv": _in_file("trace.csv", read_trace),
    "trace_jsonl": _in_file("trace.jsonl", read_trace),
    "worker": _worker_says,
    "journal": parse_records,
    "journal_record": _journal_record,
    "histogram": Histogram.decode,
    "histogram_payload": _histogram_payload,
    "command_line": _command_line,
}


def _guarded(target: Target) -> Target:
    def run(data: bytes) -> object:
        try:
            return target(data)
        except REFUSALS:
            return None

    return run


TARGETS = {name: _guarded(target) for name, target in RAW.items()}


def seeds(name: str) -> list[bytes]:
    """Return good input to begin from.

    Parameters
    ----------
    name : str
        A target.

    Returns
    -------
    list of bytes
        At least one.
    """
    zoo = Path(model_zoo.__file__).parent
    tasks = Path(workloads.__file__).parent
    if name == "workload":
        return [path.read_bytes() for path in sorted(tasks.glob("*.json"))]
    if name == "model":
        return [path.read_bytes() for path in sorted(zoo.glob("*.json"))]
    if name == "command_line":
        return [line.encode() for line in COMMAND_LINES]
    return [_SEEDS[name]()]


@cache
def _journal() -> bytes:
    path = FOLDER / "seed.bin"
    path.unlink(missing_ok=True)
    with Journal.open(path) as journal:
        journal.append(TaskOpened(1, "t", "CPU", {"model": "m"}, "f", "now", []))
        journal.append(PointDone(make_point(4, query_count=10)))
        journal.append(Warned("x"))
    return path.read_bytes()


def _said() -> bytes:
    events: tuple[Event, ...] = (
        Phase("perf", 10.0, "x", 4),
        Progress(1, 2, "x"),
        PointDone(make_point(4, query_count=10)),
        Failed(Failure("perf", "killed", "x", batch_size=4)),
    )
    return b"".join(frame(msgspec.msgpack.encode(event)) for event in events)


_SEEDS: dict[str, Callable[[], bytes]] = {
    "reports": lambda: msgspec.json.encode(make_result()),
    "merge": lambda: msgspec.json.encode(
        msgspec.structs.replace(make_result(), workload={"clients": 3})
    ),
    "trace_csv": lambda: b"timestamp_ms,size\n0,1\n1.5,2\n1e1,1\n",
    "trace_jsonl": lambda: b'{"timestamp_us": 3, "size": 2}\n{"timestamp_us": 4.5}\n',
    "worker": _said,
    "journal_record": lambda: msgspec.msgpack.encode(
        PointDone(make_point(8, query_count=10))
    ),
    "profile": lambda: json.dumps(
        [
            {
                "name": "precision",
                "note": "which?",
                "dialog_type": "Radiolist Dialog",
                "type": "str",
                "default": "1",
                "options": [["1", "FP32"], ["2", "FP16"]],
            }
        ]
    ).encode(),
    "compile_result": lambda: json.dumps(
        {
            "model": "m",
            "framework": "Onnx",
            "compile_precision": "FP32",
            "input_type": ["FLOAT32"],
            "max_batch_size": 8,
            "compile_status": "success",
            "sg_percent": 100,
            "segments": [
                {
                    "sg_idx": 0,
                    "is_fallback": False,
                    "input_tensor_map": {"x": [1, 3]},
                    "output_tensor_map": {"y": [1]},
                    "compiled_model": [{"compiled_bs": 1, "compiled_obj": "p"}],
                }
            ],
        }
    ).encode(),
    "result": lambda: msgspec.json.encode(make_result()),
    "index": lambda: json.dumps(
        {
            "schema_version": 1,
            "invocation_id": "i",
            "command_line": [],
            "started_at_utc": "",
            "finished_at_utc": "",
            "status": "ok",
            "exit_code": 0,
            "tasks": [],
        }
    ).encode(),
    "request": lambda: json.dumps(
        {
            "request_version": 1,
            "model_sha256": {"t": "f"},
            "request": {
                "tasks": [
                    {
                        "name": "t",
                        "path": "/t.json",
                        "sha256": "f",
                        "workload": {"model": "m"},
                    }
                ],
                "hardware_types": ["CPU"],
                "out_dir": "/o",
                "cache_dir": "/c",
            },
        }
    ).encode(),
    "requirements": lambda: b"numpy>=1.26 ; python_version >= '3.11'\n",
    "journal": _journal,
    "histogram": lambda: Histogram.from_values([1, 10**6, 10**9]).encode().encode(),
    "histogram_payload": lambda: zlib.decompress(
        base64.b64decode(Histogram.from_values([1, 10**6, 10**9]).encode())[8:]
    ),
}
