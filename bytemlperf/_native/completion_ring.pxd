from cpython.ref cimport PyObject
from libc.stdint cimport int32_t, int64_t

cdef enum Outcome:
    OUTCOME_OK = 0
    OUTCOME_FAILED = 1      # predict raised, or its answer was refused
    OUTCOME_CANCELLED = 2   # nobody waited any more, or it was never served
    OUTCOME_FATAL = 3       # predict raised what is not an Exception


cdef struct BatchRecord:
    int64_t batch_id
    int64_t batched_ns
    int64_t started_ns
    int64_t done_ns
    PyObject* payload       # owned reference or NULL: outputs, or the exception
    int32_t row_count
    int32_t outcome
    int32_t is_view         # every input went to predict as a view of the library


cdef enum BellState:
    BELL_AWAKE = 0      # the reader is at work, and will look again before it sleeps
    BELL_ASLEEP = 1     # it sleeps in its event loop: only the eventfd wakes it
    BELL_SPINNING = 2   # it watches this very flag: no system call is needed


cdef class Doorbell:
    # Each flag stands alone on its cache line: both sides look at them.
    cdef long long* _armed
    cdef long long* is_running      # the reader is at work, and holds the GIL
    cdef long long* is_calling      # a short predict holds the GIL
    # Processors the two sides were last seen on, + 1; 0: never seen.
    cdef long long* reader_cpu
    cdef long long* ringer_cpu
    cdef long long* rung_ns         # when it was last rung while the reader waited
    cdef readonly int fd

    cdef void c_ring(self) noexcept nogil
    cdef void c_ring_if_armed(self) noexcept nogil
    cdef void c_clear(self) noexcept nogil
    cdef void c_arm(self, long long state) noexcept nogil
    cdef bint c_is_spinning(self) noexcept nogil
    cdef bint c_disarm(self) noexcept nogil


cdef class CompletionRing:
    # One producer (a predict thread), one consumer (the loop thread). Rows and batches
    # have rings of their own; only the batch tail and head cross between the threads.
    cdef int64_t* _rows
    cdef BatchRecord* _batches
    cdef int64_t _mask
    cdef long long _row_tail            # producer writes; others may count rows by it
    cdef int64_t _row_head              # consumer only
    cdef long long* _batch_tail         # producer writes, consumer reads
    cdef long long* _batch_head         # consumer writes, producer reads
    cdef readonly int64_t capacity      # rows in flight at most

    cdef void c_publish(self, const int64_t* rows, BatchRecord* record) noexcept nogil
    cdef BatchRecord* c_peek(self) noexcept nogil
    cdef int64_t c_next_row(self) noexcept nogil
    cdef int64_t c_peek_row(self) noexcept nogil
    cdef void c_advance(self) noexcept nogil
    cdef bint c_is_empty(self) noexcept nogil
