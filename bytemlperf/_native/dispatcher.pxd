from libc.stdint cimport int64_t

from bytemlperf._native.answer cimport Answer
from bytemlperf._native.batch_queue cimport BatchQueue, QueuedRow
from bytemlperf._native.completion_ring cimport BatchRecord, CompletionRing, Doorbell
from bytemlperf._native.parking cimport Waits
from bytemlperf._native.row_table cimport RowTable
from bytemlperf._native.timeline cimport FOLDED_TOGETHER, Stamps, Timeline

cdef enum IssueCode:
    ISSUE_OK = 0
    ISSUE_FULL = 1      # no room now; a drain will make some
    ISSUE_STOPPED = 2   # the phase takes no more queries
    ISSUE_CLOSED = 3    # the queue is closed


cdef enum StopReason:
    STOP_NONE = 0
    STOP_TIME = 1
    STOP_QUERIES = 2
    STOP_SETTLED = 3
    STOP_FAILED = 4
    STOP_ASKED = 5


cdef enum:
    PENDING_LIMIT = 64


cdef class Dispatcher:
    # Loop thread only, except `discard_pending` which is read by nobody else either.
    cdef BatchQueue _queue
    cdef RowTable _table
    cdef Doorbell _bell
    cdef list _rings
    cdef Timeline _timeline             # None for a long-lived front
    cdef object _on_failure
    cdef bint _stop_on_failure
    cdef public object on_issue         # called after an issue outside of a drain
    cdef bint _is_handing_out
    cdef bint _has_room_for_all         # the queue is never full
    cdef QueuedRow[PENDING_LIMIT] _pending
    cdef int64_t _pending_count
    cdef object _last_loop              # of whom this drain has woken; or None
    cdef int64_t _fresh_ns              # the clock, read during this hand-out; 0: no
    cdef public object on_space         # called after a drain while `blocked_count` > 0
    cdef public int64_t blocked_count
    # The batch being handed out, so that an exception in a client loses no row.
    cdef BatchRecord _batch
    cdef CompletionRing _batch_ring
    cdef int64_t _position
    cdef int64_t _remaining
    # Rows handed out and not yet in the timeline's histograms, of the current batch.
    cdef Stamps[FOLDED_TOGETHER] _stamps
    cdef int64_t _stamps_count
    # Plan: first sample of each query, in order of issue.
    cdef const int64_t[::1] _plan
    cdef int64_t _plan_position
    cdef int64_t _plan_size
    cdef const int64_t* _plan_data      # where the plan begins, for native clients
    cdef object _refill
    # Limits of the phase.
    cdef int64_t _deadline_ns
    cdef int64_t _min_queries
    cdef int64_t _max_queries           # -1: no limit
    cdef readonly int64_t issued_count
    cdef readonly int stop_reason
    cdef bint _discard_pending
    cdef readonly object fatal_error
    cdef Waits _waits                   # for batches to be finished
    cdef int64_t _idle_since_ns         # nothing to hand out since then; 0: busy

    cdef bint _must_stop(self, int64_t now_ns) noexcept nogil
    cdef int64_t c_next_sample(self) noexcept nogil
    cdef bint _draw(self) noexcept nogil
    cdef int c_issue(
        self, Answer answer, int64_t client, int64_t scheduled_ns
    ) except -1
    cdef int _put(self, Answer answer, int64_t row_number, int64_t now_ns) except -1
    cdef void _put_pending(self) noexcept
    cdef int _leave_tasks(self) except -1
    cdef int64_t _drain_rings(self, int64_t budget) except -1
    cdef int64_t _hand_out(self, int64_t budget) except -1
    cdef int _note(self, int64_t row_number, int64_t observed_ns, int outcome) except -1
    cdef int _fold_stamps(self) except -1
    cdef int _write_books(self) except -1
    cdef int _begin_batch(self, CompletionRing ring) except -1
    cdef bint _is_idle(self)
    cdef int64_t c_hand_out_all(self) except -1
    cdef bint _await_work(self)
