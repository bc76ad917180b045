"""Dispatcher, table, ring and queue on one thread against their twin."""

from __future__ import annotations

import asyncio

import numpy as np
from dispatch_twin import DispatchTwin
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from bytemlperf._native.answer import Answer
from bytemlperf._native.batch_queue import BatchQueue
from bytemlperf._native.buffer_pool import BufferPool
from bytemlperf._native.completion_ring import (
    CANCELLED,
    FAILED,
    OK,
    CompletionRing,
    Doorbell,
)
from bytemlperf._native.dispatcher import CLOSED, FULL, ISSUED, Dispatcher
from bytemlperf._native.lane import LoopLane
from bytemlperf._native.predict_loop import PredictLoop
from bytemlperf._native.row_table import RowTable

CODES = {"issued": ISSUED, "full": FULL, "closed": CLOSED}
OUTCOMES = {"ok": OK, "failed": FAILED}


class DispatchMachine(RuleBasedStateMachine):
    """Queries are issued, given up, served, failed and dropped in every order."""

    def __init__(self):
        super().__init__()
        self.loop = asyncio.new_event_loop()

    def teardown(self):
        self.loop.close()

    @initialize(
        capacity=st.integers(1, 7),
        max_queued=st.integers(1, 7),
        max_batch=st.integers(1, 4),
    )
    def start(self, capacity, max_queued, max_batch):
        self.queue = BatchQueue(max_queued, max_batch)
        self.table = RowTable(capacity, input_count=1)
        self.ring = CompletionRing(capacity)
        bell = Doorbell()
        self.failures = []
        self.dispatcher = Dispatcher(
            self.queue,
            self.table,
            bell,
            [self.ring],
            on_failure=lambda error, count, _: self.failures.append(count),
        )
        pool = BufferPool(1, 4 * max_batch)
        slot = pool.acquire_nowait()
        buffer = np.frombuffer(pool.view(slot, nbytes=4 * max_batch), np.float32)
        predict_loop = PredictLoop(
            self.queue,
            self.table,
            self.ring,
            bell,
            thread_index=0,
            thread_count=1,
            samples_per_query=1,
            inputs=[("x", None, buffer.reshape(-1, 1), 0, pool.address(slot), 4, 1)],
            on_outputs=lambda outputs, feeds, count: outputs,
            kept_outputs=-1,
        )
        self.fails = False
        self.turns = []
        self.lane = LoopLane(
            self.dispatcher,
            self.queue,
            predict_loop,
            predict=self.predict,
            call_soon=self.turns.append,
        )
        self.twin = DispatchTwin(capacity, max_queued, max_batch)
        self.answers = {}
        self.next_query = 0

    def predict(self, feeds):
        if self.fails:
            raise ValueError("as asked")
        return feeds["x"][:, 0] + 1

    @rule(value=st.integers(-1000, 1000))
    def issue(self, value):
        array = np.full((1, 1), value, np.float32)
        answer = Answer(self.loop)
        code = self.dispatcher.issue_data(
            answer, (array,), [array.__array_interface__["data"][0]]
        )
        query = self.next_query
        self.next_query += 1
        assert code == CODES[self.twin.issue(query, value)]
        if code == ISSUED:
            self.answers[query] = answer

    @rule(which=st.integers(0, 6))
    def give_up(self, which):
        if which < len(self.twin.waiting):
            query, _ = self.twin.waiting[which]
            assert self.answers[query].cancel() is (query not in self.twin.given_up)
            self.twin.given_up.add(query)

    @rule(fails=st.booleans())
    def turn(self, fails):
        self.fails = fails
        before = len(self.failures)
        rows = len(self.twin.waiting)
        told = self.twin.serve(fails=fails)
        self.turns.clear()
        self.lane.turn()
        for query, expected in told.items():
            answer = self.answers.pop(query)
            assert answer.done()
            assert answer.outcome == OUTCOMES[expected.outcome]
            assert answer.position == expected.position
            assert answer.batch_size == expected.batch_size
            if fails:
                assert isinstance(answer.payload, ValueError)
            else:
                assert answer.payload[answer.position] == expected.value
        assert sum(self.failures[before:]) == (rows if fails else 0)

    @rule()
    def discard(self):
        told = self.twin.discard()
        self.dispatcher.discard()
        for query in told:
            assert self.answers.pop(query).outcome == CANCELLED

    @rule()
    def close(self):
        self.queue.close()
        self.twin.is_closed = True

    @invariant()
    def agree(self):
        if hasattr(self, "queue"):
            waiting = len(self.twin.waiting)
            assert len(self.queue) == self.table.in_flight_count == waiting
            assert self.queue.put_count - self.queue.taken_count == waiting
            # Whoever is queued has a turn coming.
            assert not waiting or self.turns


DispatchMachine.TestCase.settings = settings(
    max_examples=40, stateful_step_count=40, deadline=None, derandomize=True
)
TestDispatchMachine = DispatchMachine.TestCase
