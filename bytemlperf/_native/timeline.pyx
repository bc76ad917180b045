"""Fold finished rows into histograms, counts and a per-second series.

Every interval is a difference of two columns of the row, so that for each row
``latency == schedule_lag + queue_wait + gather + service`` holds exactly.

It is long, but one fold: histograms, blocks, seconds and kept rows see each row once,
and inline each other in the innermost loop.
"""

cimport cython
from cpython.buffer cimport PyBUF_READ
from cpython.memoryview cimport PyMemoryView_FromMemory
from libc.stdint cimport int32_t, int64_t
from libc.stdlib cimport calloc, free, malloc, qsort
from libc.string cimport memset

from bytemlperf._native.completion_ring cimport (
    OUTCOME_CANCELLED,
    OUTCOME_OK,
    BatchRecord,
)
from bytemlperf._native.posix cimport invariant
from bytemlperf._native.recorder cimport Recorder, record, tally
from bytemlperf._native.row_table cimport Row

from bytemlperf.errors import ConfigError

ROW_BYTES = sizeof(TimelineRow)
MAX_BLOCKS = BLOCK_LIMIT
cdef int64_t SECOND_NS = 1_000_000_000
cdef enum:
    # Blocks become twice as long when there would be more of them.
    BLOCK_LIMIT = 64


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
    tick_ns : int, default 100,000,000
        Length of the shortest block, >= 1; a whole part of a second.
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
        int64_t tick_ns=100_000_000,
        on_chunk=None,
    ):
        if samples_per_query < 1 or max_batch < 1 or settle_batches < 1:
            raise ConfigError("a timeline counts at least 1 sample, query and batch")
        if tick_ns < 1 or SECOND_NS % tick_ns:
            raise ConfigError(f"a tick is a whole part of a second, not {tick_ns} ns")
        self.latency = Recorder()
        self.schedule_lag = Recorder()
        self.queue_wait = Recorder()
        self.gather = Recorder()
        self.service = Recorder()
        self.wakeup = Recorder()
        self.query_latency = Recorder()
        self._tick = Recorder()
        self._second = Recorder()
        self._block = Recorder()
        self.samples_per_query = samples_per_query
        self.max_batch = max_batch
        self.settle_batches = settle_batches
        self.settle_windows = settle_windows
        self.settle_tolerance = settle_tolerance
        self.tick_ns = tick_ns
        self._batch_sizes = <int64_t*>calloc(max_batch + 1, sizeof(int64_t))
        self._window = <int64_t*>malloc(settle_batches * sizeof(int64_t))
        if self._batch_sizes == NULL or self._window == NULL:
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
        free(self._chunk)
        free(self._rows_left)
        free(self._query_done_ns)

    def group_rows(self, const int32_t[::1] sizes not None):
        """Rows belong to queries from now on: a row's `client` is its query's number.

        A query's latency is that of its last row. One of which a row was not answered
        has none.

        Parameters
        ----------
        sizes : ndarray
            Rows of each query, int32, shape (queries,), >= 1.

        Raises
        ------
        ConfigError
            It was told before.
        """
        cdef Py_ssize_t i
        if self._rows_left != NULL:
            raise ConfigError("a timeline groups its rows once")
        self._query_limit = sizes.shape[0]
        self._rows_left = <int32_t*>malloc(max(1, self._query_limit) * sizeof(int32_t))
        self._query_done_ns = <int64_t*>calloc(
            max(1, self._query_limit), sizeof(int64_t)
        )
        if self._rows_left == NULL or self._query_done_ns == NULL:
            raise MemoryError("no memory for the queries of a timeline")
        for i in range(self._query_limit):
            self._rows_left[i] = sizes[i]

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
        self.blocks = []
        self.block_ticks = 1
        self.last_observed_ns = -1
        self._tick_index = 0
        self._tick_end_ns = start_ns + self.tick_ns
        self._second_index = 0
        self._block_index = 0
        self._window_fill = 0
        self._agreeing_windows = 0
        self._last_median_ns = -1
        for recorder in (
            self.latency, self.schedule_lag, self.queue_wait, self.gather,
            self.service, self.wakeup, self._tick, self._second, self._block,
        ):
            recorder.reset()
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
            if self._rows_left != NULL and not self.is_warm_up:
                self._answer_row(row, batch.done_ns)
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

    cdef void _answer_row(self, Row* row, int64_t done_ns) noexcept nogil:
        """Account for a row of a query, and for the query if it is its last."""
        cdef int64_t query = row.client
        invariant(0 <= query < self._query_limit, "a row belongs to a query")
        invariant(self._rows_left[query] > 0, "a query has no more rows than its size")
        if done_ns > self._query_done_ns[query]:
            self._query_done_ns[query] = done_ns
        self._rows_left[query] -= 1
        if self._rows_left[query] == 0:
            record(
                &self.query_latency.cells,
                self._query_done_ns[query] - row.scheduled_ns,
                1,
            )

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
        if observed_ns >= self._tick_end_ns:
            with gil:
                self._close_ticks((observed_ns - self.start_ns) // self.tick_ns)
        self.last_observed_ns = observed_ns
        record(&self.latency.cells, latency_ns, count)
        record(&self._tick.cells, latency_ns, count)
        record(&self.schedule_lag.cells, row.issued_ns - row.scheduled_ns, count)
        record(&self.queue_wait.cells, batch.batched_ns - row.issued_ns, count)
        record(&self.wakeup.cells, observed_ns - batch.done_ns, count)
        self._batch_row_count += count
        self.completed_count += count
        return 0

    cdef int c_fold_many(
        self, const Stamps* stamps, int64_t count, BatchRecord* batch
    ) except -1 nogil:
        """Account for answered rows of a batch, up to 64 of them; keeps none."""
        cdef int64_t first = 0
        cdef int64_t last = 0
        while first < count:
            if stamps[first].observed_ns >= self._tick_end_ns:
                with gil:
                    self._close_ticks(
                        (stamps[first].observed_ns - self.start_ns) // self.tick_ns
                    )
            last = first + 1
            while last < count and stamps[last].observed_ns < self._tick_end_ns:
                last += 1
            self._tally(stamps + first, last - first, batch)
            first = last
        return 0

    cdef void _tally(
        self, const Stamps* stamps, int64_t count, BatchRecord* batch
    ) noexcept nogil:
        """Account for rows that were observed within the current tick."""
        # One histogram after the other: the cells of each stay near.
        cdef int64_t[FOLDED_TOGETHER] values
        cdef int64_t first_ns = self.first_scheduled_ns
        cdef int64_t i
        for i in range(count):
            invariant(stamps[i].scheduled_ns <= stamps[i].issued_ns,
                      "scheduled before issued")
            invariant(stamps[i].issued_ns <= batch.batched_ns, "issued before batched")
            invariant(batch.done_ns <= stamps[i].observed_ns, "done before observed")
            if first_ns < 0 or stamps[i].scheduled_ns < first_ns:
                first_ns = stamps[i].scheduled_ns
            values[i] = batch.done_ns - stamps[i].scheduled_ns
        self.first_scheduled_ns = first_ns
        self.last_observed_ns = stamps[count - 1].observed_ns
        tally(&self.latency.cells, &self._tick.cells, values, count)
        for i in range(count):
            values[i] = stamps[i].issued_ns - stamps[i].scheduled_ns
        tally(&self.schedule_lag.cells, NULL, values, count)
        for i in range(count):
            values[i] = batch.batched_ns - stamps[i].issued_ns
        tally(&self.queue_wait.cells, NULL, values, count)
        for i in range(count):
            values[i] = stamps[i].observed_ns - batch.done_ns
        tally(&self.wakeup.cells, NULL, values, count)
        self._batch_row_count += count
        self.completed_count += count

    cdef int _close_ticks(self, int64_t tick) except -1:
        """Add what the current tick holds to its second and its block."""
        cdef int64_t second = tick * self.tick_ns // SECOND_NS
        if self._tick.cells.total:
            self._second.c_add(self._tick)
            self._block.c_add(self._tick)
            self._tick.c_clear()
        self._tick_index = tick
        self._tick_end_ns = self.start_ns + (tick + 1) * self.tick_ns
        if second > self._second_index:
            self._close_seconds(second)
        if tick // self.block_ticks > self._block_index:
            self._close_block(tick)
        return 0

    cdef int _close_block(self, int64_t tick) except -1:
        """Keep the current block and begin the one that holds `tick`."""
        self._keep_block()
        while tick // self.block_ticks >= BLOCK_LIMIT:
            self._double_blocks()
        self._block_index = tick // self.block_ticks
        return 0

    cdef int _keep_block(self) except -1:
        if self._block.cells.total:
            self.blocks.append((
                self._block_index,
                self._block.cells.total,
                self._block.sum_ns,
                self._block.c_packed(),
            ))
            self._block.c_clear()
        return 0

    cdef int _double_blocks(self) except -1:
        """Make blocks twice as long, when one was just kept: neighbours become one."""
        cdef list longer = []
        cdef tuple block, before = None
        self.block_ticks *= 2
        for block in self.blocks:
            index, count, sum_ns, cells = block
            index //= 2
            if before is not None and before[0] == index:
                longer.pop()
                # The current block was kept a moment ago, and is empty.
                self._block.c_add_packed(before[3])
                self._block.c_add_packed(cells)
                before = (
                    index,
                    before[1] + count,
                    before[2] + sum_ns,
                    self._block.c_packed(),
                )
                self._block.c_clear()
            else:
                before = (index, count, sum_ns, cells)
            longer.append(before)
        self.blocks = longer
        return 0

    cdef int _close_seconds(self, int64_t second) except -1:
        cdef int64_t count
        while self._second_index < second:
            count = self._second.cells.total
            self.series.append((
                self._second_index,
                count * self.samples_per_query,
                self._second.c_at_rank((count + 1) // 2) if count else -1,
                self._second.c_at_rank((count * 99 + 99) // 100) if count else -1,
                self._second.cells.max_ns if count else -1,
            ))
            if count:
                self._second.c_clear()
            self._second_index += 1
        return 0

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
        """Close the last second of the series, and the last block."""
        if self._tick.cells.total:
            self._close_ticks(self._tick_index + 1)
        if self._second.cells.total:
            self._close_seconds(self._second_index + 1)
        self._keep_block()

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
