"""Rules about what is left behind: memory, threads, files, processes, settings."""

from __future__ import annotations

import ctypes
import gc
import os
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from statistics import median

import psutil

from bytemlperf.engine.conformance.probe import make_feeds
from bytemlperf.engine.conformance.subject import BATCH_SIZES, RuleBrokenError, Subject
from bytemlperf.engine.left_behind import own_bytes

__all__ = ["global_state", "memory", "no_children", "quiet", "unload"]

SETTLING_CALLS = 200
COUNTED_CALLS = 2000
# An allocator may round up once in a while; a leak of one batch a call shows at once.
MAX_BYTES_A_CALL = 512
CYCLES = 8
MAX_BYTES_A_CYCLE = 1 << 20
MAX_THREADS = 2
# The first loads of a runtime make pools that stay.
SETTLING_CYCLES = 4


def memory(subject: Subject) -> str:
    """Call often, and compare memory without files' pages."""
    backend = subject.loaded(BATCH_SIZES[-1])
    feeds = make_feeds(subject.samples(backend), seed=67)

    def call(count: int) -> int:
        for _ in range(count):
            backend.predict(feeds)
        return _settled_bytes()

    call(SETTLING_CALLS)
    # The middle of three: a leak is in each of them, an allocator's step in one, and
    # what the kernel or the allocator takes back meanwhile hides it in one at most.
    sizes = [call(COUNTED_CALLS) for _ in range(4)]
    growth = round(median(after - before for before, after in pairwise(sizes)))
    each = growth / COUNTED_CALLS
    if each > MAX_BYTES_A_CALL:
        raise RuleBrokenError(
            f"memory of its own grew by {growth:,} bytes in {COUNTED_CALLS:,} calls, "
            f"again and again: {each:,.0f} a call"
        )
    return f"{max(0, growth):,} bytes in {COUNTED_CALLS:,} calls"


def unload(subject: Subject) -> str:
    """Load in turn, and compare memory, threads and files."""
    backend = subject.loaded(BATCH_SIZES[-1])

    def cycle(count: int) -> tuple[int, int, int]:
        for _ in range(count):
            for batch_size in BATCH_SIZES:
                backend.load(batch_size)
                backend.predict(make_feeds(subject.samples(backend)))
        return _settled_bytes(), threading.active_count(), _files()

    cycle(SETTLING_CYCLES)
    first, second, third = cycle(CYCLES), cycle(CYCLES), cycle(CYCLES)
    growth = min(second[0] - first[0], third[0] - second[0]) / CYCLES
    if growth > MAX_BYTES_A_CYCLE:
        raise RuleBrokenError(
            f"loading {len(BATCH_SIZES)} batch sizes in turn keeps "
            f"{growth / 2**20:.1f} MiB a round"
        )
    if third[2] > first[2]:
        raise RuleBrokenError(f"open files rose from {first[2]} to {third[2]}")
    if third[1] > first[1] + MAX_THREADS:
        raise RuleBrokenError(f"threads rose from {first[1]} to {third[1]}")
    return f"{max(0.0, growth) / 2**10:.0f} KiB a round"


def no_children(subject: Subject) -> None:
    """Count child processes before and after."""
    backend = subject.loaded(BATCH_SIZES[-1])
    feeds = make_feeds(subject.samples(backend), seed=71)
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    for _ in range(3):
        backend.predict(feeds)
    after = psutil.Process().children(recursive=True)
    new = [child for child in after if child.pid not in before]
    if new:
        raise RuleBrokenError(f"{len(new)} process(es) left after three predictions")


def global_state(subject: Subject) -> None:
    """Compare the process's settings around one whole life of a backend."""

    def look() -> dict[str, object]:
        return {
            "the environment": dict(os.environ),
            "the working folder": str(Path.cwd()),
            "the handler of SIGINT": signal.getsignal(signal.SIGINT),
            "the handler of SIGTERM": signal.getsignal(signal.SIGTERM),
            "the usable processors": os.sched_getaffinity(0),
        }

    before = look()
    backend = subject.fresh()
    subject.compile(backend)
    backend.load(BATCH_SIZES[0])
    backend.predict(make_feeds(subject.samples(backend)))
    after = look()
    changed = [name for name, value in before.items() if after[name] != value]
    if changed:
        raise RuleBrokenError(f"it changed {', '.join(changed)}")


def quiet(subject: Subject) -> None:
    """Watch both output streams while predicting."""
    backend = subject.loaded(BATCH_SIZES[-1])
    feeds = make_feeds(subject.samples(backend), seed=73)
    backend.predict(feeds)
    with _captured() as read:
        for _ in range(3):
            backend.predict(feeds)
        printed = read()
    if printed:
        raise RuleBrokenError(f"three predictions printed {printed[:100]!r}")


@contextmanager
def _captured() -> Iterator[Callable[[], str]]:
    """Send the process's own output streams to a file.

    Yields
    ------
    callable
        Returns what is in the file.
    """
    with tempfile.TemporaryFile() as file:
        saved = [(stream, os.dup(stream)) for stream in (1, 2)]
        try:
            for stream, _ in saved:
                os.dup2(file.fileno(), stream)

            def read() -> str:
                file.seek(0)
                return file.read().decode(errors="replace")

            yield read
        finally:
            for stream, copy in saved:
                os.dup2(copy, stream)
                os.close(copy)


def _settled_bytes() -> int:
    """Memory that is really in use: what is free is given back to the kernel first.

    Otherwise a leak fills what earlier work in this process has freed, and nothing
    seems to grow; or freed memory that is kept seems to be a leak.
    """
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:  # glibc's
        trim(0)
    return own_bytes()


def _files() -> int:
    return int(psutil.Process().num_fds())
