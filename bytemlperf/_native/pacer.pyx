"""Issue rows at the moments of a schedule, whatever the answers do: the open loop.

One thread walks the schedule without the GIL. It sleeps until shortly before a row is
due, spins the rest, and puts the row into the batch queue itself. It never waits for an
answer: a row that finds the queue full is counted, and the next one is due as planned.
"""

cimport cython
from libc.stdint cimport int32_t, int64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memset

from bytemlperf._native.batch_queue cimport PUT_OK, BatchQueue
from bytemlperf._native.completion_ring cimport CompletionRing
from bytemlperf._native.parking cimport relax
from bytemlperf._native.posix cimport (
    CLOCK_MONOTONIC,
    TIMER_ABSTIME,
    clock_nanosleep,
    invariant,
    load_acquire,
    monotonic_ns,
    next_power_of_two,
    posix_memalign,
    request_fifo,
    request_timer_slack,
    store_release,
    thread_cpu_ns,
    timespec,
    to_timespec,
)
from bytemlperf._native.recorder cimport Recorder, record
from bytemlperf._native.row_table cimport (
    Row,
    RowTable,
    acquire_row,
    release_row,
)

from bytemlperf.errors import ConfigError, InternalError

# It sleeps no longer than this at once, so that it can be stopped.
cdef int64_t MAX_SLEEP_NS = 20_000_000


@cython.final
cdef class Pacer:
    """Issue rows at given moments, from a thread of its own.

    Parameters
    ----------
    queue, table, rings
        The structures shared with the predict threads. While the pacer runs nobody else
        issues rows of this table.
    due_ns : ndarray
        When each row is due, ns since the start, int64, never falling.
    samples : ndarray
        First sample of each row, int64, of the same length.
    queries : ndarray, optional
        Which query each row belongs to, int32; None: each is a query of its own.
    spin_ns : int, default 100000
        How long before its moment a row is spun for instead of slept, ns, >= 0.
    real_time : bool, default False
        Whether to ask the kernel for SCHED_FIFO; `is_real_time` says if it was granted.
    issued_ns : ndarray, optional
        Where to write when each row was issued, ns, int64; for a study of the pacer
        itself, for the rows carry their stamp anyway.

    Raises
    ------
    ConfigError
        The arrays do not belong together, or the schedule steps back.

    Notes
    -----
    Thread-safety: `run` is called once, in a thread of its own; `stop` by any thread;
    the rest by the loop thread. Counts are final once `has_ended`.
    """

    def __cinit__(
        self,
        BatchQueue queue not None,
        RowTable table not None,
        list rings not None,
        *,
        const int64_t[::1] due_ns not None,
        const int64_t[::1] samples not None,
        const int32_t[::1] queries=None,
        int64_t spin_ns=100_000,
        bint real_time=False,
        int64_t[::1] issued_ns=None,
    ):
        cdef void* lines = NULL
        cdef int64_t i
        self._lent = NULL
        self._lent_tail = NULL
        self.row_count = due_ns.shape[0]
        if (
            samples.shape[0] != self.row_count
            or (queries is not None and queries.shape[0] != self.row_count)
            or (issued_ns is not None and issued_ns.shape[0] != self.row_count)
        ):
            raise ConfigError("a pacer needs one moment and one sample for each row")
        if spin_ns < 0:
            raise ConfigError(f"spin_ns must be >= 0, not {spin_ns}")
        for i in range(self.row_count):
            if due_ns[i] < (0 if i == 0 else due_ns[i - 1]):
                raise ConfigError(
                    f"a schedule never steps back, but row {i} is due at {due_ns[i]} ns"
                )
        self._queue = queue
        self._table = table
        self._rings = list(rings)
        self._due_ns = due_ns
        self._samples = samples
        self._queries = queries
        self._issued_ns = issued_ns
        self.spin_ns = spin_ns
        self._wants_real_time = real_time
        self.lag = Recorder()
        self._lent_mask = next_power_of_two(table.capacity) - 1
        self._lent = <int64_t*>malloc((self._lent_mask + 1) * sizeof(int64_t))
        if self._lent == NULL or posix_memalign(&lines, 64, 256):
            raise MemoryError(f"no memory for {table.capacity} rows in flight")
        memset(lines, 0, 256)
        self._lent_tail = <long long*>lines
        self._lent_head = self._lent_tail + 8
        self._issued = self._lent_tail + 16
        self._stopped = self._lent_tail + 24

    def __dealloc__(self):
        free(self._lent)
        free(self._lent_tail)

    # -- loop thread -------------------------------------------------------------

    def lend(self):
        """Hand the table's free rows to the pacing thread."""
        cdef int64_t row
        cdef long long tail = self._lent_tail[0]
        while True:
            row = acquire_row(self._table)
            if row < 0:
                break
            self._lent[tail & self._lent_mask] = row
            tail += 1
        store_release(self._lent_tail, tail)

    def take_back(self):
        """Return the rows that were not used; only when `has_ended`."""
        cdef long long head = self._lent_head[0]
        if not self.has_ended:
            raise InternalError("rows were taken back from a pacer that still runs")
        while head < self._lent_tail[0]:
            release_row(self._table, self._lent[head & self._lent_mask])
            head += 1
        store_release(self._lent_head, head)

    def stop(self):
        """Issue nothing more; the thread ends within 20 ms."""
        store_release(self._stopped, 1)

    # -- pacing thread -----------------------------------------------------------

    cdef int64_t _wait_until(self, int64_t due_ns) noexcept nogil:
        """Return when the moment has come, or -1 when stopped; the time it then is."""
        cdef int64_t now_ns = monotonic_ns()
        cdef int64_t wake_ns, spun_since_ns
        cdef timespec until
        while due_ns - now_ns > self.spin_ns:
            if load_acquire(self._stopped):
                return -1
            wake_ns = min(due_ns - self.spin_ns, now_ns + MAX_SLEEP_NS)
            until = to_timespec(wake_ns)
            clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL)
            now_ns = monotonic_ns()
        if now_ns < due_ns:
            spun_since_ns = now_ns
            while now_ns < due_ns:
                relax()
                now_ns = monotonic_ns()
            self.spun_ns += now_ns - spun_since_ns
        return -1 if load_acquire(self._stopped) else now_ns

    cdef int64_t _published(self, long long** tails, Py_ssize_t count) noexcept nogil:
        cdef Py_ssize_t j
        cdef int64_t total = 0
        for j in range(count):
            total += load_acquire(tails[j])
        return total

    cdef void _issue_all(
        self,
        int64_t start_ns,
        int64_t deadline_ns,
        long long** tails,
        Py_ssize_t ring_count,
    ) noexcept nogil:
        cdef int64_t i, now_ns, due_ns, row_number, head, in_flight, backlog, part
        cdef int64_t spare = -1         # a row that the queue had no room for
        cdef int64_t issued = 0
        cdef int64_t published_before = self._published(tails, ring_count)
        cdef Row* row
        for i in range(self.row_count):
            due_ns = start_ns + self._due_ns[i]
            now_ns = -1 if due_ns > deadline_ns else self._wait_until(due_ns)
            if now_ns < 0:
                self.unissued_count = self.row_count - i
                break
            record(&self.lag.cells, now_ns - due_ns, 1)
            if self._issued_ns is not None:
                self._issued_ns[i] = now_ns
            if self.first_issued_ns == 0:
                self.first_issued_ns = now_ns
            self.last_issued_ns = now_ns
            backlog = self._queue.c_count()
            part = i * BACKLOG_PARTS // self.row_count
            self._backlog_sums[part] += backlog
            self._backlog_counts[part] += 1
            row_number = spare
            if row_number < 0:
                head = self._lent_head[0]
                if head == load_acquire(self._lent_tail):
                    self.starved_count += 1
                    continue
                row_number = self._lent[head & self._lent_mask]
                store_release(self._lent_head, head + 1)
            invariant(0 <= row_number < self._table.capacity, "a row was lent")
            row = &self._table.rows[row_number]
            row.scheduled_ns = due_ns
            row.issued_ns = now_ns
            row.sample_index = self._samples[i]
            row.client = i if self._queries is None else self._queries[i]
            if self._queue.c_put(row_number, now_ns) != PUT_OK:
                spare = row_number
                self.refused_count += 1
                continue
            spare = -1
            issued += 1
            store_release(self._issued, issued)
            in_flight = (
                issued + published_before - self._published(tails, ring_count)
            )
            if in_flight > self.peak_in_flight:
                self.peak_in_flight = in_flight
        self.end_backlog = self._queue.c_count()
        if spare >= 0:
            # It came from the place before the head, which nobody has written since.
            head = self._lent_head[0] - 1
            self._lent[head & self._lent_mask] = spare
            store_release(self._lent_head, head)

    def run(self, int64_t start_ns, int64_t deadline_ns):
        """Walk the schedule once.

        Parameters
        ----------
        start_ns : int
            The moment that the schedule counts from, ns.
        deadline_ns : int
            Rows due later than this are not issued, ns.
        """
        cdef Py_ssize_t count = len(self._rings)
        cdef Py_ssize_t j
        cdef long long** tails = <long long**>calloc(max(count, 1), sizeof(long long*))
        cdef CompletionRing ring
        if tails == NULL:
            raise MemoryError
        try:
            for j in range(count):
                ring = self._rings[j]
                tails[j] = &ring._row_tail
            with nogil:
                request_timer_slack(1)
                if self._wants_real_time:
                    self.is_real_time = request_fifo() == 0
                self._issue_all(start_ns, deadline_ns, tails, count)
                self.cpu_ns = thread_cpu_ns()
        finally:
            free(tails)
            self.has_ended = True

    @property
    def issued_count(self):
        """Rows put into the queue so far."""
        return load_acquire(self._issued)

    @property
    def mean_backlogs(self):
        """Rows found waiting, averaged over each quarter of the schedule."""
        cdef int i
        return tuple(
            <double>self._backlog_sums[i] / self._backlog_counts[i]
            for i in range(BACKLOG_PARTS)
            if self._backlog_counts[i]
        )

    def __repr__(self):
        return (
            f"<Pacer [{self.issued_count} issued of {self.row_count} | "
            f"{self.refused_count} refused]>"
        )
