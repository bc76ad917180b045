from cpython.ref cimport PyObject
from libc.stdint cimport int32_t, int64_t

cdef struct Row:
    int64_t scheduled_ns
    int64_t issued_ns
    int64_t sample_index    # first sample in the loaded library; -1: data of its own
    int64_t client


cdef class RowTable:
    # The loop thread acquires, fills and releases rows; a predict thread only reads a
    # row between taking it from the queue and publishing it (the queue's mutex and the
    # ring's release store order the accesses).
    cdef Row* rows
    cdef PyObject** waiters         # owned reference to each row's Answer, or NULL
    cdef PyObject** keepalives      # owned reference to each row's arrays, or NULL
    cdef const char** sources       # per row, input_count addresses of its data
    cdef int32_t* _free             # stack of free row numbers
    cdef int64_t _free_count
    cdef readonly int64_t capacity
    cdef readonly int64_t input_count

    cdef int64_t c_acquire(self) noexcept nogil
    cdef void c_release(self, int64_t row)
