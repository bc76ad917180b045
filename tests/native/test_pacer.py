"""The pacer by itself: every row once, never early, never waiting, stopped at once."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from bytemlperf._native.alarm import Alarm
from bytemlperf._native.batch_queue import BatchQueue
from bytemlperf._native.pacer import Pacer
from bytemlperf._native.row_table import RowTable
from bytemlperf.errors import ConfigError, InternalError, QueueClosedError
from bytemlperf.runtime import now_ns

FOREVER_NS = 2**62


def pacer_of(due_ns, *, max_queued=None, capacity=None, **options):
    count = len(due_ns)
    queue = BatchQueue(max_queued or count, 4)
    table = RowTable(capacity or count)
    pacer = Pacer(
        queue,
        table,
        [],
        due_ns=np.asarray(due_ns, np.int64),
        samples=np.arange(count, dtype=np.int64),
        **options,
    )
    pacer.lend()
    return pacer, queue, table


def drained(queue):
    queue.close()
    rows = []
    try:
        while True:
            rows += queue.take_nowait()
    except QueueClosedError:
        return rows


def test_issues_every_row_once_and_never_early():
    """Sleeping or spinning, a row is put after its moment, in the schedule's order."""
    due_ns = np.arange(50, dtype=np.int64) * 200_000
    issued_ns = np.zeros(50, np.int64)
    pacer, queue, table = pacer_of(due_ns, issued_ns=issued_ns)
    start_ns = now_ns()
    pacer.run(start_ns, FOREVER_NS)
    assert pacer.has_ended
    assert pacer.issued_count == 50
    assert sorted(drained(queue)) == list(range(50))
    assert (issued_ns >= start_ns + due_ns).all()
    assert (np.diff(issued_ns) >= 0).all()
    assert pacer.lag.total_count == 50
    assert pacer.lag.min_ns == (issued_ns - start_ns - due_ns).min()
    assert pacer.lag.max_ns == (issued_ns - start_ns - due_ns).max()
    assert (pacer.first_issued_ns, pacer.last_issued_ns) == tuple(issued_ns[[0, -1]])
    pacer.take_back()
    assert table.in_flight_count == 50
    assert repr(pacer) == "<Pacer [50 issued of 50 | 0 refused]>"


def test_a_full_queue_is_counted_and_never_waited_for():
    """Ten rows at once into a queue of four: six are refused, and their row is kept."""
    pacer, queue, table = pacer_of([0] * 10, max_queued=4)
    pacer.run(now_ns(), FOREVER_NS)
    assert (pacer.issued_count, pacer.refused_count) == (4, 6)
    assert pacer.starved_count == pacer.unissued_count == 0
    assert pacer.end_backlog == len(queue) == 4
    assert pacer.peak_in_flight == 4
    assert pacer.mean_backlogs == (1.0, 3.5, 4.0, 4.0)
    pacer.take_back()
    assert table.in_flight_count == 4


def test_no_row_lent_is_told_apart_from_a_full_queue():
    """With fewer rows than arrivals the harness is to blame, and says so."""
    pacer, _, table = pacer_of([0] * 10, capacity=3)
    pacer.run(now_ns(), FOREVER_NS)
    assert (pacer.issued_count, pacer.refused_count, pacer.starved_count) == (3, 0, 7)
    pacer.take_back()
    assert table.in_flight_count == 3


def test_rows_after_the_deadline_are_not_issued():
    """The deadline counts by when a row is due, not by when its turn comes."""
    pacer, _, _ = pacer_of([0, 10, 20, 30])
    start_ns = now_ns() - 1_000_000
    pacer.run(start_ns, start_ns + 20)
    assert (pacer.issued_count, pacer.unissued_count) == (3, 1)


def test_stops_in_the_middle_of_a_long_pause():
    """A row due in an hour does not keep the thread."""
    pacer, _, _ = pacer_of([0, 3600 * 10**9])
    thread = threading.Thread(target=pacer.run, args=(now_ns(), FOREVER_NS))
    thread.start()
    with pytest.raises(InternalError, match="still runs"):
        pacer.take_back()
    pacer.stop()
    thread.join(10)
    assert not thread.is_alive()
    assert pacer.has_ended
    assert pacer.issued_count + pacer.unissued_count == 2


def test_a_closed_queue_refuses():
    """Closing the queue under a pacer ends nothing and loses no row."""
    pacer, queue, table = pacer_of([0, 0])
    queue.close()
    pacer.run(now_ns(), FOREVER_NS)
    assert pacer.refused_count == 2
    pacer.take_back()
    assert table.in_flight_count == 0


@pytest.mark.parametrize(
    ("due_ns", "options", "message"),
    [
        ([5, 4], {}, "row 1 is due at 4 ns"),
        ([-1], {}, "row 0 is due at -1 ns"),
        ([0], {"spin_ns": -1}, "spin_ns must be >= 0"),
        ([0], {"queries": np.zeros(2, np.int32)}, "one moment and one sample"),
        ([0], {"issued_ns": np.zeros(2, np.int64)}, "one moment and one sample"),
    ],
)
def test_refuses_what_is_no_schedule(due_ns, options, message):
    """What cannot be walked is refused before there is a thread."""
    with pytest.raises(ConfigError, match=message):
        pacer_of(due_ns, **options)


def test_alarm_closes_once():
    """A closed alarm gives its descriptor back, and closing it again is harmless."""
    alarm = Alarm()
    alarm.ring_at(0)
    alarm.clear()
    alarm.close()
    assert alarm.fd == -1
    alarm.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        alarm.ring_at(0)
