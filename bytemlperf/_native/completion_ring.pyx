"""How finished batches travel back from a predict thread to the event loop.

A `CompletionRing` carries row numbers and one record per batch from one predict
thread to the loop thread, without a lock. A `Doorbell` wakes the loop, and only when it
sleeps.

Marks such as P2 name the steps of `tests/support/doorbell_model.py`, which walks
through all their interleavings: change one here, and change it there.
"""

cimport cython
from cpython.exc cimport PyErr_SetFromErrno
from cpython.ref cimport Py_XDECREF
from libc.stdint cimport int64_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset
from posix.unistd cimport close, read, write

from bytemlperf._native.posix cimport (
    EFD_CLOEXEC,
    EFD_NONBLOCK,
    eventfd,
    exchange,
    full_fence,
    invariant,
    load_acquire,
    monotonic_ns,
    next_power_of_two,
    posix_memalign,
    store_release,
)

from bytemlperf.errors import ConfigError

OK = OUTCOME_OK
FAILED = OUTCOME_FAILED
CANCELLED = OUTCOME_CANCELLED
FATAL = OUTCOME_FATAL


@cython.final
cdef class Doorbell:
    """An eventfd that is written only while its reader is asleep.

    It has one reader at a time: two would take each other's rings.
    """

    def __cinit__(self):
        cdef void* line = NULL
        self.fd = -1
        self._armed = NULL
        if posix_memalign(&line, 64, 384):
            raise MemoryError
        memset(line, 0, 384)
        self._armed = <long long*>line
        self._armed[0] = 1
        self.is_running = self._armed + 8
        self.rung_ns = self._armed + 16
        self.reader_cpu = self._armed + 24
        self.ringer_cpu = self._armed + 32
        self.is_calling = self._armed + 40
        self.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)
        if self.fd < 0:
            PyErr_SetFromErrno(OSError)

    def __dealloc__(self):
        if self.fd >= 0:
            close(self.fd)
        free(self._armed)

    cdef void c_ring(self) noexcept nogil:
        cdef uint64_t one = 1
        store_release(self._armed, BELL_AWAKE)
        # It can only fail by a full counter, and then the reader is awake already.
        write(self.fd, &one, 8)

    cdef void c_ring_if_armed(self) noexcept nogil:
        # Pairs with c_arm: publish, fence, look at the flag | set it, fence, look for
        # work. Without both fences each side may miss the other and sleep for ever.
        full_fence()                                                        # P2
        cdef uint64_t one = 1
        if load_acquire(self._armed):                                       # P3
            store_release(self.rung_ns, monotonic_ns())
            if exchange(self._armed, BELL_AWAKE) == BELL_ASLEEP:            # P4
                write(self.fd, &one, 8)                                     # P5

    cdef void c_clear(self) noexcept nogil:
        cdef uint64_t value
        read(self.fd, &value, 8)                                            # R1, N6

    cdef void c_arm(self, long long state) noexcept nogil:
        store_release(self._armed, state)                                   # R4
        full_fence()                                                        # R5

    cdef bint c_is_spinning(self) noexcept nogil:
        return load_acquire(self._armed) == BELL_SPINNING                   # R3, N3

    cdef bint c_disarm(self) noexcept nogil:
        """Be awake again; whether somebody had rung already."""
        return exchange(self._armed, BELL_AWAKE) == BELL_AWAKE              # R7, N5

    def ring(self):
        """Wake the reader, armed or not."""
        self.c_ring()

    def clear(self):
        """Take back the wake-up that was read."""
        self.c_clear()


@cython.final
cdef class CompletionRing:
    """Carries finished batches from one predict thread to the loop thread.

    Parameters
    ----------
    capacity : int
        Rows that can be in flight at once, >= 1; the ring can then never overflow.
    """

    def __cinit__(self, int64_t capacity):
        cdef void* line = NULL
        self._rows = NULL
        self._batches = NULL
        self._batch_tail = NULL
        self._batch_head = NULL
        if capacity < 1:
            raise ConfigError(f"a completion ring holds at least 1 row, not {capacity}")
        self.capacity = capacity
        self._mask = next_power_of_two(capacity) - 1
        self._rows = <int64_t*>calloc(self._mask + 1, sizeof(int64_t))
        self._batches = <BatchRecord*>calloc(self._mask + 1, sizeof(BatchRecord))
        if self._rows == NULL or self._batches == NULL:
            raise MemoryError(f"no memory for a ring of {capacity} rows")
        if posix_memalign(&line, 64, 64):
            raise MemoryError
        self._batch_tail = <long long*>line
        self._batch_tail[0] = 0
        if posix_memalign(&line, 64, 64):
            raise MemoryError
        self._batch_head = <long long*>line
        self._batch_head[0] = 0

    def __dealloc__(self):
        cdef int64_t i
        if self._batch_head != NULL:
            for i in range(self._batch_head[0], self._batch_tail[0]):
                Py_XDECREF(self._batches[i & self._mask].payload)
        free(self._rows)
        free(self._batches)
        free(self._batch_tail)
        free(self._batch_head)

    cdef void c_publish(self, const int64_t* rows, BatchRecord* record) noexcept nogil:
        cdef int64_t i
        cdef int64_t tail = self._batch_tail[0]
        invariant(
            tail - load_acquire(self._batch_head) <= self._mask,
            "completion ring has room",
        )
        for i in range(record.row_count):
            self._rows[(self._row_tail + i) & self._mask] = rows[i]
        store_release(&self._row_tail, self._row_tail + record.row_count)
        self._batches[tail & self._mask] = record[0]
        store_release(self._batch_tail, tail + 1)                           # P1

    cdef bint c_is_empty(self) noexcept nogil:
        return load_acquire(self._batch_tail) == self._batch_head[0]        # R2, R6, N2

    cdef BatchRecord* c_peek(self) noexcept nogil:
        return &self._batches[self._batch_head[0] & self._mask]

    cdef int64_t c_peek_row(self) noexcept nogil:
        return self._rows[self._row_head & self._mask]

    cdef int64_t c_next_row(self) noexcept nogil:
        cdef int64_t row = self._rows[self._row_head & self._mask]
        self._row_head += 1
        return row

    cdef void c_advance(self) noexcept nogil:
        store_release(self._batch_head, self._batch_head[0] + 1)
