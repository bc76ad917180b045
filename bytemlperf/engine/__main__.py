"""A worker process: read a job, do it, say how it went.

Started as ``python -m bytemlperf.engine --job-fd N --event-fd M`` by the launcher; not
meant for people.
"""

from __future__ import annotations

import argparse
import ctypes
import faulthandler
import os
import queue
import signal
import sys
import threading
import traceback
from typing import BinaryIO

import msgspec

from bytemlperf.engine.emitter import Emitter
from bytemlperf.engine.messages import (
    CheckJob,
    DescribeJob,
    Failed,
    Finished,
    Job,
    MeasureJob,
    PartCommand,
    PartJob,
    PartQuit,
    PrepareJob,
    ProbeJob,
    Recorded,
    Started,
    read_frame,
)
from bytemlperf.engine.recordable import printable
from bytemlperf.errors import BytemlperfError, WorkerError
from bytemlperf.report.schema import Failure
from bytemlperf.runtime.clock import utc_now

PR_SET_PDEATHSIG = 1


def main() -> int:
    """Run one job.

    Returns
    -------
    int
        0 if the job was done, 1 if it failed and said so.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--job-fd", type=int, required=True)
    parser.add_argument("--event-fd", type=int, required=True)
    arguments = parser.parse_args()
    _die_with_parent()
    faulthandler.enable()
    # The launcher asks for all stacks before it kills a worker that hangs.
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    # Ctrl-C in a terminal reaches the whole process group: the launcher decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    with (
        os.fdopen(arguments.job_fd, "rb") as job_stream,
        os.fdopen(arguments.event_fd, "wb", buffering=0) as event_stream,
    ):
        body = read_frame(job_stream)
        if body is None:
            raise WorkerError("expected a job, got the end of the pipe")
        job = msgspec.msgpack.decode(body, type=Job)
        emitter = Emitter(event_stream)
        emitter.emit(Started(os.getpid()))
        commands: queue.SimpleQueue[PartCommand] = queue.SimpleQueue()
        if isinstance(job, PartJob):
            if job.cores:
                # Before a framework counts the cores.
                os.sched_setaffinity(0, job.cores)
            watcher = threading.Thread(target=_watch_lead, args=(job_stream, commands))
        else:
            watcher = threading.Thread(
                target=_watch_launcher, args=(job_stream, emitter)
            )
        watcher.daemon = True
        watcher.start()
        try:
            _dispatch(job, emitter, commands)
        except BytemlperfError as error:
            traceback.print_exc()
            _fail(emitter, type(error).__name__, error.message, error)
        except Exception as error:
            # The last one who can tell the launcher why this process ends.
            traceback.print_exc()
            _fail(emitter, type(error).__name__, f"unexpected: {error}", error)
        else:
            emitter.emit(Finished(utc_now().isoformat()))
            sys.stdout.flush()
            # A vendor's runtime may hang or crash while it is torn down; everything
            # measured is on disk by now.
            os._exit(0)
    sys.stdout.flush()
    os._exit(1)


def _dispatch(
    job: Job, emitter: Emitter, commands: queue.SimpleQueue[PartCommand]
) -> None:
    """Do the job; each kind imports only what it needs."""
    if isinstance(job, DescribeJob):
        from bytemlperf.engine.describe import describe_backend

        describe_backend(job, emitter)
    elif isinstance(job, PrepareJob):
        from bytemlperf.engine.prepare import prepare_task

        prepare_task(job, emitter)
    elif isinstance(job, MeasureJob):
        from bytemlperf.engine.measure import measure_task

        measure_task(job, emitter)
    elif isinstance(job, ProbeJob):
        from bytemlperf.engine.conformance import build_probes

        build_probes(job, emitter)
    elif isinstance(job, CheckJob):
        from bytemlperf.engine.conformance import check_backend

        check_backend(job, emitter)
    else:
        from bytemlperf.engine.part import serve_part

        serve_part(job, emitter, commands)


def _fail(emitter: Emitter, kind: str, message: str, error: BaseException) -> None:
    """Send the end of the job with its cause."""
    hint = getattr(error, "hint", None)
    detail = getattr(error, "detail", None)
    cause = error.__cause__
    if cause is not None and not detail:
        detail = "".join(traceback.format_exception(cause)).strip()
    emitter.emit(
        Failed(
            Failure(
                phase=emitter.phase_name,
                kind=kind,
                message=printable(f"{message} ({hint})" if hint else message),
                detail=printable(detail) if detail else None,
            )
        )
    )


def _watch_launcher(stream: BinaryIO, emitter: Emitter) -> None:
    """Take receipts; die when the launcher is gone."""
    try:
        while (body := read_frame(stream)) is not None:
            receipt = msgspec.msgpack.decode(body, type=Recorded)
            emitter.acknowledge(receipt.event_count)
    except (WorkerError, ValueError, OSError):
        traceback.print_exc()
    # The worker leads its process group: what a backend has started goes with it.
    os.killpg(0, signal.SIGKILL)


def _watch_lead(stream: BinaryIO, commands: queue.SimpleQueue[PartCommand]) -> None:
    """Take a part's commands; exit when the process that leads it is gone."""
    try:
        while (body := read_frame(stream)) is not None:
            command = msgspec.msgpack.decode(body, type=PartCommand)
            commands.put(command)
            if isinstance(command, PartQuit):
                return
    except (WorkerError, ValueError, OSError):
        traceback.print_exc()
    # Alone: the group is the lead's, which may only have given this part up.
    os._exit(1)


def _die_with_parent() -> None:
    """Ask the kernel to kill this process when the launcher dies (Linux)."""
    if sys.platform == "linux":
        parent = os.getppid()
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
