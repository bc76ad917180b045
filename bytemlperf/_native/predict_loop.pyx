"""The loop of one predict thread: take a batch, gather, predict, stamp, publish.

There are two passages of the GIL per batch: everything from publishing a batch to
having the next one gathered runs without it.

It is long because three threads' bodies (hand-over, lane, the loop's turn) share
gathering, lending and stamping, which must inline.
"""

cimport cython
from cpython.dict cimport PyDict_GetItem, PyDict_Size
from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF
from libc.stdint cimport int64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy

from bytemlperf._native.batch_queue cimport BatchQueue
from bytemlperf._native.completion_ring cimport (
    OUTCOME_FAILED,
    OUTCOME_FATAL,
    OUTCOME_OK,
    BatchRecord,
    CompletionRing,
    Doorbell,
)
from bytemlperf._native.native_clients cimport NativeClients
from bytemlperf._native.parking cimport (
    end_spin,
    note_wait,
    part_ways,
    sched_getcpu,
    spin_budget,
    spin_step,
    wait_for_quiet,
)
from bytemlperf._native.posix cimport load_acquire, monotonic_ns, store_release
from bytemlperf._native.row_table cimport Row, RowTable

from bytemlperf.errors import InternalError

# A wake-up may be put off while finished batches are at most this share of what is
# queued: then clients that hear late still ask again long before it is their turn.
cdef int64_t MAX_SKIPPED_SHARE = 12
# Or while a full batch is queued, and the delay is no longer than a wake-up takes.
cdef int64_t SHORT_WAKE_DELAY_NS = 50_000
# How long to let the loop thread finish its work under the GIL before asking for it.
# Half as long the next time if it did not: a client keeps it busy, perhaps without GIL.
cdef int64_t MIN_COURTESY_NS = 20_000
cdef int64_t MAX_COURTESY_NS = 320_000
# A predict that is shorter than that lets the loop thread know when it runs.
cdef int64_t SHORT_PREDICT_NS = 5_000
# How long a lane may keep the GIL between two calls of predict, and how much it may
# copy meanwhile.
cdef int64_t MAX_HELD_NS = 50_000
cdef int64_t MAX_HELD_BYTES = 16_384
cdef int64_t FOREVER = 0x7FFFFFFFFFFFFFFF


@cython.final
cdef class PredictLoop:
    """What a predict thread runs.

    Parameters
    ----------
    queue, table, ring, bell
        The structures it shares with the loop thread; the ring is this thread's own.
    thread_index, thread_count : int
        Which of the predict threads this is; batch ids are index + k * count.
    samples_per_query : int
        Samples of each row.
    inputs : sequence of tuple
        For each input ``(name, library, buffer, library_address, buffer_address,
        sample_bytes, rows_per_sample)``. `library` is a read-only array of the loaded
        samples, or None if rows bring their own data; `buffer` is a read-only array
        over this thread's gather buffer, ``max_batch`` queries long.
    on_outputs : callable, optional
        ``on_outputs(outputs, feeds, sample_count)`` runs in the predict thread after
        the batch is stamped done; its result travels to every answer of the batch.
    kept_outputs : int, default 0
        For how many first batches `on_outputs` is called; -1 for all.
    max_wake_delay_ns : int, default 0
        How long a finished batch may wait for the next before the loop is woken, while
        12 times as many batches are queued.
    may_spin : bool, default False
        Whether there is a processor to wait on without sleeping.
    """

    def __cinit__(
        self,
        BatchQueue queue not None,
        RowTable table not None,
        CompletionRing ring not None,
        Doorbell bell not None,
        *,
        int64_t thread_index,
        int64_t thread_count,
        int64_t samples_per_query,
        inputs,
        on_outputs=None,
        int64_t kept_outputs=0,
        int64_t max_wake_delay_ns=0,
        bint may_spin=False,
    ):
        cdef Py_ssize_t j
        self._waits.is_allowed = may_spin
        self._courtesy_ns = MIN_COURTESY_NS
        self._queue = queue
        self._table = table
        self._ring = ring
        self._bell = bell
        self.thread_index = thread_index
        self.thread_count = thread_count
        self._samples_per_query = samples_per_query
        self._on_outputs = on_outputs
        self._kept_outputs = kept_outputs
        self._max_wake_delay_ns = max_wake_delay_ns
        self._gathered_feeds = {}
        self._names = [row[0] for row in inputs]
        self._library = [row[1] for row in inputs]
        self._buffers = [row[2] for row in inputs]
        self._input_count = len(self._names)
        self._inputs = <InputLayout*>calloc(
            max(self._input_count, 1), sizeof(InputLayout)
        )
        self._taken = <int64_t*>malloc(queue.max_batch * sizeof(int64_t))
        if self._inputs == NULL or self._taken == NULL:
            raise MemoryError("no memory for the books of a predict thread")
        for j in range(self._input_count):
            _, library, _, library_address, buffer_address, size, rows = inputs[j]
            if <size_t>buffer_address & 63:
                raise InternalError("a gather buffer must be 64-byte aligned")
            if library is not None:
                self._inputs[j].library = <const char*><size_t>library_address
            self._inputs[j].buffer = <char*><size_t>buffer_address
            self._inputs[j].sample_bytes = size
            self._inputs[j].rows_per_sample = rows
            self._query_bytes += samples_per_query * self._inputs[j].sample_bytes

    def __dealloc__(self):
        free(self._inputs)
        free(self._taken)

    cdef bint _gather(self, int64_t count) noexcept nogil:
        """Lay the batch out; whether any input is a view of the library."""
        cdef Py_ssize_t j
        cdef int64_t i, size
        cdef InputLayout* layout
        cdef bint is_consecutive = True
        cdef bint any_view = False
        cdef Row* rows = self._table.rows
        cdef int64_t start = rows[self._taken[0]].sample_index
        cdef const char* source
        for i in range(1, count):
            if rows[self._taken[i]].sample_index != start + i * self._samples_per_query:
                is_consecutive = False
                break
        for j in range(self._input_count):
            layout = &self._inputs[j]
            size = self._samples_per_query * layout.sample_bytes
            if layout.library == NULL:
                layout.is_view = False
                for i in range(count):
                    source = self._table.sources[
                        self._taken[i] * self._table.input_count + j
                    ]
                    memcpy(layout.buffer + i * size, source, size)
                continue
            source = layout.library + start * layout.sample_bytes
            # A misaligned view aborts the process in some frameworks' zero-copy paths.
            layout.is_view = is_consecutive and (<size_t>source & 63) == 0
            if layout.is_view:
                any_view = True
            elif is_consecutive:
                memcpy(layout.buffer, source, count * size)
            else:
                for i in range(count):
                    source = (
                        layout.library
                        + rows[self._taken[i]].sample_index * layout.sample_bytes
                    )
                    memcpy(layout.buffer + i * size, source, size)
        return any_view

    cdef dict _feeds(self, int64_t count, bint any_view):
        cdef Py_ssize_t j
        cdef int64_t start, first, rows
        cdef dict gathered
        cdef int64_t sample_count = count * self._samples_per_query
        if any_view or not self._can_lend(count):
            found = self._gathered_feeds.get(count)
            if found is None:
                gathered = {}
                for j in range(self._input_count):
                    rows = sample_count * self._inputs[j].rows_per_sample
                    gathered[self._names[j]] = self._buffers[j][:rows]
                self._gathered_feeds[count] = gathered
            else:
                gathered = <dict>found
            # predict may change the dict it is given, but never the one kept here.
            feeds = gathered.copy()
            if not any_view:
                self._lent = feeds
                self._lent_arrays = tuple(gathered.values())
                self._lent_count = count
        else:
            feeds = self._lent
        if any_view:
            start = self._table.rows[self._taken[0]].sample_index
            for j in range(self._input_count):
                if self._inputs[j].is_view:
                    rows = self._inputs[j].rows_per_sample
                    first = start * rows
                    feeds[self._names[j]] = self._library[j][
                        first:first + sample_count * rows
                    ]
        return feeds

    cdef bint _can_lend(self, int64_t count):
        """Whether the dict lent last is the right one, unchanged and given back."""
        cdef Py_ssize_t j
        cdef PyObject* array
        if self._lent_count != count or self._lent is None:
            return False
        # Read as it lies there: passing it to a function would add a reference.
        if (<PyObject*>self._lent).ob_refcnt != 1:
            return False
        if PyDict_Size(self._lent) != self._input_count:
            return False
        for j in range(self._input_count):
            array = PyDict_GetItem(self._lent, self._names[j])
            if array == NULL or array != <PyObject*>self._lent_arrays[j]:
                return False
        return True

    cdef void _publish(self, BatchRecord* batch) noexcept nogil:
        cdef int64_t service_ns = batch.done_ns - batch.started_ns
        cdef int64_t waited_ns = 0
        cdef int64_t queued, limit_ns
        self._ring.c_publish(self._taken, batch)
        # While more waits, let completions gather: each wake-up of the loop costs this
        # thread a system call, and takes the GIL just when it is wanted back. The next
        # batch is expected to take as long as this one.
        if batch.outcome == OUTCOME_OK and self._max_wake_delay_ns:
            queued = self._queue.c_count()
            if queued >= self._queue.max_batch:
                limit_ns = min(SHORT_WAKE_DELAY_NS, self._max_wake_delay_ns)
                if queued >= (
                    MAX_SKIPPED_SHARE
                    * (self._skipped_wakes + 1)
                    * self._queue.max_batch
                ):
                    limit_ns = self._max_wake_delay_ns
                if self._skipped_wakes:
                    waited_ns = batch.done_ns - self._first_skipped_ns
                else:
                    self._first_skipped_ns = batch.done_ns
                if waited_ns + service_ns < limit_ns:
                    self._skipped_wakes += 1
                    return
        self._skipped_wakes = 0
        store_release(self._bell.ringer_cpu, sched_getcpu() + 1)
        self._bell.c_ring_if_armed()

    cdef int64_t _take(self, int64_t* batched_ns) noexcept nogil:
        """Take the next batch, waiting for it if need be; -1 if closed and drained."""
        cdef int64_t start_ns, last_ns, budget_ns
        cdef int64_t count = self._queue.c_take(self._taken, batched_ns, False, 0)
        if count != 0:
            return count
        if self._skipped_wakes:
            self._skipped_wakes = 0
            self._bell.c_ring_if_armed()    # P6 of `doorbell_model`
        start_ns = monotonic_ns()
        part_ways(
            &self._waits, self._bell.ringer_cpu, self._bell.reader_cpu, start_ns
        )
        budget_ns = spin_budget(&self._waits, start_ns)
        if budget_ns:
            last_ns = start_ns
            while spin_step(&self._waits, start_ns, &last_ns, budget_ns):
                if self._queue.c_count():
                    count = self._queue.c_take(self._taken, batched_ns, False, 0)
                    if count:
                        break
            end_spin(&self._waits, start_ns, last_ns, count > 0)
        else:
            self._waits.parked_count += 1
        if count == 0:
            count = self._queue.c_take(self._taken, batched_ns, True, FOREVER)
        if count > 0:
            note_wait(
                &self._waits, self._table.rows[self._taken[0]].issued_ns - start_ns
            )
        return count

    cdef void _let_loop_finish(self) noexcept nogil:
        """Give the loop thread some time to finish what it does under the GIL."""
        if not load_acquire(self._bell.is_running):
            return
        if wait_for_quiet(self._bell.is_running, self._courtesy_ns):
            if self._waits.is_allowed:
                self._courtesy_ns = MAX_COURTESY_NS
        else:
            self._courtesy_ns = max(self._courtesy_ns // 2, MIN_COURTESY_NS)

    cdef int _predict(
        self,
        object predict,
        int64_t count,
        int64_t batched_ns,
        bint any_view,
        BatchRecord* batch,
    ) except -1:
        """Call predict with the rows taken, and write down what became of them."""
        cdef PyObject* payload
        batch.batch_id = self.batch_count * self.thread_count + self.thread_index
        self.batch_count += 1
        batch.row_count = <int>count
        batch.batched_ns = batched_ns
        batch.started_ns = batched_ns
        batch.done_ns = 0
        batch.payload = NULL
        batch.outcome = OUTCOME_OK
        batch.is_view = any_view and self._is_all_views()
        result = None
        try:
            feeds = self._feeds(count, any_view)
            batch.started_ns = monotonic_ns()
            outputs = predict(feeds)
            batch.done_ns = monotonic_ns()
            if self._kept_outputs != 0:
                if self._kept_outputs > 0:
                    self._kept_outputs -= 1
                result = self._on_outputs(
                    outputs, feeds, count * self._samples_per_query
                )
        except Exception as error:
            batch.outcome = OUTCOME_FAILED
            result = error
        except BaseException as error:
            batch.outcome = OUTCOME_FATAL
            result = error
        if batch.done_ns == 0:
            batch.done_ns = monotonic_ns()
        if result is not None:
            Py_INCREF(result)
            payload = <PyObject*>result
            batch.payload = payload
        return 0

    cdef int _end(self) except -1:
        """Let go of everything, and say that the thread has ended."""
        self._gathered_feeds.clear()
        self._lent = None
        self._lent_arrays = None
        self._buffers = []
        self._library = []
        self.has_exited = True
        self._bell.c_ring()                 # P7 of `doorbell_model`
        return 0

    def serve(self, predict):
        """Run until the queue is closed and drained, or predict raises fatally."""
        cdef BatchRecord batch
        cdef int64_t count
        cdef int64_t batched_ns = 0
        cdef bint any_view = False
        cdef bint is_finished = False
        cdef bint is_short = False
        try:
            while True:
                with nogil:
                    # Only here, without the GIL: who is woken by it will want the GIL.
                    if is_finished:
                        self._publish(&batch)
                        if batch.outcome == OUTCOME_FATAL:
                            break
                    count = self._take(&batched_ns)
                    if count > 0:
                        any_view = self._gather(count)
                        self._let_loop_finish()
                if count < 0:
                    return
                if is_short:
                    store_release(self._bell.is_calling, 1)
                self._predict(predict, count, batched_ns, any_view, &batch)
                if is_short:
                    store_release(self._bell.is_calling, 0)
                is_short = batch.done_ns - batch.started_ns < SHORT_PREDICT_NS
                is_finished = True
        finally:
            self._end()

    def serve_lane(self, predict, NativeClients clients not None):
        """Serve the clients' queries and ask their next ones, all in this thread.

        Nothing is handed over: what a batch answers is folded where it was predicted,
        and the rows of its clients go straight back into the queue. With one thread the
        GIL is kept in between for some tens of microseconds; other threads get it as
        often as from any Python code.
        """
        cdef BatchRecord batch
        cdef int64_t issued_ns = 0
        cdef int64_t batched_ns = 0
        cdef int64_t released_ns = 0
        cdef int64_t count = 0
        cdef int64_t put_count = 0
        cdef bint any_view = False
        cdef bint is_finished = False
        cdef bint is_observed, is_ready
        try:
            while True:
                is_observed = is_ready = False
                count = 0
                if (
                    is_finished
                    and self.thread_count == 1
                    and batch.done_ns - released_ns < MAX_HELD_NS
                    and clients.c_try_lock()
                ):
                    put_count = clients.c_observe(
                        self._taken, &batch, batch.done_ns, &issued_ns
                    )
                    is_observed = True
                    count = self._queue.c_put_and_take(
                        self._taken, put_count, issued_ns, &batched_ns, False, 0
                    )
                    if 0 < count * self._query_bytes <= MAX_HELD_BYTES:
                        any_view = self._gather(count)
                        is_ready = True
                if not is_ready:
                    with nogil:
                        if is_finished and not is_observed:
                            clients.c_lock()
                            put_count = clients.c_observe(
                                self._taken, &batch, batch.done_ns, &issued_ns
                            )
                        elif is_observed or not is_finished:
                            put_count = 0
                        if count == 0:
                            count = self._queue.c_put_and_take(
                                self._taken, put_count, issued_ns, &batched_ns,
                                True, FOREVER,
                            )
                        if count > 0:
                            any_view = self._gather(count)
                        released_ns = monotonic_ns()
                if count < 0:
                    return
                self._predict(predict, count, batched_ns, any_view, &batch)
                is_finished = True
                if batch.outcome == OUTCOME_FATAL:
                    with nogil:
                        clients.c_lock()
                        clients.c_observe(
                            self._taken, &batch, batch.done_ns, &issued_ns
                        )
                    return
        finally:
            self._end()

    cdef int64_t c_turn(self, predict) except -1:
        """Serve one batch on the event loop's thread, if rows wait; its row count."""
        cdef BatchRecord batch
        cdef int64_t batched_ns = 0
        cdef bint any_view
        cdef int64_t count = self._queue.c_take(self._taken, &batched_ns, False, 0)
        if count <= 0:
            return 0
        any_view = self._gather(count)
        self._predict(predict, count, batched_ns, any_view, &batch)
        self._ring.c_publish(self._taken, &batch)
        return count

    @property
    def waits(self):
        """Waits for rows: as `bytemlperf.runtime.hand_over.WaitCounts`."""
        return (
            self._waits.hit_count,
            self._waits.miss_count,
            self._waits.parked_count,
            self._waits.preempted_count,
            self._waits.spun_ns,
            self._waits.moved_count,
        )

    cdef bint _is_all_views(self) noexcept nogil:
        cdef Py_ssize_t j
        for j in range(self._input_count):
            if not self._inputs[j].is_view:
                return False
        return True
