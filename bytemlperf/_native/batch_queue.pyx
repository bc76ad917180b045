"""A bounded first-in-first-out queue of row numbers that is read in batches.

A batch is formed late, by the thread that takes it: it is closed when `max_batch` rows
wait, or when the oldest of them is `max_delay_ns` old. Nothing is allocated after
construction, and nobody holds the GIL while waiting.

Marks such as Q1 name the steps of `tests/support/queue_model.py`, which walks
through all their interleavings: change one here, and change it there.
"""

cimport cython
from cpython.exc cimport PyErr_CheckSignals
from libc.stdint cimport int64_t
from libc.stdlib cimport calloc, free, malloc

from bytemlperf._native.posix cimport (
    CLOCK_MONOTONIC,
    invariant,
    load_acquire,
    monotonic_ns,
    next_power_of_two,
    pthread_cond_broadcast,
    pthread_cond_destroy,
    pthread_cond_init,
    pthread_cond_signal,
    pthread_cond_timedwait,
    pthread_cond_wait,
    pthread_condattr_destroy,
    pthread_condattr_init,
    pthread_condattr_setclock,
    pthread_condattr_t,
    pthread_mutex_destroy,
    pthread_mutex_init,
    pthread_mutex_lock,
    pthread_mutex_unlock,
    store_release,
    timespec,
    to_timespec,
)

from bytemlperf.errors import ConfigError, QueueClosedError, QueueFullError

# How long a Python-level wait sleeps before it looks for Ctrl-C.
cdef int64_t SIGNAL_CHECK_NS = 50_000_000
cdef int64_t FOREVER = 0x7FFFFFFFFFFFFFFF


@cython.final
cdef class BatchQueue:
    """Bounded queue of row numbers, taken in batches.

    Parameters
    ----------
    max_queued : int
        Rows that may wait at once, >= 1.
    max_batch : int
        Rows in one batch at most, >= 1.
    max_delay_ns : int, default 0
        How old the oldest row may grow before a batch closes unfilled, ns, >= 0.
        With 0 a taker never waits for company: it takes what there is.

    Raises
    ------
    ConfigError
        A limit is out of its range.

    Notes
    -----
    Thread-safety: any thread may call any method.
    """

    def __cinit__(
        self, int64_t max_queued, int64_t max_batch, *, int64_t max_delay_ns=0
    ):
        cdef pthread_condattr_t attributes
        self._ring = NULL
        self._initialised = False
        if max_queued < 1 or max_batch < 1 or max_delay_ns < 0:
            raise ConfigError(
                "a batch queue needs max_queued >= 1, max_batch >= 1 and "
                f"max_delay_ns >= 0, not {max_queued}, {max_batch} and {max_delay_ns}"
            )
        self.max_queued = max_queued
        self.max_batch = max_batch
        self.max_delay_ns = max_delay_ns
        self._mask = next_power_of_two(max_queued) - 1
        self._ring = <QueuedRow*>calloc(self._mask + 1, sizeof(QueuedRow))
        if self._ring == NULL:
            raise MemoryError(f"a queue of {max_queued} rows does not fit in memory")
        # Deadlines are on the monotonic clock, so the conditions must be too.
        pthread_condattr_init(&attributes)
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        pthread_mutex_init(&self._mutex, NULL)
        pthread_cond_init(&self._takeable, &attributes)
        pthread_cond_init(&self._puttable, &attributes)
        pthread_condattr_destroy(&attributes)
        self._initialised = True

    def __dealloc__(self):
        if self._initialised:
            pthread_cond_destroy(&self._takeable)
            pthread_cond_destroy(&self._puttable)
            pthread_mutex_destroy(&self._mutex)
        free(self._ring)

    # -- native face ---------------------------------------------------------

    cdef int64_t c_count(self) noexcept nogil:
        # Unlocked: a moment's view, for coalescing and display only.
        return load_acquire(&self._tail) - load_acquire(&self._head)

    cdef bint _closable(self, int64_t now_ns) noexcept nogil:
        cdef int64_t count = self._tail - self._head
        if count == 0:
            return False
        if self._closed or count >= self.max_batch or self.max_delay_ns == 0:
            return True
        return now_ns - self._ring[self._head & self._mask].issued_ns >= (
            self.max_delay_ns
        )

    cdef void _wake_taker(self) noexcept nogil:
        # A taker already on its way will look at the queue anyway: one futex call
        # serves every put made until it is back with the mutex.
        if self._waiting_takers > self._signalled_takers:                   # Q1
            self._signalled_takers += 1
            pthread_cond_signal(&self._takeable)

    cdef int c_put(self, int64_t row, int64_t issued_ns) noexcept nogil:
        cdef QueuedRow* entry
        cdef int64_t count
        pthread_mutex_lock(&self._mutex)
        if self._closed:
            pthread_mutex_unlock(&self._mutex)
            return PUT_CLOSED
        count = self._tail - self._head
        if count >= self.max_queued:
            pthread_mutex_unlock(&self._mutex)
            return PUT_FULL
        entry = &self._ring[self._tail & self._mask]
        entry.row = row
        entry.issued_ns = issued_ns
        store_release(&self._tail, self._tail + 1)
        count += 1
        if count > self._peak_queued:
            self._peak_queued = count
        # A taker waiting for a batch to fill needs no news of the rows in between.
        if count == 1 or count >= self.max_batch or self.max_delay_ns == 0:  # Q2
            self._wake_taker()
        pthread_mutex_unlock(&self._mutex)
        return PUT_OK

    cdef int64_t _pop(self, int64_t* rows, int64_t limit) noexcept nogil:
        cdef int64_t i
        cdef int64_t count = self._tail - self._head
        invariant(count >= 0 and count <= self.max_queued, "queue count in bounds")
        if count > limit:
            count = limit
        for i in range(count):
            rows[i] = self._ring[(self._head + i) & self._mask].row
        store_release(&self._head, self._head + count)
        if count and self._waiting_putters:
            pthread_cond_broadcast(&self._puttable)
        return count

    cdef void c_put_many(
        self, const int64_t* rows, int64_t count, int64_t issued_ns
    ) noexcept nogil:
        """Put rows for which there is room, all issued at once."""
        pthread_mutex_lock(&self._mutex)
        self._append(rows, count, issued_ns)
        if count:
            self._wake_taker()
        pthread_mutex_unlock(&self._mutex)

    cdef void c_put_queued(
        self, const QueuedRow* entries, int64_t count
    ) noexcept nogil:
        """Put rows for which there is room, even into a closed queue.

        There always is: see `Dispatcher._put_pending`.
        """
        cdef int64_t i
        cdef int64_t waiting
        pthread_mutex_lock(&self._mutex)
        waiting = self._tail - self._head + count
        invariant(waiting <= self.max_queued, "there is room for rows put together")
        for i in range(count):
            self._ring[(self._tail + i) & self._mask] = entries[i]
        store_release(&self._tail, self._tail + count)
        if waiting > self._peak_queued:
            self._peak_queued = waiting
        if count:
            self._wake_taker()
        pthread_mutex_unlock(&self._mutex)

    cdef void _append(
        self, const int64_t* rows, int64_t count, int64_t issued_ns
    ) noexcept nogil:
        cdef QueuedRow* entry
        cdef int64_t i
        cdef int64_t waiting = self._tail - self._head + count
        invariant(waiting <= self.max_queued, "there is room for rows put at once")
        for i in range(count):
            entry = &self._ring[(self._tail + i) & self._mask]
            entry.row = rows[i]
            entry.issued_ns = issued_ns
        store_release(&self._tail, self._tail + count)
        if waiting > self._peak_queued:
            self._peak_queued = waiting

    cdef int64_t c_take(
        self, int64_t* rows, int64_t* batched_ns, bint wait, int64_t give_up_ns
    ) noexcept nogil:
        """Take a batch: its row count, 0 if none is ready, -1 if closed and empty."""
        return self.c_put_and_take(rows, 0, 0, batched_ns, wait, give_up_ns)

    cdef int64_t c_put_and_take(
        self,
        int64_t* rows,
        int64_t put_count,
        int64_t issued_ns,
        int64_t* batched_ns,
        bint wait,
        int64_t give_up_ns,
    ) noexcept nogil:
        """Put the rows and take a batch into the same place, as one.

        Nobody else is woken for rows that go out again at once.
        """
        cdef int64_t deadline_ns, taken
        cdef int64_t now_ns = 0
        cdef bint is_alone
        cdef timespec deadline
        pthread_mutex_lock(&self._mutex)
        is_alone = self._tail == self._head
        self._append(rows, put_count, issued_ns)
        while True:
            if self.max_delay_ns or now_ns:
                now_ns = monotonic_ns()
            if self._closable(now_ns):
                break
            if self._closed:
                pthread_mutex_unlock(&self._mutex)
                return -1
            if now_ns == 0:
                now_ns = monotonic_ns()
            if not wait or now_ns >= give_up_ns:
                if put_count:
                    self._wake_taker()
                pthread_mutex_unlock(&self._mutex)
                return 0
            deadline_ns = give_up_ns
            if self._tail != self._head:                                    # Q3
                deadline_ns = min(
                    deadline_ns,
                    self._ring[self._head & self._mask].issued_ns + self.max_delay_ns,
                )
            self._waiting_takers += 1
            if deadline_ns == FOREVER:
                pthread_cond_wait(&self._takeable, &self._mutex)
            else:
                deadline = to_timespec(deadline_ns)
                pthread_cond_timedwait(&self._takeable, &self._mutex, &deadline)
            self._waiting_takers -= 1
            # Counting too few as signalled only costs a signal; too many would lose
            # one, so every return takes one off, spurious and timed out ones too.
            if self._signalled_takers > 0:                                  # Q4
                self._signalled_takers -= 1
        taken = self._pop(rows, self.max_batch)
        if self._tail != self._head:                                        # Q5
            self._wake_taker()
        pthread_mutex_unlock(&self._mutex)
        if is_alone and put_count and now_ns == 0:
            # Nothing but what was put this moment: batched as it was issued.
            batched_ns[0] = issued_ns
        else:
            # Read after the pop: no row is issued later than its batch was formed.
            batched_ns[0] = monotonic_ns()
        return taken

    cdef int64_t c_discard(self, int64_t* rows, int64_t limit) noexcept nogil:
        cdef int64_t taken
        pthread_mutex_lock(&self._mutex)
        taken = self._pop(rows, limit)
        pthread_mutex_unlock(&self._mutex)
        return taken

    cdef void c_close(self) noexcept nogil:
        pthread_mutex_lock(&self._mutex)
        self._closed = True
        pthread_cond_broadcast(&self._takeable)                             # Q6
        pthread_cond_broadcast(&self._puttable)
        pthread_mutex_unlock(&self._mutex)

    # -- Python face ---------------------------------------------------------

    def put_nowait(self, int64_t row, *, issued_ns=None):
        """Queue a row, or refuse at once."""
        cdef int64_t issued = monotonic_ns() if issued_ns is None else issued_ns
        cdef int code
        with nogil:
            code = self.c_put(row, issued)
        if code == PUT_FULL:
            raise QueueFullError(f"the queue is full: {self.max_queued} rows wait")
        if code == PUT_CLOSED:
            raise QueueClosedError(f"row {row} was put into a closed queue")

    def put(self, int64_t row, *, issued_ns=None, timeout_ns=None):
        """Queue a row, waiting for room without the GIL."""
        cdef int64_t issued = monotonic_ns() if issued_ns is None else issued_ns
        cdef int64_t give_up_ns = FOREVER
        cdef int64_t now_ns
        cdef int code
        cdef timespec deadline
        if timeout_ns is not None:
            give_up_ns = monotonic_ns() + <int64_t>timeout_ns
        while True:
            with nogil:
                code = self.c_put(row, issued)
            if code == PUT_OK:
                return
            if code == PUT_CLOSED:
                raise QueueClosedError(f"row {row} was put into a closed queue")
            now_ns = monotonic_ns()
            if now_ns >= give_up_ns:
                raise QueueFullError(
                    f"the queue stayed full for {timeout_ns} ns: "
                    f"{self.max_queued} rows wait"
                )
            with nogil:
                pthread_mutex_lock(&self._mutex)
                if self._tail - self._head >= self.max_queued and not self._closed:
                    self._waiting_putters += 1
                    deadline = to_timespec(min(give_up_ns, now_ns + SIGNAL_CHECK_NS))
                    pthread_cond_timedwait(&self._puttable, &self._mutex, &deadline)
                    self._waiting_putters -= 1
                pthread_mutex_unlock(&self._mutex)
            PyErr_CheckSignals()

    def _take(self, bint wait, timeout_ns):
        cdef int64_t* rows = <int64_t*>malloc(self.max_batch * sizeof(int64_t))
        cdef int64_t give_up_ns = FOREVER
        cdef int64_t taken, batched_ns, i, pause_ns
        if rows == NULL:
            raise MemoryError
        try:
            if timeout_ns is not None:
                give_up_ns = monotonic_ns() + <int64_t>timeout_ns
            while True:
                pause_ns = min(give_up_ns, monotonic_ns() + SIGNAL_CHECK_NS)
                with nogil:
                    taken = self.c_take(rows, &batched_ns, wait, pause_ns)
                if taken < 0:
                    raise QueueClosedError("the queue is closed and drained")
                if taken > 0 or not wait or monotonic_ns() >= give_up_ns:
                    return [rows[i] for i in range(taken)]
                PyErr_CheckSignals()
        finally:
            free(rows)

    def take(self, *, timeout_ns=None):
        """Take the next batch, waiting until one closes."""
        return self._take(True, timeout_ns)

    def take_nowait(self):
        """Take the next batch if one is closed already."""
        return self._take(False, None)

    def close(self):
        """Refuse further rows; what waits can still be taken, without delay."""
        with nogil:
            self.c_close()

    def reset_peak(self):
        """Let `peak_queued` start anew from what waits now."""
        self._peak_queued = self.c_count()

    @property
    def peak_queued(self):
        """Rows that waited at once at most, so far."""
        return self._peak_queued

    @property
    def is_closed(self):
        """Whether `close` was called."""
        return bool(self._closed)

    @property
    def put_count(self):
        """Rows ever put."""
        return self._tail

    @property
    def taken_count(self):
        """Rows ever taken."""
        return self._head

    def __len__(self):
        return self.c_count()

    def __repr__(self):
        state = "closed" if self._closed else "open"
        return f"<BatchQueue [{self.c_count()} waiting of {self.max_queued} | {state}]>"
