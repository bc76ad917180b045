from libc.stdint cimport int32_t, int64_t

from bytemlperf._native.completion_ring cimport BatchRecord
from bytemlperf._native.recorder cimport Recorder
from bytemlperf._native.row_table cimport Row

cdef struct TimelineRow:
    int64_t sample_index
    int64_t scheduled_ns
    int64_t issued_ns
    int64_t batched_ns      # -1: never reached, here and below
    int64_t started_ns
    int64_t done_ns
    int64_t observed_ns
    int64_t batch_id
    int32_t client
    short outcome
    short warm_up


cdef struct Stamps:
    # Of an answered row: what is folded when the row itself is in use again.
    int64_t scheduled_ns
    int64_t issued_ns
    int64_t observed_ns

cdef enum:
    FOLDED_TOGETHER = 64


cdef class Timeline:
    # Written by one thread at a time, under no lock of its own. The progress thread
    # reads `latency` and `completed_count` and gets a moment's view.
    cdef readonly Recorder latency
    cdef readonly Recorder schedule_lag
    cdef readonly Recorder queue_wait
    cdef readonly Recorder gather
    cdef readonly Recorder service
    cdef readonly Recorder wakeup
    # Latency within the current tick, which is added to its second and its
    # block when it is over.
    cdef Recorder _tick
    cdef Recorder _second
    cdef Recorder _block
    cdef readonly list series
    # Finished blocks: (index, queries, sum of latencies in ns, cells as
    # `recorder.unpacked_cells` reads them), each `block_ticks` ticks long; blocks
    # without an answer are left out.
    cdef readonly list blocks
    cdef readonly int64_t block_ticks
    cdef readonly int64_t last_observed_ns
    cdef readonly int64_t tick_ns
    cdef int64_t _tick_index
    cdef int64_t _tick_end_ns
    cdef int64_t _second_index
    cdef int64_t _batch_row_count       # rows of the current batch that were answered
    cdef int64_t _block_index
    cdef readonly int64_t samples_per_query
    cdef readonly bint is_warm_up
    cdef readonly int64_t start_ns      # begin of the phase
    cdef readonly int64_t first_scheduled_ns
    cdef readonly int64_t last_done_ns
    cdef readonly int64_t completed_count
    cdef readonly int64_t failed_count
    cdef readonly int64_t cancelled_count
    cdef readonly int64_t view_count
    cdef readonly int64_t gather_count
    cdef int64_t* _batch_sizes          # batches by size in queries, 0..max_batch
    cdef readonly int64_t max_batch
    # Settling of the service time, evaluated during warm-up only.
    cdef int64_t* _window
    cdef readonly int64_t settle_batches
    cdef readonly int64_t settle_windows
    cdef readonly double settle_tolerance
    cdef int64_t _window_fill
    cdef int64_t _agreeing_windows
    cdef int64_t _last_median_ns
    cdef readonly bint is_settled
    # Rows kept for the caller, one fixed chunk at a time.
    cdef TimelineRow* _chunk
    cdef int64_t _chunk_fill
    cdef readonly int64_t chunk_rows
    cdef object _on_chunk

    # A batch: c_begin_batch, each row in one of the three ways, c_end_batch.
    cdef void c_begin_batch(self, BatchRecord* batch) noexcept nogil
    cdef int c_fold(
        self, Row* row, BatchRecord* batch, int64_t observed_ns, int outcome
    ) except -1 nogil
    cdef int c_fold_alike(
        self, Row* row, BatchRecord* batch, int64_t observed_ns, int64_t count
    ) except -1 nogil
    cdef int c_fold_many(
        self, const Stamps* stamps, int64_t count, BatchRecord* batch
    ) except -1 nogil
    cdef void _tally(
        self, const Stamps* stamps, int64_t count, BatchRecord* batch
    ) noexcept nogil
    cdef void c_end_batch(self, BatchRecord* batch) noexcept nogil
    cdef int _keep(
        self, Row* row, BatchRecord* batch, int64_t observed_ns, int outcome
    ) except -1 nogil
    cdef int _close_ticks(self, int64_t tick) except -1
    cdef int _close_block(self, int64_t tick) except -1
    cdef int _keep_block(self) except -1
    cdef int _double_blocks(self) except -1
    cdef int _close_seconds(self, int64_t second) except -1
    cdef void _observe_service(self, int64_t service_ns) noexcept nogil
