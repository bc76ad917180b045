from libc.stdint cimport int64_t

cdef enum AnswerState:
    ANSWER_IDLE = 0
    ANSWER_PENDING = 1
    ANSWER_DONE = 2
    ANSWER_ABANDONED = 3    # its waiter was cancelled; the row is still in flight


cdef class Answer:
    # Loop thread only.
    cdef public bint _asyncio_future_blocking
    cdef int _state
    cdef object _loop
    cdef object _callback
    cdef object _context
    cdef object _cancel_message
    cdef readonly int outcome
    cdef readonly int64_t observed_ns
    cdef readonly int64_t position      # of this query in its batch, from 0
    cdef readonly int64_t batch_size    # in queries
    cdef readonly object payload

    cdef int c_issue(self) except -1
    cdef int c_wake(self) except -1
