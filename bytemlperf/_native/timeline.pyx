"""Fold finished rows into histograms, counts and a per-second series.

Every interval is a difference of two columns of the row, so that for each row
``latency == schedule_lag + queue_wait + gather + service`` holds exactly.
"""

cimport cython
from cpython.buffer cimport PyBUF_READ
from cpython.memoryview cimport PyMemoryView_FromMemory
from libc.stdint cimport int32_t, int64_t
from libc.stdlib cimport calloc, free, malloc, qsort
from libc.string cimport memcpy, memset

from bytemlperf._native.completion_ring cimport (
    OUTCOME_CANCELLED,
    OUTCOME_OK,
    BatchRecord,
)
from bytemlperf._native.posix cimport invariant
from bytemlperf._native.recorder cimport (
    COUNTS_LEN,
    HIGHEST_NS,
    Recorder,
    highest_of_cell,
    record,
)
from bytemlperf._native.row_table cimport Row

from bytemlperf.errors import ConfigError

ROW_BYTES = sizeof(TimelineRow)
cdef int64_t SECOND_NS = 1_000_000_000


cdef int compare_int64(const void* left, const void* right) noexcept nogil:
    cdef int64_t a = (<const int64_t*>left)[0]
    cdef int64_t b = (<const int64_t*>right)[0]
    return (a > b) - (a < b)


@cython.final
cdef class Timeline:
    """Histograms, counts and series of one run, and its rows if they are kept.

    Parameters
    ----------
    samples_per_query : int
        Samples of each query, >= 1.
    max_batch : int
        Queries in a batch at most, >= 1.
    settle_batches : int
        Batches in a window of the settling rule, >= 1.
    settle_windows : int
        Windows in a row whose medians must agree, >= 2.
    settle_tolerance : float
        How far neighbouring medians may differ, as a share of the earlier one.
    chunk_rows : int, default 0
        Rows in the chunk that is handed to `on_chunk` when full; 0 keeps none.
    on_chunk : callable, optional
        Called with a read-only memoryview of whole rows, valid during the call.

    Notes
    -----
    Thread-safety: the loop thread writes; others may read counts.
    """

    def __cinit__(
        self,
        int64_t samples_per_query,
        int64_t max_batch,
        *,
        int64_t settle_batches=8,
        int64_t settle_windows=3,
        double settle_tolerance=0.05,
        int64_t chunk_rows=0,
        on_chunk=None,
    ):
        if samples_per_query < 1 or max_batch < 1 or settle_batches < 1:
            raise ConfigError("a timeline counts at least 1 sample, query and batch")
        self.latency = Recorder()
        self.schedule_lag = Recorder()
        self.queue_wait = Recorder()
        self.gather = Recorder()
        self.service = Recorder()
        self.wakeup = Recorder()
        self.samples_per_query = samples_per_query
        self.max_batch = max_batch
        self.settle_batches = settle_batches
        self.settle_windows = settle_windows
        self.settle_tolerance = settle_tolerance
        self._batch_sizes = <int64_t*>calloc(max_batch + 1, sizeof(int64_t))
        self._window = <int64_t*>malloc(settle_batches * sizeof(int64_t))
        self._before_second = <int64_t*>calloc(COUNTS_LEN, sizeof(int64_t))
        if (
            self._batch_sizes == NULL
            or self._window == NULL
            or self._before_second == NULL
        ):
            raise MemoryError("no memory for the books of a timeline")
        if chunk_rows:
            self.chunk_rows = chunk_rows
            self._on_chunk = on_chunk
            self._chunk = <TimelineRow*>calloc(chunk_rows, sizeof(TimelineRow))
            if self._chunk == NULL:
                raise MemoryError(f"no memory for a chunk of {chunk_rows} rows")
        self.begin(start_ns=0, is_warm_up=False)

    def __dealloc__(self):
        free(self._batch_sizes)
        free(self._window)
        free(self._before_second)
        free(self._chunk)

    def begin(self, *, int64_t start_ns, bint is_warm_up):
        """Start a phase: forget every count and value of the one before."""
        self.start_ns = start_ns
        self.is_warm_up = is_warm_up
        self.is_settled = False
        self.first_scheduled_ns = -1
        self.last_done_ns = -1
        self.completed_count = 0
        self.failed_count = 0
        self.cancelled_count = 0
        self.view_count = 0
        self.gather_count = 0
        self.series = []
        self._second_index = 0
        self._second_end_ns = start_ns + SECOND_NS
        self._total_before_second = 0
        self._second_max_ns = 0
        self._batch_row_count = 0
        self._window_fill = 0
        self._agreeing_windows = 0
        self._last_median_ns = -1
        for recorder in (
            self.latency, self.schedule_lag, self.queue_wait, self.gather,
            self.service, self.wakeup,
        ):
            recorder.reset()
        memset(self._before_second, 0, COUNTS_LEN * sizeof(int64_t))
        memset(self._batch_sizes, 0, (self.max_batch + 1) * sizeof(int64_t))

    cdef void _observe_service(self, int64_t service_ns) noexcept nogil:
        cdef int64_t median, difference
        self._window[self._window_fill] = service_ns
        self._window_fill += 1
        if self._window_fill < self.settle_batches:
            return
        self._window_fill = 0
        qsort(self._window, self.settle_batches, sizeof(int64_t), compare_int64)
        median = self._window[self.settle_batches // 2]
        difference = median - self._last_median_ns
        if difference < 0:
            difference = -difference
        if self._last_median_ns >= 0 and (
            <double>difference <= self.settle_tolerance * <double>self._last_median_ns
        ):
            self._agreeing_windows += 1
        else:
            self._agreeing_windows = 1
        self._last_median_ns = median
        if self._agreeing_windows >= self.settle_windows:
            self.is_settled = True

    cdef void c_begin_batch(self, BatchRecord* batch) noexcept nogil:
        """Account for a served batch, before its rows."""
        invariant(batch.batched_ns <= batch.started_ns, "batched before started")
        invariant(batch.started_ns <= batch.done_ns, "started before done")
        self._batch_row_count = 0
        if batch.outcome != OUTCOME_OK:
            return
        self._batch_sizes[batch.row_count] += 1
        if batch.is_view:
            self.view_count += 1
        else:
            self.gather_count += 1
        if batch.done_ns > self.last_done_ns:
            self.last_done_ns = batch.done_ns
        if self.is_warm_up and not self.is_settled:
            self._observe_service(batch.done_ns - batch.started_ns)

    cdef void c_end_batch(self, BatchRecord* batch) noexcept nogil:
        """Account for what all answered rows of a batch have in common."""
        if self._batch_row_count:
            record(
                &self.gather.cells,
                batch.started_ns - batch.batched_ns,
                self._batch_row_count,
            )
            record(
                &self.service.cells,
                batch.done_ns - batch.started_ns,
                self._batch_row_count,
            )
            self._batch_row_count = 0

    cdef int c_fold(
        self, Row* row, BatchRecord* batch, int64_t observed_ns, int outcome
    ) except -1 nogil:
        """Account for a row; `batch` is NULL if it was never served."""
        if outcome == OUTCOME_OK:
            self.c_fold_alike(row, batch, observed_ns, 1)
        else:
            if self.first_scheduled_ns < 0 or (
                row.scheduled_ns < self.first_scheduled_ns
            ):
                self.first_scheduled_ns = row.scheduled_ns
            if outcome == OUTCOME_CANCELLED:
                self.cancelled_count += 1
            else:
                self.failed_count += 1
        if self._chunk != NULL:
            self._keep(row, batch, observed_ns, outcome)
        return 0

    cdef int c_fold_alike(
        self, Row* row, BatchRecord* batch, int64_t observed_ns, int64_t count
    ) except -1 nogil:
        """Account for answered rows of a batch with equal stamps; keeps none."""
        cdef int64_t latency_ns = batch.done_ns - row.scheduled_ns
        invariant(row.scheduled_ns <= row.issued_ns, "scheduled before issued")
        invariant(row.issued_ns <= batch.batched_ns, "issued before batched")
        invariant(batch.done_ns <= observed_ns, "done before observed")
        if self.first_scheduled_ns < 0 or row.scheduled_ns < self.first_scheduled_ns:
            self.first_scheduled_ns = row.scheduled_ns
        if observed_ns >= self._second_end_ns:
            with gil:
                self._close_seconds((observed_ns - self.start_ns) // SECOND_NS)
        if latency_ns > self._second_max_ns:
            self._second_max_ns = latency_ns
        record(&self.latency.cells, latency_ns, count)
        record(&self.schedule_lag.cells, row.issued_ns - row.scheduled_ns, count)
        record(&self.queue_wait.cells, batch.batched_ns - row.issued_ns, count)
        record(&self.wakeup.cells, observed_ns - batch.done_ns, count)
        self._batch_row_count += count
        self.completed_count += count
        return 0

    cdef int _close_seconds(self, int64_t second) except -1:
        """Close every second before that one."""
        cdef int64_t count, p50_ns, p99_ns
        cdef int64_t bytes_of_counts = COUNTS_LEN * sizeof(int64_t)
        while self._second_index < second:
            count = self.latency.cells.total - self._total_before_second
            p50_ns = p99_ns = -1
            if count:
                p50_ns = self._at_rank_of_second((count + 1) // 2)
                p99_ns = self._at_rank_of_second((count * 99 + 99) // 100)
                memcpy(
                    self._before_second, self.latency.cells.counts, bytes_of_counts
                )
            self.series.append((
                self._second_index,
                count * self.samples_per_query,
                p50_ns,
                p99_ns,
                min(self._second_max_ns, HIGHEST_NS) if count else -1,
            ))
            self._total_before_second += count
            self._second_max_ns = 0
            self._second_index += 1
        self._second_end_ns = self.start_ns + (self._second_index + 1) * SECOND_NS
        return 0

    cdef int64_t _at_rank_of_second(self, int64_t rank) noexcept nogil:
        """Highest value of the cell with the rank-th smallest latency of the second."""
        cdef int64_t seen = 0
        cdef int64_t i
        for i in range(COUNTS_LEN):
            seen += self.latency.cells.counts[i] - self._before_second[i]
            if seen >= rank:
                return min(highest_of_cell(i), self._second_max_ns)
        return self._second_max_ns

    cdef int _keep(
        self, Row* row, BatchRecord* batch, int64_t observed_ns, int outcome
    ) except -1 nogil:
        cdef TimelineRow* kept = &self._chunk[self._chunk_fill]
        kept.sample_index = row.sample_index
        kept.scheduled_ns = row.scheduled_ns
        kept.issued_ns = row.issued_ns
        kept.batched_ns = batch.batched_ns if batch != NULL else -1
        kept.started_ns = batch.started_ns if batch != NULL else -1
        kept.done_ns = batch.done_ns if batch != NULL else -1
        kept.observed_ns = observed_ns
        kept.batch_id = batch.batch_id if batch != NULL else -1
        kept.client = <int32_t>row.client
        kept.outcome = <short>outcome
        kept.warm_up = self.is_warm_up
        self._chunk_fill += 1
        if self._chunk_fill == self.chunk_rows:
            with gil:
                self.flush_chunk()
        return 0

    def flush_chunk(self):
        """Hand the rows kept since the last time to `on_chunk`."""
        if self._chunk_fill:
            filled = PyMemoryView_FromMemory(
                <char*>self._chunk, self._chunk_fill * sizeof(TimelineRow), PyBUF_READ
            )
            self._chunk_fill = 0
            self._on_chunk(filled)

    def finish(self):
        """Close the last second of the series."""
        if self.latency.cells.total > self._total_before_second:
            self._close_seconds(self._second_index + 1)

    def batch_size_counts(self):
        """Count the served batches by their size in samples."""
        cdef int64_t i
        return {
            i * self.samples_per_query: self._batch_sizes[i]
            for i in range(self.max_batch + 1)
            if self._batch_sizes[i]
        }

    def __repr__(self):
        return (
            f"<Timeline [{self.completed_count} done, {self.failed_count} failed, "
            f"{self.cancelled_count} cancelled]>"
        )
