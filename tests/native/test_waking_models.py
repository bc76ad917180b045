"""No wake-up is lost: every interleaving of the protocol, and what each step is for.

The models repeat the steps of the native code; the marks in both places (P2, R5, ...)
say which is which. A model in which one step is done wrong must get stuck, or it would
prove nothing.
"""

from __future__ import annotations

import doorbell_model
import pytest
import queue_model
from doorbell_model import clients_model, loop_model
from queue_model import QueueModel

Doorbell = doorbell_model.Broken
Queue = queue_model.Broken


def test_no_ring_of_a_doorbell_is_lost():
    """A predict thread and a loop that drains: both get to the end in any case."""
    found = loop_model(1, 1).explore()
    assert found.trace is None
    assert found.state_count > 5000


@pytest.mark.parametrize(
    "broken",
    [each for each in Doorbell if each not in {Doorbell.NOTHING, Doorbell.NOT_JOINED}],
    ids=lambda each: each.name,
)
def test_each_step_of_the_doorbell_is_needed(broken):
    """With one step left out or too late there is a way to sleep for ever."""
    assert loop_model(1, 1, broken).explore().trace is not None


@pytest.mark.slow
@pytest.mark.parametrize(
    "make",
    [lambda: loop_model(1, 3), lambda: loop_model(2, 1, spins=False)],
    ids=["three batches", "two predict threads"],
)
def test_no_ring_is_lost_with_more_of_them(make):
    """Nor with batches whose ring is put off, nor with two that ring at once."""
    assert make().explore().trace is None


@pytest.mark.slow
def test_native_clients_think_hear_and_end():
    """Native clients sleep until a thought ends or the bell rings, and are joined."""
    assert clients_model(1).explore().trace is None


@pytest.mark.slow
def test_two_readers_of_one_bell_lose_it():
    """Why the loop joins the clients' thread first: else that takes the loop's ring."""
    assert clients_model(1, Doorbell.NOT_JOINED).explore().trace is not None


@pytest.mark.parametrize("delays", [False, True], ids=["at once", "delay"])
@pytest.mark.parametrize(
    ("takers", "puts", "max_batch"),
    [(2, (1, 1, 1, 1), 2), (2, (4,), 2), (3, (1, 1, 1), 1), (3, (1, 2, 1, 1), 2)],
    ids=str,
)
def test_takers_are_woken_for_all_there_is(takers, puts, max_batch, delays):
    """No row is left behind by a sleeping taker, and no full batch waits for one."""
    found = QueueModel(takers, puts, max_batch, delays=delays).explore()
    assert found.trace is None


@pytest.mark.parametrize(
    ("broken", "puts"),
    [
        (Queue.NEVER_BACK, (1, 1, 1, 1)),
        (Queue.NO_REST, (4,)),
        (Queue.FIRST_ONLY, (1, 1, 1, 1)),
        (Queue.NO_DEADLINE, (1, 1, 1, 1)),
        (Queue.SILENT_CLOSE, (1,)),
    ],
    ids=str,
)
def test_each_step_of_the_queue_is_needed(broken, puts):
    """With one step left out, a taker sleeps beside a row."""
    found = QueueModel(2, puts, 2, delays=True, broken=broken).explore()
    assert found.trace is not None
