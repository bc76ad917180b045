"""Rules about how a prediction behaves towards memory, threads and errors."""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from bytemlperf.engine.conformance.probe import Arrays, aligned, make_feeds
from bytemlperf.engine.conformance.subject import (
    BATCH_SIZES,
    NotApplicableError,
    RuleBrokenError,
    Subject,
    kept,
    same,
)

__all__ = [
    "any_thread",
    "compile_again",
    "errors",
    "finished",
    "inputs_released",
    "inputs_untouched",
    "no_alias",
    "outputs_stay",
    "threads",
]

THREAD_SECONDS = 60.0
CALLS_EACH = 30
# How long an answer is watched for late writes.
WATCH_SECONDS = 0.2


def inputs_untouched(subject: Subject) -> None:
    """Compare the inputs before and after."""
    backend = subject.loaded(BATCH_SIZES[-1])
    feeds = make_feeds(subject.samples(backend), seed=19)
    before = kept(feeds)
    backend.predict(feeds)
    difference = same(before, feeds)
    if difference:
        raise RuleBrokenError(f"after predict, input {difference}")


def no_alias(subject: Subject) -> None:
    """Look for memory shared by inputs and outputs."""
    backend = subject.loaded(BATCH_SIZES[-1])
    feeds = make_feeds(subject.samples(backend), seed=23)
    answer = backend.predict(feeds)
    for name, array in answer.items():
        for source, fed in feeds.items():
            if np.shares_memory(array, fed):
                raise RuleBrokenError(
                    f"output {name!r} shares memory with input {source!r}"
                )


def inputs_released(subject: Subject) -> None:
    """Overwrite the inputs after the call, and count who still holds them."""
    backend = subject.loaded(BATCH_SIZES[-1])
    feeds = make_feeds(subject.samples(backend), seed=29)
    counts = {name: sys.getrefcount(array) for name, array in feeds.items()}
    answer = backend.predict(feeds)
    before = kept(answer)
    gc.collect()
    for name, array in feeds.items():
        extra = sys.getrefcount(array) - counts[name]
        if extra > 0:
            raise RuleBrokenError(
                f"input {name!r} is still referenced {extra} time(s) after predict"
            )
    for array in feeds.values():
        _overwrite(array)
    difference = same(before, answer)
    if difference:
        raise RuleBrokenError(
            f"with the inputs overwritten after predict, answer {difference}"
        )


def finished(subject: Subject) -> None:
    """Watch an answer for a while after it was returned."""
    backend = subject.loaded(BATCH_SIZES[-1])
    feeds = make_feeds(subject.samples(backend), seed=31)
    answer = backend.predict(feeds)
    at_once = kept(answer)
    threading.Event().wait(WATCH_SECONDS)
    difference = same(at_once, answer)
    if difference:
        raise RuleBrokenError(
            f"{WATCH_SECONDS:g} s after predict had returned, answer {difference}"
        )


def outputs_stay(subject: Subject) -> None:
    """Keep one answer while other questions are asked."""
    backend = subject.loaded(BATCH_SIZES[-1])
    size = subject.samples(backend)
    answer = backend.predict(make_feeds(size, seed=37))
    before = kept(answer)
    for seed in range(41, 45):
        backend.predict(make_feeds(size, seed=seed))
    difference = same(before, answer)
    if difference:
        raise RuleBrokenError(f"after four more calls, the first answer: {difference}")


def any_thread(subject: Subject) -> None:
    """Predict in a new thread."""
    backend = subject.loaded(BATCH_SIZES[-1])
    feeds = make_feeds(subject.samples(backend), seed=47)
    here = kept(backend.predict(feeds))
    (there,) = _in_threads([lambda: kept(backend.predict(feeds))])
    difference = same(here, there)
    if difference:
        raise RuleBrokenError(f"in another thread, {difference}")


def threads(subject: Subject) -> str:
    """Predict in as many threads as are allowed, each with its own input."""
    count = subject.result.instance_count
    if count == 1:
        raise NotApplicableError("instance_count is 1")
    backend = subject.loaded(BATCH_SIZES[-1])
    size = subject.samples(backend)
    batches = [make_feeds(size, seed=53 + index) for index in range(count)]
    alone = [kept(backend.predict(batch)) for batch in batches]

    def ask(index: int) -> Callable[[], list[Arrays]]:
        return lambda: [backend.predict(batches[index]) for _ in range(CALLS_EACH)]

    for index, answers in enumerate(_in_threads([ask(i) for i in range(count)])):
        for answer in answers:
            difference = same(alone[index], answer)
            if difference:
                raise RuleBrokenError(f"thread {index}, among {count}: {difference}")
    return f"{count} threads"


def errors(subject: Subject) -> str:
    """Leave an input out, and misshape one; then ask properly again."""
    backend = subject.loaded(BATCH_SIZES[-1])
    size = subject.samples(backend)
    feeds = make_feeds(size, seed=59)
    before = kept(backend.predict(feeds))
    if not subject.job.computes:
        raise NotApplicableError("it computes nothing, and says so")
    misshapen = aligned(np.zeros((size, 3), np.float32))
    wrong: tuple[tuple[str, dict[str, Any]], ...] = (
        ("without input 'b'", {"a": feeds["a"]}),
        (f"with 'a' of shape {misshapen.shape}", {**feeds, "a": misshapen}),
    )
    kinds = []
    for what, data in wrong:
        try:
            answer = backend.predict(data)
        except Exception as error:
            # Any kind is right: the rule is that something is raised.
            kinds.append(type(error).__name__)
        else:
            raise RuleBrokenError(f"{what} it answered {', '.join(answer)}")
    difference = same(before, backend.predict(feeds))
    if difference:
        raise RuleBrokenError(f"after the errors, {difference}")
    return f"raises {', '.join(dict.fromkeys(kinds))}"


def compile_again(subject: Subject) -> None:
    """Compile twice, and in a second instance beside the first."""
    first = subject.loaded(BATCH_SIZES[-1])
    feeds = make_feeds(subject.samples(first), seed=61)
    before = kept(first.predict(feeds))
    second = subject.fresh()
    for _ in range(2):
        subject.compile(second)
    second.load(BATCH_SIZES[-1])
    difference = same(before, second.predict(feeds))
    if difference:
        raise RuleBrokenError(f"a second instance, compiled twice: {difference}")
    difference = same(before, first.predict(feeds))
    if difference:
        raise RuleBrokenError(f"the first instance, beside the second: {difference}")


def _overwrite(array: Any) -> None:
    """Do what the buffer pool does with memory that was given back."""
    base = array
    while base.base is not None:
        base = base.base
    base.view(np.uint8)[...] = 0xA5


def _in_threads(calls: list[Callable[[], Any]]) -> list[Any]:
    """Run the calls at once; what one raises is raised here."""
    outcomes: list[Any] = [None] * len(calls)
    failures: list[Exception] = []

    def work(index: int) -> None:
        try:
            outcomes[index] = calls[index]()
        except Exception as error:
            # Not to be lost with its thread: the caller raises it again.
            failures.append(error)

    workers = [
        threading.Thread(target=work, args=(index,), daemon=True)
        for index in range(len(calls))
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(THREAD_SECONDS)
        if worker.is_alive():
            raise RuleBrokenError(f"a thread did not answer in {THREAD_SECONDS:g} s")
    if failures:
        raise failures[0]
    return outcomes
