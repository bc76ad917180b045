"""Clients without Python: they ask, wait, think and ask again without the GIL.

A client is a row of the table and the number of queries it has left. In a lane the
predict thread itself observes the answers and asks the next queries. Through the
hand-over a thread of their own does it: the clients think there, and ask while predict
is at work.

It is long, but one lock: what both ways do with a batch's clients is the same code, and
the thread of their own adds its sleep, which reads the same fields.
"""

cimport cython
from cpython.ref cimport PyObject, Py_CLEAR
from libc.stdint cimport int64_t
from libc.stdlib cimport calloc, free, malloc

from bytemlperf._native.batch_queue cimport BatchQueue
from bytemlperf._native.completion_ring cimport (
    BELL_ASLEEP,
    BELL_SPINNING,
    OUTCOME_CANCELLED,
    OUTCOME_FATAL,
    OUTCOME_OK,
    BatchRecord,
    CompletionRing,
    Doorbell,
)
from bytemlperf._native.dispatcher cimport (
    STOP_ASKED,
    STOP_FAILED,
    STOP_NONE,
    STOP_QUERIES,
    Dispatcher,
)
from bytemlperf._native.parking cimport (
    end_spin,
    note_wait,
    part_ways,
    relax,
    spin_budget,
    spin_step,
    wait_readable,
)
from bytemlperf._native.posix cimport (
    invariant,
    load_acquire,
    monotonic_ns,
    next_power_of_two,
    pthread_mutex_destroy,
    pthread_mutex_init,
    pthread_mutex_lock,
    pthread_mutex_trylock,
    pthread_mutex_unlock,
    store_release,
)
from bytemlperf._native.row_table cimport Row, RowTable
from bytemlperf._native.timeline cimport Timeline

from bytemlperf.errors import ConfigError

cdef enum:
    # Rows put or taken at once outside of a batch.
    CHUNK = 256
    # Woken so long before a thought ends; the rest is spun.
    EARLY_NS = 80_000


@cython.final
cdef class NativeClients:
    """The native clients of a run.

    Parameters
    ----------
    dispatcher : Dispatcher
        Keeps the phase: its plan, its limits, why it stopped.
    queue, table, timeline
        Shared with the predict threads; the table has a row for each client, and the
        queue room for all of them.
    bell : Doorbell
        Rung by predict threads, if the clients have a thread of their own.
    rings : list of CompletionRing
        One for each predict thread; empty if they are lanes.
    client_count : int
        Clients, >= 1.
    think_ns : int
        From an answer to the moment the client's next query is due, ns, >= 0.
    on_empty : callable
        Called when the last client has ended, in whatever thread.
    may_spin : bool
        Whether there is a processor to wait on without sleeping.

    Notes
    -----
    Thread-safety: any thread, without the GIL; `begin` only between phases.
    """

    def __cinit__(
        self,
        Dispatcher dispatcher not None,
        BatchQueue queue not None,
        RowTable table not None,
        Timeline timeline not None,
        Doorbell bell not None,
        list rings not None,
        *,
        int64_t client_count,
        int64_t think_ns,
        on_empty,
        bint may_spin=False,
    ):
        cdef Py_ssize_t i
        cdef CompletionRing ring
        self._left = self._issued = self._thinking = NULL
        self._ring_pointers = NULL
        if not 1 <= client_count <= min(table.capacity, queue.max_queued):
            raise ConfigError(
                f"{client_count} native clients need a row and a place in the queue "
                f"each, but there are {table.capacity} and {queue.max_queued}"
            )
        self._dispatcher = dispatcher
        self._queue = queue
        self._table = table
        self._timeline = timeline
        self._bell = bell
        self._rings = list(rings)
        self._ring_count = len(rings)
        self._on_empty = on_empty
        self._waits.is_allowed = may_spin
        self.client_count = client_count
        self.think_ns = think_ns
        self._left = <int64_t*>calloc(client_count, sizeof(int64_t))
        self._issued = <int64_t*>malloc(max(queue.max_batch, CHUNK) * sizeof(int64_t))
        self._ring_pointers = <PyObject**>calloc(
            max(self._ring_count, 1), sizeof(PyObject*)
        )
        if (
            self._left == NULL or self._issued == NULL or self._ring_pointers == NULL
        ):
            raise MemoryError(f"no memory for {client_count} clients")
        for i, ring in enumerate(self._rings):
            self._ring_pointers[i] = <PyObject*>ring
        if think_ns:
            self._thinking = <int64_t*>malloc(
                next_power_of_two(client_count) * sizeof(int64_t)
            )
            if self._thinking == NULL:
                raise MemoryError(f"no memory for {client_count} clients that think")
        pthread_mutex_init(&self._mutex, NULL)
        self._initialised = True

    def __dealloc__(self):
        if self._initialised:
            pthread_mutex_destroy(&self._mutex)
        free(self._left)
        free(self._issued)
        free(self._thinking)
        free(self._ring_pointers)

    cdef void c_lock(self) noexcept nogil:
        pthread_mutex_lock(&self._mutex)

    cdef bint c_try_lock(self) noexcept nogil:
        return pthread_mutex_trylock(&self._mutex) == 0

    # -- a phase, seen from the loop thread ----------------------------------------

    def begin(self, int64_t start_ns, int64_t iterations):
        """Have every client ask its first query.

        Parameters
        ----------
        start_ns : int
            When they are due, ns.
        iterations : int
            Queries of each; -1: any number, until the phase stops.
        """
        cdef int64_t client, now_ns, count
        cdef int64_t next_client = 0
        if self._table.in_flight_count or self.alive_count:
            raise ConfigError("native clients begin when nothing is in flight")
        self._is_endless = iterations < 0
        self.alive_count = self.client_count
        self._table._free_count -= self.client_count
        while next_client < self.client_count:
            with nogil:
                self.c_lock()
                count = 0
                now_ns = monotonic_ns()
                while next_client < self.client_count and count < CHUNK:
                    client = next_client
                    next_client += 1
                    self._left[client] = iterations
                    self._table.rows[client].client = client
                    if iterations != 0 and self._ask(client, start_ns):
                        self._issued[count] = client
                        count += 1
                    else:
                        self._retire(1)
                for client in range(count):
                    self._table.rows[self._issued[client]].issued_ns = now_ns
                self._queue.c_put_many(self._issued, count, now_ns)
                pthread_mutex_unlock(&self._mutex)

    def look(self):
        """Whether the phase has stopped: its time may be over between two answers."""
        cdef bint must_stop
        with nogil:
            self.c_lock()
            must_stop = self._dispatcher._must_stop(monotonic_ns())
            pthread_mutex_unlock(&self._mutex)
        if must_stop and self._rings:
            self._bell.c_ring()     # clients that think must end
        return must_stop

    def stop(self):
        """Have nothing more asked."""
        with nogil:
            self.c_lock()
            if self._dispatcher.stop_reason == STOP_NONE:
                self._dispatcher.stop_reason = STOP_ASKED
            pthread_mutex_unlock(&self._mutex)
        self._bell.c_ring()

    def discard(self):
        """Drop every queued row; its client ends."""
        with nogil:
            self.c_lock()
            self._discard()
            pthread_mutex_unlock(&self._mutex)

    # -- what clients do -------------------------------------------------------------

    cdef bint _ask(self, int64_t client, int64_t scheduled_ns) noexcept nogil:
        """Fill the client's row for its next query; whether it may ask one."""
        cdef Row* row = &self._table.rows[client]
        if self._dispatcher.stop_reason != STOP_NONE:
            return False
        if 0 <= self._dispatcher._max_queries <= self._dispatcher.issued_count:
            self._dispatcher.stop_reason = STOP_QUERIES
            return False
        row.sample_index = self._dispatcher.c_next_sample()
        if row.sample_index < 0:
            return False
        row.scheduled_ns = scheduled_ns
        self._dispatcher.issued_count += 1
        return True

    cdef int64_t c_observe(
        self,
        int64_t* rows,
        BatchRecord* batch,
        int64_t observed_ns,
        int64_t* issued_ns,
    ) noexcept nogil:
        """Take in a finished batch, and have its clients ask again.

        Called with the mutex held, which it gives back. What has to be put into the
        queue stands in `rows` afterwards; how many. In `issued_ns` stands when.
        """
        cdef int64_t i, client
        cdef int64_t mask = 0
        cdef int64_t put_count = 0
        cdef int64_t ended = 0
        cdef int64_t plannable = 0
        cdef int64_t drawn = 0
        cdef const int64_t* plan = NULL
        cdef Row* row
        self._fold(rows, batch, observed_ns)
        if batch.outcome != OUTCOME_OK:
            self._note_failure(batch, rows[0])
            if self._dispatcher._stop_on_failure or batch.outcome == OUTCOME_FATAL:
                self._dispatcher.stop_reason = STOP_FAILED
                self._discard()
            self._retire(batch.row_count)
            pthread_mutex_unlock(&self._mutex)
            return 0
        self._dispatcher._must_stop(observed_ns)
        if self._thinking != NULL:
            mask = next_power_of_two(self.client_count) - 1
        elif (
            self._dispatcher.stop_reason == STOP_NONE
            and self._dispatcher._max_queries < 0
        ):
            plannable = self._dispatcher._plan_size - self._dispatcher._plan_position
            if plannable < batch.row_count:
                plannable = 0       # drawn one by one, and more on the way
            plan = self._dispatcher._plan_data + self._dispatcher._plan_position
        for i in range(batch.row_count):
            client = rows[i]
            if not self._is_endless:
                self._left[client] -= 1
                if self._left[client] <= 0:
                    ended += 1
                    continue
            if self._thinking != NULL:
                self._table.rows[client].scheduled_ns = observed_ns + self.think_ns
                self._thinking[self._thinking_tail & mask] = client
                self._thinking_tail += 1
            elif drawn < plannable:
                # As `_ask`, of which this is the common case.
                row = &self._table.rows[client]
                row.sample_index = plan[drawn]
                row.scheduled_ns = observed_ns
                drawn += 1
                rows[put_count] = client
                put_count += 1
            elif self._ask(client, observed_ns):
                rows[put_count] = client
                put_count += 1
            else:
                ended += 1
        self._dispatcher._plan_position += drawn
        self._dispatcher.issued_count += drawn
        issued_ns[0] = monotonic_ns()
        for i in range(put_count):
            self._table.rows[rows[i]].issued_ns = issued_ns[0]
        if ended:
            self._retire(ended)
        pthread_mutex_unlock(&self._mutex)
        return put_count

    cdef void _fold(
        self, const int64_t* rows, BatchRecord* batch, int64_t observed_ns
    ) noexcept nogil:
        cdef int64_t i, first
        cdef Row* row
        cdef Row* other
        self._timeline.c_begin_batch(batch)
        if batch.outcome != OUTCOME_OK or self._timeline._chunk != NULL:
            for i in range(batch.row_count):
                self._timeline.c_fold(
                    &self._table.rows[rows[i]], batch, observed_ns, batch.outcome
                )
        else:
            # Clients answered together ask together, so rows come in equal runs.
            first = 0
            row = &self._table.rows[rows[0]]
            for i in range(1, batch.row_count):
                other = &self._table.rows[rows[i]]
                if (
                    other.issued_ns != row.issued_ns
                    or other.scheduled_ns != row.scheduled_ns
                ):
                    self._timeline.c_fold_alike(row, batch, observed_ns, i - first)
                    first = i
                    row = other
            self._timeline.c_fold_alike(
                row, batch, observed_ns, batch.row_count - first
            )
        self._timeline.c_end_batch(batch)

    cdef void _retire(self, int64_t count) noexcept nogil:
        self.alive_count -= count
        self._table._free_count += count
        invariant(self.alive_count >= 0, "a native client ends once")
        if self.alive_count == 0 and count:
            self._tell_empty()

    cdef void _discard(self) noexcept nogil:
        cdef int64_t[CHUNK] rows
        cdef int64_t count, i, now_ns
        while True:
            count = self._queue.c_discard(rows, CHUNK)
            if count == 0:
                return
            now_ns = monotonic_ns()
            for i in range(count):
                self._timeline.c_fold(
                    &self._table.rows[rows[i]], NULL, now_ns, OUTCOME_CANCELLED
                )
            self._retire(count)

    cdef void _tell_empty(self) noexcept with gil:
        self._on_empty()

    cdef void _note_failure(self, BatchRecord* batch, int64_t row) noexcept with gil:
        error = <object>batch.payload
        if batch.outcome == OUTCOME_FATAL:
            self._dispatcher.fatal_error = error
        elif self._dispatcher._on_failure is not None:
            self._dispatcher._on_failure(
                error, batch.row_count, self._table.rows[row].sample_index
            )
        Py_CLEAR(batch.payload)

    cdef void _release_payload(self, BatchRecord* batch) noexcept with gil:
        Py_CLEAR(batch.payload)

    # -- a thread of their own -------------------------------------------------------

    def serve(self):
        """Observe answers and ask, until `close`; the body of the clients' thread."""
        cdef int64_t* rows = <int64_t*>malloc(self._queue.max_batch * sizeof(int64_t))
        cdef int64_t collected
        cdef Py_ssize_t i
        if rows == NULL:
            raise MemoryError("no memory for a batch of rows")
        with nogil:
            while not load_acquire(&self._is_closed):       # N1 of `doorbell_model`
                collected = 0
                for i in range(self._ring_count):
                    collected += self._collect(
                        <CompletionRing>self._ring_pointers[i], rows
                    )
                if not self._ask_those_due(monotonic_ns()) and collected == 0:
                    self._sleep(self._waits.is_allowed)
        free(rows)

    def close(self):
        """End the clients' thread, which has nothing left to do."""
        store_release(&self._is_closed, 1)
        self._bell.c_ring()

    cdef int64_t _collect(self, CompletionRing ring, int64_t* rows) noexcept nogil:
        """Take in what a predict thread has finished; how many rows."""
        cdef int64_t total = 0
        cdef int64_t i, put_count
        cdef int64_t issued_ns = 0
        cdef BatchRecord batch
        while not ring.c_is_empty():
            batch = ring.c_peek()[0]
            for i in range(batch.row_count):
                rows[i] = ring.c_next_row()
            ring.c_advance()
            total += batch.row_count
            self.c_lock()
            put_count = self.c_observe(rows, &batch, monotonic_ns(), &issued_ns)
            if put_count:
                self._queue.c_put_many(rows, put_count, issued_ns)
            if batch.payload != NULL:
                self._release_payload(&batch)
        return total

    cdef bint _ask_those_due(self, int64_t now_ns) noexcept nogil:
        """Have clients ask that have thought enough; whether there were any."""
        cdef int64_t count = 0
        cdef int64_t client, mask, i
        if self._thinking == NULL or self._thinking_head == self._thinking_tail:
            return False
        mask = next_power_of_two(self.client_count) - 1
        self.c_lock()
        while self._thinking_head != self._thinking_tail and count < CHUNK:
            client = self._thinking[self._thinking_head & mask]
            if self._dispatcher.stop_reason != STOP_NONE:
                self._thinking_head += 1
                self._retire(1)
                continue
            if self._table.rows[client].scheduled_ns > now_ns:
                break
            self._thinking_head += 1
            if self._ask(client, self._table.rows[client].scheduled_ns):
                self._issued[count] = client
                count += 1
            else:
                self._retire(1)
        if count:
            now_ns = monotonic_ns()
            for i in range(count):
                self._table.rows[self._issued[i]].issued_ns = now_ns
            self._queue.c_put_many(self._issued, count, now_ns)
        pthread_mutex_unlock(&self._mutex)
        return count > 0

    cdef void _sleep(self, bint may_spin) noexcept nogil:
        """Wait for a batch, a thought's end or the bell; spin while that may pay."""
        cdef int64_t start_ns = monotonic_ns()
        cdef int64_t last_ns = start_ns
        cdef int64_t until_ns = -1
        cdef int64_t budget_ns
        cdef bint is_hit = False
        if self._thinking != NULL and self._thinking_head != self._thinking_tail:
            until_ns = self._table.rows[
                self._thinking[
                    self._thinking_head & (next_power_of_two(self.client_count) - 1)
                ]
            ].scheduled_ns
            if until_ns - start_ns < EARLY_NS:
                if may_spin:
                    relax()
                    return
        part_ways(
            &self._waits, self._bell.reader_cpu, self._bell.ringer_cpu, start_ns
        )
        budget_ns = spin_budget(&self._waits, start_ns) if self.alive_count else 0
        if budget_ns:
            self._bell.c_arm(BELL_SPINNING)
            if self._has_news():
                self._bell.c_disarm()
                return
            while self._bell.c_is_spinning() and spin_step(
                &self._waits, start_ns, &last_ns, budget_ns
            ):
                pass
            is_hit = self._bell.c_disarm()
            end_spin(&self._waits, start_ns, last_ns, is_hit)
        else:
            self._waits.parked_count += 1
        if not is_hit:
            self._bell.c_arm(BELL_ASLEEP)
            if not self._has_news():
                wait_readable(                              # N4
                    self._bell.fd,
                    -1 if until_ns < 0
                    else max(until_ns - EARLY_NS * may_spin - monotonic_ns(), 0),
                )
            self._bell.c_disarm()                           # N5
        self._bell.c_clear()                                # N6
        note_wait(&self._waits, load_acquire(self._bell.rung_ns) - start_ns)

    cdef bint _has_news(self) noexcept nogil:
        cdef Py_ssize_t i
        if load_acquire(&self._is_closed):
            return True
        for i in range(self._ring_count):
            if not (<CompletionRing>self._ring_pointers[i]).c_is_empty():
                return True
        return False

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

    def __repr__(self):
        return (
            f"<NativeClients [{self.alive_count} alive of {self.client_count} | "
            f"{self._thinking_tail - self._thinking_head} thinking]>"
        )
