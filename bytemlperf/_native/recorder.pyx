"""Record nanoseconds into HdrHistogram cells at native speed.

The layout is the hdrhistogram package's own for 1 ns to 1 h at 3 significant digits, so
that the cells can be handed to it (and to anyone's tools) as they are.
"""

cimport cython
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport int64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from bytemlperf.errors import ConfigError

LOWEST_NS = 1
HIGHEST_TRACKABLE_NS = 3_600_000_000_000
SIGNIFICANT_DIGITS = 3
CELL_COUNT = COUNTS_LEN

cdef enum:
    CHUNK = 65536       # values tallied at once

cdef int64_t NONE_YET = 0x7FFFFFFFFFFFFFFF


cdef inline int64_t packed_size(int64_t value) noexcept nogil:
    return (bits_of(<unsigned long long>(value | 1)) + 6) // 7


cdef inline char* pack(char* out, int64_t value) noexcept nogil:
    while value > 127:
        out[0] = <char>(value & 127 | 128)
        out += 1
        value >>= 7
    out[0] = <char>value
    return out + 1


cdef inline const unsigned char* unpack(
    const unsigned char* at, int64_t* value
) noexcept nogil:
    cdef int shift = 0
    value[0] = at[0] & 127
    while at[0] > 127:
        at += 1
        shift += 7
        value[0] |= <int64_t>(at[0] & 127) << shift
    return at + 1


def unpacked_cells(bytes packed not None):
    """Cells of a block of the timeline, ascending: pairs of int64, (cell, count)."""
    cdef const unsigned char* at = <const unsigned char*><const char*>packed
    cdef const unsigned char* end = at + len(packed)
    cdef int64_t cell = 0, step = 0, count = 0, filled = 0
    cdef int64_t* out
    # Each number ends with a byte below 128, and a pair has two of them.
    while at < end:
        filled += at[0] < 128
        at += 1
    cdef bytes pairs = PyBytes_FromStringAndSize(NULL, filled * sizeof(int64_t))
    out = <int64_t*><char*>pairs
    at = <const unsigned char*><const char*>packed
    while at < end:
        at = unpack(unpack(at, &step), &count)
        cell += step
        out[0] = cell
        out[1] = count
        out += 2
    return pairs


@cython.final
cdef class Recorder:
    """A histogram of nanoseconds with one writer.

    Values below 0 or above 1 h are clamped into the range and counted in
    `overflow_count`.

    Notes
    -----
    Thread-safety: one thread records; any thread may read, and gets a moment's view.
    """

    def __cinit__(self):
        self.cells.min_ns = NONE_YET
        self.cells.counts = <int64_t*>calloc(COUNTS_LEN, sizeof(int64_t))
        if self.cells.counts == NULL:
            raise MemoryError("no memory for the cells of a histogram")

    def __dealloc__(self):
        free(self.cells.counts)

    cdef int64_t c_at_rank(self, int64_t rank) noexcept nogil:
        """Highest value of the cell that holds the rank-th smallest value (from 1)."""
        cdef int64_t seen = 0
        cdef int64_t i
        for i in range(COUNTS_LEN):
            seen += self.cells.counts[i]
            if seen >= rank:
                return min(lowest_of(i + 1) - 1, self.cells.max_ns)
        return self.cells.max_ns

    cdef void c_reset(self) noexcept nogil:
        memset(self.cells.counts, 0, COUNTS_LEN * sizeof(int64_t))
        self._c_forget()

    cdef void c_clear(self) noexcept nogil:
        """Reset, touching no cell but those between the extremes."""
        cdef int64_t first, last
        if self.cells.total:
            first = cell_of(self.cells.min_ns)
            last = cell_of(self.cells.max_ns)
            memset(
                &self.cells.counts[first], 0, (last - first + 1) * sizeof(int64_t)
            )
        self._c_forget()

    cdef void c_add(self, Recorder other) noexcept nogil:
        """Add every value of another recorder."""
        cdef int64_t i
        if not other.cells.total:
            return
        for i in range(cell_of(other.cells.min_ns), cell_of(other.cells.max_ns) + 1):
            self.cells.counts[i] += other.cells.counts[i]
        self.cells.total += other.cells.total
        self.cells.overflow += other.cells.overflow
        self.cells.min_ns = min(self.cells.min_ns, other.cells.min_ns)
        self.cells.max_ns = max(self.cells.max_ns, other.cells.max_ns)
        self.cells.sum_high += other.cells.sum_high
        self.cells.sum_low_ns += other.cells.sum_low_ns
        carry(&self.cells)

    cdef bytes c_packed(self):
        """Cells that are not empty: the step from the one before, and the count.

        Both as LEB128: seven bits a byte, lowest first, the eighth bit set while more
        follow. Most steps and counts are small, so a cell takes two or three bytes.
        """
        cdef int64_t i, first, last, before = 0, size = 0
        cdef char* out
        if not self.cells.total:
            return b""
        first = cell_of(self.cells.min_ns)
        last = cell_of(self.cells.max_ns)
        for i in range(first, last + 1):
            if self.cells.counts[i]:
                size += packed_size(i - before) + packed_size(self.cells.counts[i])
                before = i
        cdef bytes packed = PyBytes_FromStringAndSize(NULL, size)
        out = <char*>packed
        before = 0
        for i in range(first, last + 1):
            if self.cells.counts[i]:
                out = pack(pack(out, i - before), self.cells.counts[i])
                before = i
        return packed

    cdef void c_add_packed(self, bytes packed) noexcept:
        """Add what `c_packed` made: of extremes only the cells, of the sum nothing."""
        cdef const unsigned char* at = <const unsigned char*><const char*>packed
        cdef const unsigned char* end = at + len(packed)
        cdef int64_t cell = 0, first = -1, count = 0
        if at == end:
            return
        while at < end:
            at = unpack(at, &count)
            cell += count
            if first < 0:
                first = cell
            at = unpack(at, &count)
            self.cells.counts[cell] += count
            self.cells.total += count
        self.cells.min_ns = min(self.cells.min_ns, lowest_of(first))
        self.cells.max_ns = max(self.cells.max_ns, lowest_of(cell))

    cdef void _c_forget(self) noexcept nogil:
        self.cells.total = 0
        self.cells.min_ns = NONE_YET
        self.cells.max_ns = 0
        self.cells.overflow = 0
        self.cells.sum_low_ns = 0
        self.cells.sum_high = 0

    def record(self, int64_t value_ns, int64_t count=1):
        """Count a value `count` times."""
        if count < 1:
            raise ConfigError(f"a value is counted at least once, not {count} times")
        record(&self.cells, value_ns, count)

    def record_many(self, const int64_t[::1] values_ns):
        """Count each of the values once, without the GIL."""
        cdef Py_ssize_t first = 0
        cdef Py_ssize_t count
        with nogil:
            while first < values_ns.shape[0]:
                count = min(values_ns.shape[0] - first, CHUNK)
                tally(&self.cells, NULL, &values_ns[first], count)
                first += count

    def at_rank(self, int64_t rank):
        """Highest value equivalent to the rank-th smallest, ns; ranks start at 1."""
        if not 1 <= rank <= self.cells.total:
            raise ConfigError(f"rank {rank} is not in 1..{self.cells.total}")
        return self.c_at_rank(rank)

    def reset(self):
        """Forget everything."""
        self.c_reset()

    def counts(self):
        """Cells as bytes: int64, native byte order, `CELL_COUNT` of them."""
        return PyBytes_FromStringAndSize(
            <char*>self.cells.counts, COUNTS_LEN * sizeof(int64_t)
        )

    def packed(self):
        """Cells that are not empty, for `unpacked_cells`; two or three bytes each."""
        return self.c_packed()

    @property
    def total_count(self):
        """Values recorded, overflowed ones included."""
        return self.cells.total

    @property
    def overflow_count(self):
        """Values that had to be clamped."""
        return self.cells.overflow

    @property
    def min_ns(self):
        """Smallest value, exact, ns; 0 if there is none."""
        return self.cells.min_ns if self.cells.total else 0

    @property
    def max_ns(self):
        """Largest value, exact, ns; 0 if there is none."""
        return self.cells.max_ns

    @property
    def sum_ns(self):
        """Sum of all values, exact, ns."""
        return int(self.cells.sum_high) * 1_000_000_000 + self.cells.sum_low_ns

    def __repr__(self):
        return (
            f"<Recorder [{self.cells.total} values | {self.cells.overflow} overflowed]>"
        )
