"""The loop of one predict thread: take a batch, gather, predict, stamp, publish.

There are two passages of the GIL per batch: everything between publishing a batch and
having the next one gathered runs without it.
"""

cimport cython
from cpython.ref cimport PyObject, Py_INCREF
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
from bytemlperf._native.posix cimport monotonic_ns
from bytemlperf._native.row_table cimport Row, RowTable

from bytemlperf.errors import InternalError

# A wake-up may be put off for at most so many batches in a row, and only after so many
# that were short: a batch that turns out long must not keep finished ones waiting.
cdef int64_t MAX_SKIPPED_WAKES = 16
cdef int64_t MIN_SHORT_BATCHES = 16
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
        more batches are queued.
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
    ):
        cdef Py_ssize_t j
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

    cdef void _publish(self, BatchRecord* batch) noexcept nogil:
        cdef int64_t service_ns = batch.done_ns - batch.started_ns
        self._ring.c_publish(self._taken, batch)
        if 2 * service_ns < self._max_wake_delay_ns:
            self._short_batches += 1
        else:
            self._short_batches = 0
        # While the queue holds the next batches anyway, let completions gather: each
        # wake-up of the loop takes the GIL just when this thread wants it back.
        if (
            batch.outcome == OUTCOME_OK
            and self._short_batches >= MIN_SHORT_BATCHES
            and self._skipped_wakes < MAX_SKIPPED_WAKES
            and self._queue.c_count() >= 2 * self._queue.max_batch
        ):
            if self._skipped_wakes == 0:
                self._first_skipped_ns = batch.done_ns
            if (
                batch.done_ns - self._first_skipped_ns + service_ns
                < self._max_wake_delay_ns
            ):
                self._skipped_wakes += 1
                return
        self._skipped_wakes = 0
        self._bell.c_ring_if_armed()

    def serve(self, predict):
        """Run until the queue is closed and drained, or predict raises fatally."""
        cdef BatchRecord batch
        cdef int64_t count
        cdef int64_t batched_ns = 0
        cdef bint any_view = False
        cdef PyObject* payload
        try:
            while True:
                with nogil:
                    count = self._queue.c_take(self._taken, &batched_ns, False, 0)
                    if count == 0:
                        if self._skipped_wakes:
                            self._skipped_wakes = 0
                            self._bell.c_ring_if_armed()
                        count = self._queue.c_take(
                            self._taken, &batched_ns, True, FOREVER
                        )
                    if count > 0:
                        any_view = self._gather(count)
                if count < 0:
                    return
                batch.batch_id = (
                    self.batch_count * self.thread_count + self.thread_index
                )
                self.batch_count += 1
                batch.row_count = <int>count
                batch.batched_ns = batched_ns
                batch.started_ns = batched_ns
                batch.done_ns = 0
                batch.payload = NULL
                batch.outcome = OUTCOME_OK
                batch.is_view = self._is_all_views()
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
                feeds = None
                outputs = None
                if result is not None:
                    Py_INCREF(result)
                    payload = <PyObject*>result
                    batch.payload = payload
                    result = None
                self._publish(&batch)
                if batch.outcome == OUTCOME_FATAL:
                    return
        finally:
            self._gathered_feeds.clear()
            self._buffers = []
            self._library = []
            self.has_exited = True
            self._bell.c_ring()

    cdef bint _is_all_views(self) noexcept nogil:
        cdef Py_ssize_t j
        for j in range(self._input_count):
            if not self._inputs[j].is_view:
                return False
        return True
