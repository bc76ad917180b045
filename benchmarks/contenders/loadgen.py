"""MLCommons LoadGen through its Python bindings, in the patterns of its users.

The figures are LoadGen's own, read from the summary it writes: what it prepares before
the first query and computes after the last is left out, in its favour; its processor
time is that of the whole test. Traces are off.
"""

from __future__ import annotations

import array
import importlib.util
import queue
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np

from benchmarks.contenders.bare import FEEDS, null_predict
from benchmarks.windows import Contender, Window

__all__ = [
    "LOADGEN_ABSENT",
    "is_installed",
    "offline_each",
    "offline_fast",
    "offline_once",
    "offline_queue",
    "percentiles_ns",
    "server_latency_ns",
    "single_stream_inline",
    "single_stream_thread",
]

LOADGEN_ABSENT = "mlcommons-loadgen is not installed (extra: bench)"
_SAMPLES = 1024
_Issue = Callable[..., None]


def is_installed() -> bool:
    """Tell whether LoadGen can be measured.

    Returns
    -------
    bool
        Whether its bindings can be imported.
    """
    return importlib.util.find_spec("mlperf_loadgen") is not None


class _Test:
    """One system under test, run again and again by LoadGen."""

    def __init__(self, scenario: str, issue: _Issue, *, fast: bool = False) -> None:
        import mlperf_loadgen as lg

        self._lg = lg
        self._scenario = getattr(lg.TestScenario, scenario)
        self._fast = fast
        construct = lg.ConstructFastSUT if fast else lg.ConstructSUT
        self._sut = construct(issue, lambda: None)
        self._library = lg.ConstructQSL(
            _SAMPLES, _SAMPLES, lambda _: None, lambda _: None
        )
        self._folder = tempfile.TemporaryDirectory()

    def close(self) -> None:
        self._lg.DestroyQSL(self._library)
        destroy = self._lg.DestroyFastSUT if self._fast else self._lg.DestroySUT
        destroy(self._sut)
        self._folder.cleanup()

    def run(self, queries: int, *, rate: float = 0.0) -> tuple[str, int]:
        """Run once; LoadGen's summary, and the CPU time of it all in ns."""
        lg = self._lg
        settings = lg.TestSettings()
        settings.scenario = self._scenario
        settings.mode = lg.TestMode.PerformanceOnly
        settings.max_duration_ms = 0
        if self._scenario == lg.TestScenario.Offline:
            # One query of as many samples as the rate says that a second would take.
            settings.min_duration_ms = 1000
            settings.min_query_count = 1
            settings.offline_expected_qps = queries / 1.1
        else:
            settings.min_duration_ms = 0
            settings.min_query_count = queries
            settings.max_query_count = queries
            # Large, so that no more queries are made beforehand than are needed.
            settings.single_stream_expected_latency_ns = 10**9
            settings.server_target_qps = rate or 1.0
        output = lg.LogOutputSettings()
        output.outdir = self._folder.name
        output.copy_summary_to_stdout = False
        logging = lg.LogSettings()
        logging.log_output = output
        logging.enable_trace = False
        before_ns = time.process_time_ns()
        lg.StartTestWithLogSettings(self._sut, self._library, settings, logging, "")
        used_ns = time.process_time_ns() - before_ns
        summary = Path(self._folder.name, "mlperf_log_summary.txt").read_text()
        return summary, used_ns


def _figure(summary: str, name: str) -> float:
    found = re.search(rf"^{re.escape(name)}\s*:\s*([0-9.eE+]+)", summary, re.MULTILINE)
    if found is None:
        raise ValueError(f"LoadGen's summary has no {name!r}: {summary}")
    return float(found[1])


@contextmanager
def _measuring(
    name: str, scenario: str, issue: _Issue, queries: int, *, fast: bool = False
) -> Iterator[Contender]:
    test = _Test(scenario, issue, fast=fast)
    rate_name = "QPS w/ loadgen overhead"
    if scenario == "Offline":
        rate_name = "Samples per second"

    def measure() -> Window:
        summary, used_ns = test.run(queries)
        return Window(
            queries, round(queries / _figure(summary, rate_name) * 1e9), used_ns
        )

    try:
        yield Contender(name, measure)
    finally:
        test.close()


@contextmanager
def single_stream_inline(queries: int) -> Iterator[Contender]:
    """Answer each query in the callback that issues it.

    Parameters
    ----------
    queries : int
        Queries of a window.

    Yields
    ------
    Contender
        LoadGen's cheapest closed loop.
    """
    import mlperf_loadgen as lg

    def issue(samples: Any) -> None:
        null_predict(FEEDS)
        lg.QuerySamplesComplete(
            [lg.QuerySampleResponse(sample.id, 0, 0) for sample in samples]
        )

    with _measuring(
        "LoadGen SingleStream inline", "SingleStream", issue, queries
    ) as it:
        yield it


@contextmanager
def single_stream_thread(queries: int) -> Iterator[Contender]:
    """Answer each query in a worker thread, handed over by a SimpleQueue.

    Parameters
    ----------
    queries : int
        Queries of a window.

    Yields
    ------
    Contender
        The cheapest hand-over there is in Python.
    """
    import mlperf_loadgen as lg

    handed: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def work() -> None:
        while (samples := handed.get()) is not None:
            null_predict(FEEDS)
            lg.QuerySamplesComplete(
                [lg.QuerySampleResponse(sample.id, 0, 0) for sample in samples]
            )

    worker = Thread(target=work, name="loadgen-worker")
    worker.start()
    try:
        with _measuring(
            "LoadGen SingleStream thread", "SingleStream", handed.put, queries
        ) as it:
            yield it
    finally:
        handed.put(None)
        worker.join()


@contextmanager
def offline_each(queries: int) -> Iterator[Contender]:
    """Answer one big query sample by sample.

    Parameters
    ----------
    queries : int
        Samples of a window.

    Yields
    ------
    Contender
        A completion for each sample.
    """
    import mlperf_loadgen as lg

    def issue(samples: Any) -> None:
        for sample in samples:
            null_predict(FEEDS)
            lg.QuerySamplesComplete([lg.QuerySampleResponse(sample.id, 0, 0)])

    with _measuring("LoadGen Offline, each", "Offline", issue, queries) as it:
        yield it


@contextmanager
def offline_once(queries: int, max_batch: int) -> Iterator[Contender]:
    """Answer one big query with one completion, after all batches.

    Parameters
    ----------
    queries : int
        Samples of a window.
    max_batch : int
        Samples for each call of predict.

    Yields
    ------
    Contender
        A single completion.
    """
    import mlperf_loadgen as lg

    def issue(samples: Any) -> None:
        for _ in range(0, len(samples), max_batch):
            null_predict(FEEDS)
        lg.QuerySamplesComplete(
            [lg.QuerySampleResponse(sample.id, 0, 0) for sample in samples]
        )

    with _measuring("LoadGen Offline, once", "Offline", issue, queries) as it:
        yield it


@contextmanager
def offline_fast(queries: int, max_batch: int) -> Iterator[Contender]:
    """Answer one big query with one completion, through the FastSUT interface.

    Parameters
    ----------
    queries : int
        Samples of a window.
    max_batch : int
        Samples for each call of predict.

    Yields
    ------
    Contender
        Two lists of integers instead of objects: LoadGen's best in Python.
    """
    import mlperf_loadgen as lg

    def issue(ids: list[int], indices: list[int]) -> None:
        for _ in range(0, len(indices), max_batch):
            null_predict(FEEDS)
        respond = lg.QuerySampleResponse
        lg.QuerySamplesComplete([respond(each, 0, 0) for each in ids])

    with _measuring(
        "LoadGen Offline, fast", "Offline", issue, queries, fast=True
    ) as it:
        yield it


@contextmanager
def offline_queue(
    queries: int, max_batch: int, *, copies_answers: bool, threads: int = 2
) -> Iterator[Contender]:
    """Cut one big query into batches for worker threads behind a queue.Queue.

    Parameters
    ----------
    queries : int
        Samples of a window.
    max_batch : int
        Samples in a batch.
    copies_answers : bool
        Whether each sample's answer becomes an array of its own, as in the reference
        implementations. Without it nothing is answered.
    threads : int, default 2
        Workers.

    Yields
    ------
    Contender
        The shape of LoadGen's reference implementations.
    """
    import mlperf_loadgen as lg

    waiting: queue.Queue[Any] = queue.Queue(maxsize=4 * threads)
    answer = np.zeros(1, np.float32)

    def issue(samples: Any) -> None:
        for first in range(0, len(samples), max_batch):
            waiting.put(samples[first : first + max_batch])

    def work() -> None:
        while (samples := waiting.get()) is not None:
            null_predict(FEEDS)
            kept = []
            responses = []
            for sample in samples:
                address, length = 0, 0
                if copies_answers:
                    copied = array.array("B", answer.tobytes())
                    kept.append(copied)
                    address, length = copied.buffer_info()
                responses.append(lg.QuerySampleResponse(sample.id, address, length))
            lg.QuerySamplesComplete(responses)

    workers = [Thread(target=work, name="loadgen-worker") for _ in range(threads)]
    for worker in workers:
        worker.start()
    name = f"LoadGen Offline, queue{'' if copies_answers else ', no answers'}"
    try:
        with _measuring(name, "Offline", issue, queries) as it:
            yield it
    finally:
        for _ in workers:
            waiting.put(None)
        for worker in workers:
            worker.join()


def percentiles_ns(
    scenario: str,
    serve: Callable[[], object],
    queries: int,
    percentiles: tuple[str, ...],
    *,
    rate: float = 0.0,
    issued_ns: list[int] | None = None,
) -> list[float]:
    """Run a scenario with one worker thread that serves queries in turn.

    Parameters
    ----------
    scenario : "SingleStream", "MultiStream", "Server" or "Offline"
        LoadGen's name of it.
    serve : callable
        Called for each query, or each sample of the one of Offline; takes its time.
    queries : int
        Queries, or samples of the one of Offline.
    percentiles : tuple of str
        As LoadGen writes them, such as ``"99.00"``.
    rate : float
        Queries a second of Server.
    issued_ns : list of int, optional
        Gets the moment, of the monotonic clock, at which LoadGen issued each query.

    Returns
    -------
    list of float
        Percentiles of the latency, ns.
    """
    import mlperf_loadgen as lg

    handed: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def work() -> None:
        while (samples := handed.get()) is not None:
            parts = [[each] for each in samples] if scenario == "Offline" else [samples]
            for part in parts:
                serve()
                lg.QuerySamplesComplete(
                    [lg.QuerySampleResponse(each.id, 0, 0) for each in part]
                )

    def issue(samples: Any) -> None:
        if issued_ns is not None:
            issued_ns.append(time.monotonic_ns())
        handed.put(samples)

    worker = Thread(target=work, name="loadgen-worker")
    worker.start()
    test = _Test(scenario, issue)
    try:
        summary, _ = test.run(queries, rate=rate)
    finally:
        test.close()
        handed.put(None)
        worker.join()
    return [_figure(summary, f"{each} percentile latency (ns)") for each in percentiles]


def server_latency_ns(rate: int, queries: int) -> float:
    """Run the Server scenario with a system that answers at once.

    Parameters
    ----------
    rate : int
        Queries a second.
    queries : int
        Queries.

    Returns
    -------
    float
        Median latency since the scheduled moment, ns: its schedule error, and the few
        microseconds that an answer takes.
    """
    import mlperf_loadgen as lg

    def issue(samples: Any) -> None:
        lg.QuerySamplesComplete(
            [lg.QuerySampleResponse(sample.id, 0, 0) for sample in samples]
        )

    test = _Test("Server", issue)
    try:
        summary, _ = test.run(queries, rate=rate)
    finally:
        test.close()
    return _figure(summary, "50.00 percentile latency (ns)")
