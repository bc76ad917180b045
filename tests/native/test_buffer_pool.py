"""The buffer pool against its twin: counts, alignment, read-only views, misuse."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from pool_twin import PoolTwin

from bytemlperf._native.buffer_pool import AlignedBuffer, BufferPool, SlotView
from bytemlperf.errors import ConfigError, PoolExhaustedError, ResourceError


class PoolMachine(RuleBasedStateMachine):
    """Slots are acquired, written, viewed and released in every order."""

    @initialize(slot_count=st.integers(1, 4), slot_bytes=st.integers(1, 130))
    def start(self, slot_count, slot_bytes):
        self.pool = BufferPool(slot_count, slot_bytes)
        self.twin = PoolTwin(slot_count, slot_bytes)
        self.views = []

    @rule()
    def acquire(self):
        if self.twin.free:
            slot = self.pool.acquire_nowait()
            self.twin.acquire(slot)
            assert self.pool.address(slot) % 64 == 0
        else:
            with pytest.raises(PoolExhaustedError, match="slots are acquired"):
                self.pool.acquire_nowait()

    @rule(slot=st.integers(0, 3))
    def release(self, slot):
        if slot < len(self.twin.memory) and self.twin.release(slot):
            self.pool.release(slot)
        else:
            with pytest.raises(ResourceError, match=f"slot {slot} "):
                self.pool.release(slot)

    @rule(
        slot=st.integers(0, 3), data=st.binary(max_size=80), offset=st.integers(0, 200)
    )
    def write(self, slot, data, offset):
        if slot < len(self.twin.memory) and self.twin.write(slot, data, offset):
            self.pool.write(slot, data, offset=offset)
        else:
            with pytest.raises(ResourceError, match=f"slot {slot}"):
                self.pool.write(slot, data, offset=offset)

    @rule(slot=st.integers(0, 3))
    def view(self, slot):
        if slot < len(self.twin.memory) and slot not in self.twin.free:
            self.views.append((slot, self.pool.view(slot)))
            self.twin.views[slot] += 1

    @rule()
    def drop_view(self):
        if self.views:
            slot, view = self.views.pop()
            view.release()
            self.twin.views[slot] -= 1

    @invariant()
    def agree(self):
        if hasattr(self, "pool"):
            assert self.pool.free_count == len(self.twin.free)
            assert self.pool.acquired_count == self.twin.acquired_count
            assert self.pool.released_count == self.twin.released_count
            for slot, view in self.views:
                assert view.readonly
                assert bytes(view) == bytes(self.twin.memory[slot])
                assert self.pool.export_count(slot) == self.twin.views[slot]


PoolMachine.TestCase.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, derandomize=True
)
TestPoolMachine = PoolMachine.TestCase


def test_acquire_waits_for_a_release():
    """A waiting acquire gets the slot that another thread gives back."""
    pool = BufferPool(1, 64)
    slot = pool.acquire()
    got = []
    waiter = threading.Thread(target=lambda: got.append(pool.acquire()))
    waiter.start()
    pool.release(slot)
    waiter.join()
    assert got == [slot]


def test_acquire_gives_up_in_time():
    """With nothing free, a bounded wait ends as acquire_nowait does."""
    pool = BufferPool(1, 64)
    pool.acquire()
    with pytest.raises(PoolExhaustedError, match="all 1 slots"):
        pool.acquire(timeout_ns=1000)


def test_views_outlive_the_pool():
    """Memory lives as long as its last view, whatever happens to the pool."""
    pool = BufferPool(1, 64)
    slot = pool.acquire_nowait()
    pool.write(slot, b"abc")
    array = np.frombuffer(pool.view(slot, nbytes=3), dtype=np.uint8)
    del pool
    assert bytes(array) == b"abc"
    assert not array.flags.writeable


def test_close_counts_what_is_missing():
    """A pool with slots still out refuses to close; a balanced one refuses acquires."""
    pool = BufferPool(2, 64)
    slot = pool.acquire_nowait()
    with pytest.raises(ResourceError, match="1 slots were acquired and not released"):
        pool.close()
    pool.release(slot)
    pool.close()
    with pytest.raises(ResourceError, match="the pool is closed"):
        pool.acquire_nowait()


def test_views_are_made_by_the_pool_only():
    """A view of nothing cannot be made."""
    with pytest.raises(TypeError, match=r"BufferPool\.view"):
        SlotView()


def test_aligned_buffer_freezes_once_nobody_writes():
    """A buffer turns read-only, but not under a live writable view."""
    buffer = AlignedBuffer(100)
    assert buffer.address % 64 == 0
    writable = np.frombuffer(buffer, dtype=np.uint8)
    writable[:] = 7
    with pytest.raises(ResourceError, match="1 live writable views"):
        buffer.freeze()
    del writable
    buffer.freeze()
    frozen = np.frombuffer(buffer, dtype=np.uint8)
    assert not frozen.flags.writeable
    assert frozen.tolist() == [7] * 100
    assert AlignedBuffer(5000).address % 4096 == 0


def test_refuses_senseless_sizes():
    """Sizes out of range are the caller's fault, said with their values."""
    with pytest.raises(ConfigError, match=r"slot_count >= 1.*not 0 and 5"):
        BufferPool(0, 5)
    with pytest.raises(ConfigError, match="at least 0 bytes, not -1"):
        AlignedBuffer(-1)
