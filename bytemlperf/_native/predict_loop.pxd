from libc.stdint cimport int64_t

from bytemlperf._native.batch_queue cimport BatchQueue
from bytemlperf._native.completion_ring cimport BatchRecord, CompletionRing, Doorbell
from bytemlperf._native.parking cimport Waits
from bytemlperf._native.row_table cimport RowTable

cdef struct InputLayout:
    const char* library     # first byte of the loaded samples; NULL: rows bring data
    char* buffer            # this thread's own gather buffer, 64-byte aligned
    int64_t sample_bytes
    int64_t rows_per_sample
    bint is_view            # of the current batch


cdef class PredictLoop:
    # Owned by one predict thread once `serve` runs; before that, by its maker.
    cdef BatchQueue _queue
    cdef RowTable _table
    cdef CompletionRing _ring
    cdef Doorbell _bell
    cdef InputLayout* _inputs
    cdef int64_t* _taken                # rows of the current batch
    cdef Py_ssize_t _input_count
    cdef int64_t _samples_per_query
    cdef int64_t _query_bytes           # of all inputs of a query
    cdef list _names
    cdef list _library                  # read-only arrays, or None for each
    cdef list _buffers                  # read-only arrays of max_batch queries
    cdef dict _gathered_feeds           # by row count: feeds that are all gathered
    # Gathered feeds lent to predict for the last batch that was not a view: lent again
    # if nobody kept or changed them.
    cdef dict _lent
    cdef tuple _lent_arrays
    cdef int64_t _lent_count
    cdef object _on_outputs
    cdef int64_t _kept_outputs          # batches whose outputs are still wanted; -1 all
    cdef int64_t _max_wake_delay_ns
    cdef int64_t _skipped_wakes
    cdef int64_t _first_skipped_ns
    cdef Waits _waits                   # for rows to be queued
    cdef readonly int64_t thread_index
    cdef readonly int64_t thread_count
    cdef readonly int64_t batch_count
    cdef readonly bint has_exited

    cdef int64_t _courtesy_ns           # how long the loop thread may be waited for

    cdef void _let_loop_finish(self) noexcept nogil
    cdef bint _gather(self, int64_t count) noexcept nogil
    cdef dict _feeds(self, int64_t count, bint any_view)
    cdef bint _can_lend(self, int64_t count)
    cdef void _publish(self, BatchRecord* batch) noexcept nogil
    cdef int64_t _take(self, int64_t* batched_ns) noexcept nogil
    cdef int _predict(
        self,
        object predict,
        int64_t count,
        int64_t batched_ns,
        bint any_view,
        BatchRecord* batch,
    ) except -1
    cdef int _end(self) except -1
    cdef int64_t c_turn(self, predict) except -1
    cdef bint _is_all_views(self) noexcept nogil
