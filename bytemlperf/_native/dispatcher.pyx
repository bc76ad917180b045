"""The event loop's side of the path: issue rows, drain completions, resume clients.

It is long, but one state: issuing, draining and discarding share the batch in hand, the
rows put off and the reason to stop, and inline each other in the innermost loop.
"""

cimport cython
from cpython.ref cimport PyObject, Py_CLEAR, Py_INCREF
from libc.stdint cimport int64_t

from bytemlperf._native.answer cimport ANSWER_ABANDONED, ANSWER_PENDING, Answer
from bytemlperf._native.batch_queue cimport (
    PUT_FULL,
    PUT_OK,
    BatchQueue,
)
from bytemlperf._native.completion_ring cimport (
    OUTCOME_CANCELLED,
    OUTCOME_FAILED,
    OUTCOME_FATAL,
    OUTCOME_OK,
    BELL_ASLEEP,
    BELL_SPINNING,
    CompletionRing,
    Doorbell,
)
from bytemlperf._native.current_task cimport leave_last_task
from bytemlperf._native.parking cimport (
    end_spin,
    note_wait,
    part_ways,
    spin_budget,
    spin_step,
    wait_for_quiet,
)
from bytemlperf._native.posix cimport load_acquire, monotonic_ns, store_release
from bytemlperf._native.row_table cimport Row, RowTable, acquire_row, release_row
from bytemlperf._native.timeline cimport FOLDED_TOGETHER, Stamps, Timeline

from asyncio import InvalidStateError

ISSUED = ISSUE_OK
FULL = ISSUE_FULL
STOPPED = ISSUE_STOPPED
CLOSED = ISSUE_CLOSED

STOPPED_BY_NOTHING = STOP_NONE
STOPPED_BY_TIME = STOP_TIME
STOPPED_BY_QUERIES = STOP_QUERIES
STOPPED_BY_SETTLING = STOP_SETTLED
STOPPED_BY_FAILURE = STOP_FAILED
STOPPED_BY_REQUEST = STOP_ASKED

# Rows drained before the loop gets a turn: without it, clients that answer at once
# would keep timers and sockets waiting for ever.
cdef int64_t DRAIN_BUDGET = 4096
cdef int64_t FOREVER = 0x7FFFFFFFFFFFFFFF
# And the time after which it gets one although the next answers are near.
cdef int64_t MAX_DRAIN_NS = 1_000_000
# How long to let a short call of predict finish before asking for the GIL.
cdef int64_t MAX_CALL_NS = 10_000


@cython.final
cdef class Dispatcher:
    """Issue rows into the queue, and hand out what comes back.

    Parameters
    ----------
    queue, table, bell, rings
        The structures shared with the predict threads; a ring for each thread.
    timeline : Timeline, optional
        Where rows are folded; None keeps no books.
    on_failure : callable, optional
        ``on_failure(error, row_count, sample_index)`` for each failed batch, with
        the first sample of its first row (-1: data of its own).
    stop_on_failure : bool, default False
        Whether the first failure ends the phase and drops what is queued.
    may_spin : bool, default False
        Whether there is a processor to wait on without sleeping.

    Notes
    -----
    Thread-safety: loop thread only. `drain` and `discard` resume clients in place, so
    they must run as plain callbacks of the loop, never inside a task.
    """

    def __cinit__(
        self,
        BatchQueue queue not None,
        RowTable table not None,
        Doorbell bell not None,
        list rings not None,
        *,
        Timeline timeline=None,
        on_failure=None,
        bint stop_on_failure=False,
        bint may_spin=False,
    ):
        self._waits.is_allowed = may_spin
        self._queue = queue
        self._table = table
        self._bell = bell
        self._rings = list(rings)
        self._timeline = timeline
        self._on_failure = on_failure
        self._stop_on_failure = stop_on_failure
        self._batch.payload = NULL
        self._has_room_for_all = queue.max_queued >= table.capacity
        self._deadline_ns = 0x7FFFFFFFFFFFFFFF
        self._max_queries = -1

    def __dealloc__(self):
        Py_CLEAR(self._batch.payload)

    # -- a phase ---------------------------------------------------------------

    def begin_phase(
        self,
        *,
        refill,
        int64_t start_ns,
        bint is_warm_up,
        int64_t deadline_ns,
        int64_t min_queries,
        int64_t max_queries,
    ):
        """Open a phase; the pipeline must be drained.

        Parameters
        ----------
        refill : callable
            Returns the next first samples, int64, in order of issue.
        start_ns : int
            When the phase begins, ns.
        is_warm_up : bool
            Whether a settled service time ends it.
        deadline_ns : int
            After this moment nothing is issued, if `min_queries` are done.
        min_queries, max_queries : int
            Queries to complete at least, to issue at most (-1: any number).
        """
        self._refill = refill
        self._plan = None
        self._plan_position = 0
        self._plan_size = 0
        self._deadline_ns = deadline_ns
        self._min_queries = min_queries
        self._max_queries = max_queries
        self.issued_count = 0
        self.stop_reason = STOP_NONE
        self._timeline.begin(start_ns=start_ns, is_warm_up=is_warm_up)

    cdef bint _must_stop(self, int64_t now_ns) noexcept nogil:
        if self.stop_reason != STOP_NONE:
            return True
        if self._max_queries >= 0 and self.issued_count >= self._max_queries:
            self.stop_reason = STOP_QUERIES
        elif self._timeline.completed_count + self._stamps_count >= self._min_queries:
            if now_ns >= self._deadline_ns:
                self.stop_reason = STOP_TIME
            elif self._timeline.is_warm_up and self._timeline.is_settled:
                self.stop_reason = STOP_SETTLED
        return self.stop_reason != STOP_NONE

    cdef int64_t c_next_sample(self) noexcept nogil:
        """Draw the first sample of the plan's next query; -1 if that failed."""
        if self._plan_position >= self._plan_size and not self._draw():
            return -1
        self._plan_position += 1
        return self._plan[self._plan_position - 1]

    cdef bint _draw(self) noexcept with gil:
        try:
            self._plan = self._refill()
        except BaseException as error:
            self.fatal_error = error
            self.stop_reason = STOP_FAILED
            return False
        self._plan_position = 0
        self._plan_size = self._plan.shape[0]
        self._plan_data = &self._plan[0]
        return True

    def must_stop(self):
        """Whether nothing more may be issued in this phase."""
        return self._must_stop(monotonic_ns())

    def stop(self):
        """Issue nothing more in this phase."""
        if self.stop_reason == STOP_NONE:
            self.stop_reason = STOP_ASKED

    # -- issue -------------------------------------------------------------------

    def issue(self, Answer answer not None, int64_t client, int64_t scheduled_ns):
        """Issue the plan's next query for a client; an issue code."""
        return self.c_issue(answer, client, scheduled_ns)

    cdef int c_issue(
        self, Answer answer, int64_t client, int64_t scheduled_ns
    ) except -1:
        cdef int64_t now_ns = monotonic_ns()
        cdef int64_t row_number
        cdef Row* row
        if self._must_stop(now_ns):
            return ISSUE_STOPPED
        if self._plan_position >= self._plan_size:
            self._plan = self._refill()
            self._plan_position = 0
            self._plan_size = self._plan.shape[0]
            self._plan_data = &self._plan[0]
        row_number = acquire_row(self._table)
        if row_number < 0:
            return ISSUE_FULL
        row = &self._table.rows[row_number]
        row.scheduled_ns = scheduled_ns
        row.issued_ns = now_ns
        row.sample_index = self._plan_data[self._plan_position]
        row.client = client
        return self._put(answer, row_number, now_ns)

    def issue_data(self, Answer answer not None, arrays, addresses):
        """Issue a query that brings its own arrays; an issue code.

        Parameters
        ----------
        answer : Answer
            What its client will await.
        arrays : object
            Kept alive until the answer is observed.
        addresses : sequence of int
            Where each input's data begins, in the order of the inputs.
        """
        cdef int64_t now_ns = monotonic_ns()
        cdef int64_t row_number = acquire_row(self._table)
        cdef Py_ssize_t j
        cdef Row* row
        if row_number < 0:
            return ISSUE_FULL
        row = &self._table.rows[row_number]
        row.scheduled_ns = now_ns
        row.issued_ns = now_ns
        row.sample_index = -1
        row.client = -1
        for j in range(self._table.input_count):
            self._table.sources[row_number * self._table.input_count + j] = (
                <const char*><size_t>addresses[j]
            )
        Py_INCREF(arrays)
        self._table.keepalives[row_number] = <PyObject*>arrays
        return self._put(answer, row_number, now_ns)

    cdef int _put(self, Answer answer, int64_t row_number, int64_t now_ns) except -1:
        cdef int code
        if answer._state == ANSWER_PENDING or answer._state == ANSWER_ABANDONED:
            raise InvalidStateError("an answer can serve one query at a time")
        answer._state = ANSWER_PENDING
        answer.payload = None
        Py_INCREF(answer)
        self._table.waiters[row_number] = <PyObject*>answer
        if self._is_handing_out and self._has_room_for_all:
            # Those issued while a batch is handed out are put together at its end.
            self._pending[self._pending_count].row = row_number
            self._pending[self._pending_count].issued_ns = now_ns
            self._pending_count += 1
            if self._pending_count == PENDING_LIMIT:
                self._put_pending()
            self._plan_position += 1
            self.issued_count += 1
            self._fresh_ns = now_ns
            return ISSUE_OK
        code = self._queue.c_put(row_number, now_ns)
        if code == PUT_OK:
            self._plan_position += 1
            self.issued_count += 1
            self._fresh_ns = now_ns
            if self.on_issue is not None and not self._is_handing_out:
                self.on_issue()
            return ISSUE_OK
        answer._state = 0
        release_row(self._table, row_number)
        return ISSUE_FULL if code == PUT_FULL else ISSUE_CLOSED

    cdef void _put_pending(self) noexcept:
        # It cannot be refused. Rows are put off only if the queue holds as many as the
        # table has (`_has_room_for_all`), and each of them, queued or put off, has a
        # row of the table to itself. A queue closed meanwhile takes them too: a predict
        # thread that has not looked yet serves them, and after the last one has ended
        # `Predictor.stop` discards them. The debug build asserts it, and every build
        # counts that what was put was taken (`Predictor.stop`).
        if self._pending_count:
            self._queue.c_put_queued(self._pending, self._pending_count)
            self._pending_count = 0

    # -- drain -------------------------------------------------------------------

    cdef bint _is_idle(self):
        cdef CompletionRing ring
        if self._remaining:
            return False
        for ring in self._rings:
            if not ring.c_is_empty():
                return False
        return True

    cdef int _begin_batch(self, CompletionRing ring) except -1:
        # Copied and taken off at once: a client resumed below may issue a row whose
        # batch needs the very same place in the ring.
        self._batch = ring.c_peek()[0]
        ring.c_advance()
        if self._idle_since_ns:
            # Finished is not enough: the thread may have put off saying so.
            note_wait(
                &self._waits,
                max(self._batch.done_ns, load_acquire(self._bell.rung_ns))
                - self._idle_since_ns,
            )
            self._idle_since_ns = 0
        self._batch_ring = ring
        self._position = 0
        self._remaining = self._batch.row_count
        if self._timeline is not None:
            self._timeline.c_begin_batch(&self._batch)
        if self._batch.outcome == OUTCOME_FATAL:
            self.fatal_error = <object>self._batch.payload
            self.stop_reason = STOP_FAILED
            self._discard_pending = True
        elif self._batch.outcome == OUTCOME_FAILED:
            if self._stop_on_failure:
                self.stop_reason = STOP_FAILED
                self._discard_pending = True
            if self._on_failure is not None:
                self._on_failure(
                    <object>self._batch.payload,
                    self._batch.row_count,
                    self._table.rows[ring.c_peek_row()].sample_index,
                )
        return 0

    cdef int64_t _hand_out(self, int64_t budget) except -1:
        """Resume the clients of the current batch; how many rows were handed out."""
        cdef CompletionRing ring = self._batch_ring
        cdef RowTable table = self._table
        cdef int64_t handed = 0
        cdef int64_t row_number, observed_ns
        cdef int outcome
        cdef Answer answer
        while self._remaining and handed < budget:
            row_number = ring._rows[ring._row_head & ring._mask]
            ring._row_head += 1
            self._remaining -= 1
            if table.waiters[row_number] == NULL:
                # Paced: nobody waits, so it is observed when it is done.
                self._note(row_number, self._batch.done_ns, self._batch.outcome)
                release_row(table, row_number)
                self._position += 1
                handed += 1
                continue
            answer = <Answer>table.waiters[row_number]
            # A query that was issued a moment ago, while the last row was handed out,
            # has just read the clock.
            observed_ns = self._fresh_ns
            if observed_ns < self._batch.done_ns:
                observed_ns = monotonic_ns()
            self._fresh_ns = 0
            outcome = self._batch.outcome
            if outcome == OUTCOME_OK and answer._state == ANSWER_ABANDONED:
                outcome = OUTCOME_CANCELLED
            self._note(row_number, observed_ns, outcome)
            release_row(table, row_number)
            if answer._state != ANSWER_ABANDONED:
                answer.observed_ns = observed_ns
                answer.outcome = outcome
                answer.position = self._position
                answer.batch_size = self._batch.row_count
                if self._batch.payload != NULL:
                    answer.payload = <object>self._batch.payload
            self._position += 1
            handed += 1
            if answer._state != ANSWER_ABANDONED:
                self._last_loop = answer._loop
                answer.c_wake()
        self._put_pending()
        self._write_books()
        return handed

    cdef int _note(
        self, int64_t row_number, int64_t observed_ns, int outcome
    ) except -1:
        """Remember an answered row's stamps; write others down at once."""
        cdef Row* row = &self._table.rows[row_number]
        cdef Stamps* stamps
        if self._timeline is None:
            return 0
        if outcome != OUTCOME_OK or self._timeline._chunk != NULL:
            self._timeline.c_fold(row, &self._batch, observed_ns, outcome)
            return 0
        stamps = &self._stamps[self._stamps_count]
        stamps.scheduled_ns = row.scheduled_ns
        stamps.issued_ns = row.issued_ns
        stamps.observed_ns = observed_ns
        self._stamps_count += 1
        if self._stamps_count == FOLDED_TOGETHER:
            return self._fold_stamps()
        return 0

    cdef int _fold_stamps(self) except -1:
        """Account for the rows whose stamps are remembered."""
        cdef int64_t count = self._stamps_count
        if count:
            self._stamps_count = 0
            self._timeline.c_fold_many(self._stamps, count, &self._batch)
        return 0

    cdef int _write_books(self) except -1:
        """Account for what was handed out, and for the batch if it is over."""
        self._fold_stamps()
        if self._remaining == 0:
            if self._timeline is not None:
                self._timeline.c_end_batch(&self._batch)
            Py_CLEAR(self._batch.payload)
        return 0

    cdef int64_t _drain_rings(self, int64_t budget) except -1:
        cdef CompletionRing ring
        cdef int64_t handed = 0
        self._is_handing_out = True
        self._fresh_ns = 0
        try:
            if self._remaining:
                handed += self._hand_out(budget)
            for ring in self._rings:
                while handed < budget and not ring.c_is_empty():
                    self._begin_batch(ring)
                    handed += self._hand_out(budget - handed)
        finally:
            self._is_handing_out = False
            self._put_pending()
            self._write_books()
            self._leave_tasks()
        return handed

    cdef int _leave_tasks(self) except -1:
        """Let no task be the current one that was resumed in this drain."""
        loop = self._last_loop
        if loop is not None:
            self._last_loop = None
            leave_last_task(loop)
        return 0

    cdef int64_t c_hand_out_all(self) except -1:
        """Hand out what has come back, without end: for a lane on the loop."""
        cdef int64_t handed = self._drain_rings(FOREVER)
        if self._discard_pending:
            self._discard_pending = False
            self.discard()
        if self.blocked_count and self.on_space is not None:
            self.on_space()
        return handed

    cdef bint _await_work(self):
        """Spin for a while if that may pay, then get ready to sleep; whether not to."""
        cdef int64_t start_ns, last_ns, budget_ns
        cdef bint is_hit
        start_ns = monotonic_ns()
        if self._idle_since_ns == 0:
            self._idle_since_ns = start_ns
        budget_ns = 0
        if self._table._free_count < self._table.capacity:
            budget_ns = spin_budget(&self._waits, start_ns)
            if budget_ns == 0:
                self._waits.parked_count += 1
        if budget_ns:
            self._bell.c_arm(BELL_SPINNING)
            if not self._is_idle():
                self._bell.c_disarm()
                return True
            with nogil:
                store_release(self._bell.is_running, 0)
                last_ns = start_ns
                while self._bell.c_is_spinning() and spin_step(
                    &self._waits, start_ns, &last_ns, budget_ns
                ):
                    pass
                is_hit = self._bell.c_disarm()
                end_spin(&self._waits, start_ns, last_ns, is_hit)
                store_release(self._bell.is_running, 1)
                wait_for_quiet(self._bell.is_calling, MAX_CALL_NS)
            if is_hit:
                return True
        self._bell.c_arm(BELL_ASLEEP)
        if self._is_idle():
            return False
        self._bell.c_disarm()
        return True

    def drain(self):
        """Hand out what has come back, and go to sleep properly."""
        cdef int64_t budget = DRAIN_BUDGET
        cdef int64_t start_ns = monotonic_ns()
        cdef int64_t until_ns = start_ns + MAX_DRAIN_NS
        cdef bint finished = False
        part_ways(
            &self._waits, self._bell.reader_cpu, self._bell.ringer_cpu, start_ns
        )
        self._bell.c_clear()
        store_release(self._bell.is_running, 1)
        try:
            while budget > 0 and monotonic_ns() < until_ns:
                budget -= self._drain_rings(budget)
                if budget > 0 and self._is_idle() and not self._await_work():
                    finished = True
                    break
        finally:
            store_release(self._bell.is_running, 0)
            # Out of budget, or a client raised what stops the loop: come back.
            if not finished:
                self._bell.c_ring()
        if self._discard_pending:
            self._discard_pending = False
            self.discard()
        if self.blocked_count and self.on_space is not None:
            self.on_space()

    def collect(self):
        """Take in what has come back, and neither wait nor ask to be woken.

        For rows that nobody waits for: predict threads then never ring.
        """
        while self._drain_rings(DRAIN_BUDGET):
            pass
        if self._discard_pending:
            self._discard_pending = False
            self.discard()

    def discard(self):
        """Drop every queued row: its client is resumed with a cancelled outcome."""
        cdef int64_t[256] taken
        cdef int64_t count, i, observed_ns
        cdef Answer answer
        while True:
            count = self._queue.c_discard(taken, 256)
            if count == 0:
                self._leave_tasks()
                return
            for i in range(count):
                observed_ns = monotonic_ns()
                if self._timeline is not None:
                    self._timeline.c_fold(
                        &self._table.rows[taken[i]], NULL, observed_ns,
                        OUTCOME_CANCELLED,
                    )
                if self._table.waiters[taken[i]] == NULL:
                    release_row(self._table, taken[i])
                    continue
                answer = <Answer>self._table.waiters[taken[i]]
                release_row(self._table, taken[i])
                if answer._state != ANSWER_ABANDONED:
                    answer.observed_ns = observed_ns
                    answer.outcome = OUTCOME_CANCELLED
                    self._last_loop = answer._loop
                    answer.c_wake()

    @property
    def waits(self):
        """Waits for answers: as `bytemlperf.runtime.hand_over.WaitCounts`."""
        return (
            self._waits.hit_count,
            self._waits.miss_count,
            self._waits.parked_count,
            self._waits.preempted_count,
            self._waits.spun_ns,
            self._waits.moved_count,
        )

    @property
    def free_count(self):
        """Queries that could be issued now without waiting."""
        return min(
            self._queue.max_queued - self._queue.c_count(), self._table._free_count
        )

    def __repr__(self):
        return (
            f"<Dispatcher [{self.issued_count} issued | "
            f"{self._table.in_flight_count} in flight]>"
        )
