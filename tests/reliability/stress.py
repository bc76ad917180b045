"""Everything at once, seeded: ``python tests/reliability/stress.py --seconds 600``.

Rounds of a second or less, each drawn from the seed: an event loop, a kind of clients,
a batching, predict threads, a predict that answers, sleeps, raises or ends the run, and
what is done to it meanwhile: cancelled, timed out, closed under load. After each round
nothing may be left: no thread, no row in flight, no row put and not taken, and every
caller has its own answer or an error that it may have. A round that hangs ends the
process with the stacks of all threads; ``--seed`` and ``--first`` repeat it.
"""

from __future__ import annotations

import argparse
import asyncio
import faulthandler
import random
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).parents[n]) for n in (1, 2)]

from support.loops import LOOPS

from bytemlperf.errors import PredictError, QueueClosedError, QueueFullError
from bytemlperf.runtime import (
    ArraySamples,
    Batching,
    ClosedLoop,
    Limits,
    Recording,
    Scheduler,
    Server,
    WarmUp,
    run,
)
from bytemlperf.runtime.predictor import Predictor

HANG_SECONDS = 120
ROWS = 64


class EndOfRun(BaseException):
    """What is no `Exception`, and so ends a run instead of failing a batch."""


class Predict:
    """Adds one; now and then it sleeps, raises, or raises what ends a run."""

    def __init__(self, rng: random.Random) -> None:
        self._raises = rng.choice([0.0, 0.0, 0.02, 0.3])
        self._sleeps = rng.choice([0.0, 0.05, 0.5])
        self._fatal = rng.choice([0.0, 0.0, 0.0, 0.002])
        self._rng = random.Random(rng.random())

    def __call__(self, feeds: dict[str, Any]) -> dict[str, Any]:
        """Answer a batch, or not."""
        chance = self._rng.random()
        if chance < self._fatal:
            raise EndOfRun("a predict thread ends")
        if chance < self._fatal + self._raises:
            raise ValueError("now and then")
        if self._rng.random() < self._sleeps:
            time.sleep(self._rng.random() * 0.002)
        return {"y": feeds["x"] + 1}


def _batching(rng: random.Random, *, threads: int | None = None) -> Batching:
    return Batching(
        max_batch=rng.choice([1, 2, 3, 8, 64]),
        max_delay_us=rng.choice([0, 0, 100, 2000]),
        predict_threads=threads or rng.choice([1, 1, 2, 3]),
        max_queued=rng.choice([4, 50, 1000]),
        max_wake_delay_us=rng.choice([0, 50, 500]),
    )


async def _front_round(rng: random.Random, made: list[Predictor]) -> Counter[str]:
    """Submitters that give up, and a scheduler that is closed under them."""
    outcomes: Counter[str] = Counter()
    example = {"x": np.zeros((1, 3), np.float32)}
    front = Scheduler(Predict(rng), example, batching=_batching(rng))

    async def submit(number: int, patience: float) -> None:
        sample = {"x": np.full((1, 3), number, np.float32)}
        how = front.submit if number % 5 else front.submit_nowait
        try:
            async with asyncio.timeout(patience):
                answer = await how(sample)
        except TimeoutError:
            outcomes["timed out"] += 1
        except asyncio.CancelledError:
            outcomes["cancelled"] += 1
            raise
        except (PredictError, QueueClosedError, QueueFullError) as error:
            outcomes[type(error).__name__] += 1
        else:
            assert (answer["y"] == number + 1).all(), (number, answer)
            outcomes["answered"] += 1

    tasks: list[asyncio.Task[None]] = []
    try:
        async with front:
            assert front._predictor is not None
            made.append(front._predictor)
            tasks = [
                asyncio.create_task(submit(i, rng.choice([0.001, 0.02, 5.0])))
                for i in range(rng.choice([5, 60, 500]))
            ]
            for _ in range(rng.randrange(20)):
                await asyncio.sleep(rng.choice([0, 0, 0.001]))
                rng.choice(tasks).cancel()
            if rng.random() < 0.5:
                await asyncio.wait(tasks)
    except EndOfRun:
        outcomes["ended for good"] += 1
    results = await asyncio.gather(*tasks, return_exceptions=True)
    for result in results:
        assert result is None or isinstance(result, asyncio.CancelledError), result
    # A task that was cancelled before it began has no outcome of its own.
    assert outcomes.total() - outcomes["ended for good"] <= len(tasks)
    return outcomes


async def _run_round(rng: random.Random, kind: str) -> Counter[str]:
    """Run a load test, which may be cancelled half-way."""
    samples = ArraySamples({"x": np.zeros((ROWS, rng.choice([3, 16])), np.float32)})
    clients = rng.choice([1, 3, 40, 300])
    options: dict[str, Any] = {
        "batching": _batching(rng),
        "limits": Limits(max_seconds=rng.choice([0.05, 0.3]), drain_seconds=0.05),
        "warm_up": WarmUp(max_queries=rng.choice([1, 20]), max_seconds=0.05),
        "seed": rng.randrange(100),
    }
    if kind == "open":
        rate = rng.choice([200.0, 20_000.0])
        options["scenario"] = Server(rate_qps=rate, seconds=0.1)
    else:
        lanes = None
        thinks = rng.choice([0, 0, 200_000])
        if kind == "loop lane":
            kind, lanes, thinks = "task", True, 0
            options["batching"] = Batching(max_batch=8, predict_threads=1)
        elif not thinks:
            lanes = rng.choice([None, False])
        options["scenario"] = ClosedLoop(
            clients=clients,
            iterations=rng.choice([2, 50]),
            think_time_ns=thinks,
            lanes=lanes,
        )
        if kind == "native" and (options["batching"].max_queued or clients) < clients:
            kind = "auto"
        options["client_path"] = kind
    test = asyncio.create_task(run(Predict(rng), samples, **options))
    if rng.random() < 0.3:
        await asyncio.sleep(rng.random() * 0.05)
        test.cancel()
    try:
        recording: Recording = await test
    except asyncio.CancelledError:
        return Counter({"run cancelled": 1})
    except EndOfRun:
        return Counter({"run ended for good": 1})
    answered = sum(n * k for n, k in recording.batch_size_counts.items())
    assert answered == recording.query_count
    assert recording.latency.count == recording.query_count
    return Counter({f"run {recording.ended_by}": 1, "answered": answered})


KINDS = ("front", "front", "native", "task", "bare", "loop lane", "open")


def stress_round(seed: int, number: int) -> Counter[str]:
    """Run one round, and look at what it left.

    Parameters
    ----------
    seed, number : int
        What the round is drawn from.

    Returns
    -------
    Counter of str
        How its queries, or itself, ended.
    """
    rng = random.Random(f"{seed}/{number}")
    kind = rng.choice(KINDS)
    made: list[Predictor] = []
    faulthandler.dump_traceback_later(HANG_SECONDS, exit=True)
    try:
        with asyncio.Runner(loop_factory=LOOPS[rng.choice(sorted(LOOPS))]) as runner:
            complaints: list[dict[str, Any]] = []
            runner.get_loop().set_exception_handler(
                lambda _, context: complaints.append(context)
            )
            outcomes: Counter[str] = runner.run(
                _front_round(rng, made) if kind == "front" else _run_round(rng, kind)
            )
    finally:
        faulthandler.cancel_dump_traceback_later()
    assert not complaints, complaints
    for predictor in made:
        assert predictor.table.in_flight_count == 0
        assert predictor.queue.put_count == predictor.queue.taken_count
    left = [each.name for each in threading.enumerate() if "bytemlperf" in each.name]
    assert not left, left
    return outcomes + Counter({f"round {kind}": 1})


def stress(seed: int, seconds: float, *, first: int = 0) -> Counter[str]:
    """Run rounds until the time is over, one at least.

    Parameters
    ----------
    seed : int
        Of all rounds.
    seconds : float
        How long.
    first : int
        The number of the first round.

    Returns
    -------
    Counter of str
        How queries and rounds ended.
    """
    totals: Counter[str] = Counter()
    deadline = time.monotonic() + seconds
    number = first
    while number == first or time.monotonic() < deadline:
        try:
            totals += stress_round(seed, number)
        except BaseException:
            print(f"round {number} of seed {seed}", file=sys.stderr)
            raise
        number += 1
    return totals + Counter(rounds=number - first)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0)
    given = parser.parse_args()
    for what, count in sorted(
        stress(given.seed, given.seconds, first=given.first).items()
    ):
        print(f"{count:>12,} {what}")
