"""Loops without any harness: the floor, and what ByteMLPerf does instead of one."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np

from benchmarks.windows import Contender, Stopwatch, Window

__all__ = ["FEEDS", "Feeds", "byte_mlperf_loop", "client_threads", "null_predict",
           "predict_loop"]  # fmt: skip

Feeds = dict[str, np.ndarray]

FEEDS: Feeds = {"x": np.zeros((1, 1), np.float32)}


def null_predict(feeds: Feeds) -> Feeds:
    """Answer at once, in Python, with what was asked: right for any batch.

    Parameters
    ----------
    feeds : dict of str to ndarray
        Any.

    Returns
    -------
    dict of str to ndarray
        The same.
    """
    return feeds


def predict_loop(queries: int) -> Contender:
    """Call predict in a plain loop with the same feeds.

    Parameters
    ----------
    queries : int
        Calls of a window.

    Returns
    -------
    Contender
        The floor: no time is read, nothing is kept.
    """

    def measure() -> Window:
        predict = null_predict
        feeds = FEEDS
        stopwatch = Stopwatch()
        for _ in range(queries):
            predict(feeds)
        return stopwatch.window(queries)

    return Contender("bare predict loop", measure)


def byte_mlperf_loop(queries: int) -> Contender:
    """Call predict as ByteMLPerf does: the wall clock twice, and a list of times.

    Parameters
    ----------
    queries : int
        Calls of a window.

    Returns
    -------
    Contender
        The least that a harness in Python measures with.
    """

    def measure() -> Window:
        predict = null_predict
        feeds = FEEDS
        now = time.time
        times = []
        stopwatch = Stopwatch()
        for _ in range(queries):
            start = now()
            predict(feeds)
            times.append(now() - start)
        return stopwatch.window(queries)

    return Contender("ByteMLPerf timed loop", measure)


@contextmanager
def client_threads(clients: int, queries: int) -> Iterator[Contender]:
    """Let client threads of a pool hand each query to a pool of one predict thread.

    Parameters
    ----------
    clients : int
        Threads that ask, each one query at a time.
    queries : int
        Queries of each in a window.

    Yields
    ------
    Contender
        What harnesses do that model clients as threads.
    """
    with ThreadPoolExecutor(clients) as asking, ThreadPoolExecutor(1) as answering:

        def client() -> None:
            for _ in range(queries):
                answering.submit(null_predict, FEEDS).result()

        def measure() -> Window:
            stopwatch = Stopwatch()
            for done in [asking.submit(client) for _ in range(clients)]:
                done.result()
            return stopwatch.window(clients * queries)

        yield Contender(f"{clients} client threads", measure)
