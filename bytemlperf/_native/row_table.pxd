from cpython.ref cimport PyObject, Py_CLEAR
from libc.stdint cimport int32_t, int64_t

from bytemlperf._native.posix cimport invariant

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


cdef inline int64_t acquire_row(RowTable table) noexcept nogil:
    """Take a free row; -1: there is none."""
    if table._free_count == 0:
        return -1
    table._free_count -= 1
    return table._free[table._free_count]


cdef inline void release_row(RowTable table, int64_t row) noexcept:
    """Give a row back, and let go of what it kept alive."""
    invariant(0 <= row < table.capacity, "a row of the table is released")
    invariant(table._free_count < table.capacity, "rows are released once")
    Py_CLEAR(table.waiters[row])
    if table.keepalives != NULL:
        Py_CLEAR(table.keepalives[row])
    table._free[table._free_count] = <int32_t>row
    table._free_count += 1
