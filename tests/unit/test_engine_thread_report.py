"""Threads that are elsewhere, and more threads than processors: said, with a remedy."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from sample_results import make_point

from bytemlperf.engine.thread_report import thread_groups, thread_warnings
from bytemlperf.report.load_table import affinity_words
from bytemlperf.runtime import (
    Affinity,
    ArraySamples,
    Batching,
    ClosedLoop,
    ThreadUse,
    run_sync,
)

MS = 1_000_000
ALL = (0, 1)


@pytest.fixture(scope="module")
def recording():
    return run_sync(
        lambda feeds: {"y": feeds["x"]},
        ArraySamples({"x": np.zeros((4, 4), np.float32)}),
        scenario=ClosedLoop(1, 4),
        batching=Batching(max_batch=1),
    )


def use(role, cpu_ms, delay_ms, cpus=ALL, switches=0):
    delay_ns = None if delay_ms is None else delay_ms * MS
    return ThreadUse(role, role, cpus, cpu_ms * MS, delay_ns, switches)


def warned(recording, threads, *, cores=2.0, affinity=Affinity()):
    changed = msgspec.structs.replace(
        recording, window_ns=1000 * MS, threads=tuple(threads), affinity=affinity
    )
    return thread_warnings(changed, cores)


def test_groups_are_by_role_and_processors():
    """Sums within a group; one unreadable delay makes the group's unreadable."""
    threads = [
        use("predict", 500, 10, (1,)),
        use("loop", 5, 1, (0,)),
        use("predict", 200, 20, (1,)),
        use("intra_op", 1, None, (1,), 3),
        use("other", 1, 1),
    ]
    groups = thread_groups(
        threads, Affinity(loop=(0,), predict=(0,)), window_ns=1000 * MS
    )
    assert [(g.role, g.count, g.busy_count, g.is_as_asked) for g in groups] == [
        ("loop", 1, 0, True),
        ("predict", 2, 2, False),
        ("intra_op", 1, 0, False),
        ("other", 1, 0, None),
    ]
    assert groups[1].cpu_ns == 700 * MS
    assert groups[1].run_delay_ns == 30 * MS
    assert groups[2].run_delay_ns is None
    assert groups[2].involuntary_switches == 3


def test_a_thread_that_is_elsewhere_is_named(recording):
    """With the processors it was on, and those it was to be on."""
    (text,) = warned(
        recording, [use("intra_op", 1, 0)], affinity=Affinity(intra_op=(1,))
    )
    assert "1 intra_op thread was allowed on 0-1, not on 1" in text
    assert not warned(
        recording, [use("intra_op", 1, 0, (1,))], affinity=Affinity(intra_op=(1,))
    )


def test_more_threads_than_processors_are_measured(recording):
    """Four that each had half of what they wanted, on two processors."""
    (text,) = warned(recording, [use("intra_op", 480, 500) for _ in range(4)])
    assert text.startswith("oversubscribed: 4 busy threads (4 intra_op) on 2 ")
    assert "wanted 3.9 processors at once and waited for one 51% of that time" in text
    assert "lower intra_op_threads" in text


@pytest.mark.parametrize(
    "threads",
    [
        # As many as there are processors, though others kept them waiting.
        [use("intra_op", 480, 500), use("predict", 480, 500)],
        # Many, but they hardly waited.
        [use("intra_op", 300, 10) for _ in range(4)],
        # Many that are idle.
        [use("intra_op", 1, 50) for _ in range(64)],
    ],
)
def test_threads_that_fit_are_not_warned_of(recording, threads):
    """What counts is waiting for a processor, not how many threads exist."""
    assert not warned(recording, threads)


def test_processors_are_those_the_threads_may_use(recording):
    """Two threads held to one processor are too many for it."""
    (text,) = warned(recording, [use("predict", 480, 500, (1,)) for _ in range(2)])
    assert "on 1 processors" in text


def test_without_the_kernels_word_full_processors_tell(recording):
    """Three that kept two processors busy, and had them taken away."""
    (text,) = warned(recording, [use("intra_op", 600, None, ALL, 70) for _ in range(3)])
    assert "kept them 90% busy, and had them taken away 210 times" in text
    assert not warned(recording, [use("intra_op", 300, None) for _ in range(3)])


def test_the_console_says_where_threads_were_held():
    """Read back, or whose threads were not."""
    assert affinity_words([make_point()]) == ""
    asked = msgspec.structs.replace(make_point(), affinity="loop=0")
    assert affinity_words([asked]) == "; affinity loop=0 (read back)"
    threads = thread_groups([use("loop", 1, 1)], Affinity(loop=(0,)))
    wrong = msgspec.structs.replace(asked, threads=threads)
    assert affinity_words([wrong]) == "; affinity loop=0 (but not loop)"
