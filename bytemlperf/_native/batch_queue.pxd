from libc.stdint cimport int64_t

from bytemlperf._native.posix cimport pthread_cond_t, pthread_mutex_t

cdef enum PutCode:
    PUT_OK = 0
    PUT_FULL = 1
    PUT_CLOSED = 2


cdef struct QueuedRow:
    int64_t row        # row number, >= 0
    int64_t issued_ns  # ns, monotonic: its age decides when a batch closes


cdef class BatchQueue:
    # Every field below `_mutex` is read and written with it held, except where said.
    cdef pthread_mutex_t _mutex
    cdef pthread_cond_t _takeable       # waited for by takers
    cdef pthread_cond_t _puttable       # waited for by putters
    cdef bint _initialised              # mutex and conditions exist
    cdef QueuedRow* _ring               # power of two entries, owned
    cdef int64_t _mask
    cdef long long _head                # rows taken; also read unlocked by `c_count`
    cdef long long _tail                # rows put; also read unlocked by `c_count`
    cdef int _waiting_takers
    cdef int _signalled_takers          # woken, but not yet back with the mutex
    cdef int _waiting_putters
    cdef bint _closed
    cdef int64_t _peak_queued
    cdef readonly int64_t max_queued    # rows, constant
    cdef readonly int64_t max_batch     # rows, constant
    cdef readonly int64_t max_delay_ns  # ns, constant

    cdef int c_put(self, int64_t row, int64_t issued_ns) noexcept nogil
    cdef void c_put_many(
        self, const int64_t* rows, int64_t count, int64_t issued_ns
    ) noexcept nogil
    cdef void c_put_queued(self, const QueuedRow* entries, int64_t count) noexcept nogil
    cdef void _append(
        self, const int64_t* rows, int64_t count, int64_t issued_ns
    ) noexcept nogil
    cdef int64_t c_put_and_take(
        self,
        int64_t* rows,
        int64_t put_count,
        int64_t issued_ns,
        int64_t* batched_ns,
        bint wait,
        int64_t give_up_ns,
    ) noexcept nogil
    cdef int64_t c_take(
        self, int64_t* rows, int64_t* batched_ns, bint wait, int64_t give_up_ns
    ) noexcept nogil
    cdef int64_t c_discard(self, int64_t* rows, int64_t limit) noexcept nogil
    cdef int64_t c_count(self) noexcept nogil
    cdef void c_close(self) noexcept nogil
    cdef bint _closable(self, int64_t now_ns) noexcept nogil
    cdef void _wake_taker(self) noexcept nogil
    cdef int64_t _pop(self, int64_t* rows, int64_t limit) noexcept nogil
