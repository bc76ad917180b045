from libc.stdint cimport int32_t, int64_t

cdef enum AnswerState:
    ANSWER_IDLE = 0
    ANSWER_PENDING = 1
    ANSWER_DONE = 2
    ANSWER_ABANDONED = 3    # its waiter was cancelled; the row is still in flight


cdef class Waiter:
    # What a drain can resume in place. Loop thread only.
    cdef int c_resume(self, Answer answer) except -1
    cdef int c_resume_soon(self, Answer answer) except -1


cdef class Answer:
    # Loop thread only.
    cdef public bint _asyncio_future_blocking
    cdef int _state
    cdef object _loop
    cdef Waiter _waiter         # a native waiter, resumed without a callback
    cdef object _callback       # or the callback of a stock one
    cdef object _context
    cdef object _cancel_message
    cdef readonly int outcome
    cdef readonly int32_t position      # of this query in its batch, from 0
    cdef readonly int32_t batch_size    # in queries
    cdef readonly int64_t observed_ns
    cdef readonly object payload

    cdef int c_wake(self) except -1
    cdef int c_resume_waiter(self) except -1

cdef inline bint adopt(Answer answer, Waiter waiter) noexcept:
    """Have an answer wake a native waiter, as a stock task would add a callback."""
    if (
        answer._state != ANSWER_PENDING
        or answer._waiter is not None
        or answer._callback is not None
    ):
        return False
    answer._asyncio_future_blocking = False
    answer._waiter = waiter
    return True
