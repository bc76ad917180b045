from libc.stdint cimport int32_t, int64_t

from bytemlperf._native.batch_queue cimport BatchQueue
from bytemlperf._native.recorder cimport Recorder
from bytemlperf._native.row_table cimport RowTable

cdef enum:
    # The backlog is averaged over as many equal parts of the schedule.
    BACKLOG_PARTS = 4


cdef class Pacer:
    # Constant once made.
    cdef BatchQueue _queue
    cdef RowTable _table
    cdef list _rings
    cdef const int64_t[::1] _due_ns         # since the start, never falling
    cdef const int64_t[::1] _samples        # first sample of each row
    cdef const int32_t[::1] _queries        # which query each row belongs to, or None
    cdef readonly int64_t row_count
    cdef readonly int64_t spin_ns
    cdef bint _wants_real_time
    # Rows lent by the loop thread: it alone pushes, the pacing thread alone pops.
    cdef int64_t* _lent
    cdef int64_t _lent_mask
    cdef long long* _lent_tail              # loop thread writes
    cdef long long* _lent_head              # pacing thread writes
    cdef long long* _stopped                # any thread sets it
    cdef long long* _issued                 # pacing thread writes, others look
    # Written by the pacing thread, and read when it has ended.
    cdef readonly Recorder lag              # issued - scheduled of every row, ns
    cdef int64_t[::1] _issued_ns            # when each row was issued; None: not kept
    cdef readonly int64_t refused_count     # the queue was full
    cdef readonly int64_t starved_count     # no row was lent: answers lie uncollected
    cdef readonly int64_t unissued_count    # after the deadline, or stopped before
    cdef readonly int64_t peak_in_flight
    cdef readonly int64_t spun_ns
    cdef readonly int64_t cpu_ns
    cdef readonly int64_t first_issued_ns
    cdef readonly int64_t last_issued_ns
    cdef readonly bint is_real_time         # SCHED_FIFO was granted
    cdef readonly bint has_ended
    cdef int64_t[BACKLOG_PARTS] _backlog_sums
    cdef int64_t[BACKLOG_PARTS] _backlog_counts
    cdef readonly int64_t end_backlog       # rows queued when the last one was issued

    cdef int64_t _wait_until(self, int64_t due_ns) noexcept nogil
    cdef int64_t _published(self, long long** tails, Py_ssize_t count) noexcept nogil
    cdef void _issue_all(
        self,
        int64_t start_ns,
        int64_t deadline_ns,
        long long** tails,
        Py_ssize_t ring_count,
    ) noexcept nogil
