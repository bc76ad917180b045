"""The batching queue against its twin, and what a twin cannot show: threads."""

from __future__ import annotations

import threading

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from queue_twin import QueueTwin

from bytemlperf._native.batch_queue import BatchQueue
from bytemlperf.errors import ConfigError, QueueClosedError, QueueFullError
from bytemlperf.runtime import now_ns

HOUR_NS = 3600 * 10**9


class QueueMachine(RuleBasedStateMachine):
    """Rows are either an age past the delay, or fresh: time plays no other part."""

    @initialize(
        max_queued=st.integers(1, 9),
        max_batch=st.integers(1, 5),
        waits=st.booleans(),
    )
    def start(self, max_queued, max_batch, waits):
        delay_ns = HOUR_NS if waits else 0
        self.queue = BatchQueue(max_queued, max_batch, max_delay_ns=delay_ns)
        self.twin = QueueTwin(max_queued, max_batch, delay_ns)
        self.next_row = 0

    @rule(is_old=st.booleans(), waiting=st.booleans())
    def put(self, is_old, waiting):
        issued_ns = now_ns() - (2 * HOUR_NS if is_old else 0)
        expected = self.twin.put(self.next_row, issued_ns)
        try:
            if waiting:
                self.queue.put(self.next_row, issued_ns=issued_ns, timeout_ns=0)
            else:
                self.queue.put_nowait(self.next_row, issued_ns=issued_ns)
            came = "ok"
        except QueueFullError:
            came = "full"
        except QueueClosedError:
            came = "closed"
        assert came == expected
        self.next_row += 1

    @rule(waiting=st.booleans())
    def take(self, waiting):
        expected = self.twin.take(now_ns())
        if expected is None:
            with pytest.raises(QueueClosedError, match="closed and drained"):
                self.queue.take_nowait()
        elif waiting:
            assert self.queue.take(timeout_ns=0) == expected
        else:
            assert self.queue.take_nowait() == expected

    @rule()
    def close(self):
        self.queue.close()
        self.twin.close()

    @invariant()
    def agree(self):
        if hasattr(self, "queue"):
            assert len(self.queue) == len(self.twin.waiting)
            assert self.queue.peak_queued == self.twin.peak_queued
            assert self.queue.is_closed == self.twin.is_closed
            assert self.queue.put_count - self.queue.taken_count == len(self.queue)


QueueMachine.TestCase.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, derandomize=True
)
TestQueueMachine = QueueMachine.TestCase


def test_put_waits_for_room_and_take_for_rows():
    """A putter of a full queue is let in by a taker, with neither holding the GIL."""
    queue = BatchQueue(1, 1)
    queue.put_nowait(1)
    putter = threading.Thread(target=queue.put, args=(2,))
    putter.start()
    assert queue.take() == [1]
    assert queue.take() == [2]
    putter.join()


def test_close_wakes_everybody():
    """Takers that wait end with the closed error, and a putter of a full queue too."""
    empty, full = BatchQueue(1, 1), BatchQueue(1, 1)
    full.put_nowait(0)
    outcomes = []

    def expect_closed(call):
        with pytest.raises(QueueClosedError):
            call()
        outcomes.append(True)

    threads = [threading.Thread(target=expect_closed, args=(empty.take,)) for _ in "ab"]
    threads.append(threading.Thread(target=expect_closed, args=(lambda: full.put(1),)))
    for thread in threads:
        thread.start()
    empty.close()
    full.close()
    for thread in threads:
        thread.join()
    assert len(outcomes) == 3


@pytest.mark.parametrize("max_delay_ns", [0, 200_000])
def test_no_row_is_lost_or_doubled_among_threads(max_delay_ns):
    """Four putters and three takers on a small queue: every row comes out once."""
    queue = BatchQueue(7, 3, max_delay_ns=max_delay_ns)
    taken: list[list[int]] = [[] for _ in range(3)]
    rows_each = 500

    def put(base):
        for row in range(base, base + rows_each):
            queue.put(row)

    def take(into):
        while True:
            try:
                batch = queue.take()
            except QueueClosedError:
                return
            assert 1 <= len(batch) <= 3
            into.extend(batch)

    takers = [threading.Thread(target=take, args=(into,)) for into in taken]
    putters = [threading.Thread(target=put, args=(i * rows_each,)) for i in range(4)]
    for thread in takers + putters:
        thread.start()
    for thread in putters:
        thread.join()
    queue.close()
    for thread in takers:
        thread.join()
    assert sorted(row for rows in taken for row in rows) == list(range(4 * rows_each))
    assert queue.put_count == queue.taken_count == 4 * rows_each


def test_refuses_senseless_limits():
    """Limits out of range are the caller's fault, said with their values."""
    with pytest.raises(ConfigError, match=r"max_batch >= 1.*not 4, 0 and 0"):
        BatchQueue(4, 0)


def test_repr_shows_its_state():
    """A repr says how many wait, of how many, and whether it is open."""
    queue = BatchQueue(64, 8)
    for row in range(7):
        queue.put_nowait(row)
    assert repr(queue) == "<BatchQueue [7 waiting of 64 | open]>"
    queue.close()
    assert repr(queue) == "<BatchQueue [7 waiting of 64 | closed]>"
