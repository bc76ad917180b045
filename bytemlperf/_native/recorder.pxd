from libc.stdint cimport int64_t

cdef enum:
    # hdrhistogram's layout for 1 ns .. 1 h at 3 significant digits.
    SUB_BUCKET_BITS = 11
    SUB_BUCKET_HALF_BITS = 10
    SUB_BUCKET_HALF = 1024
    SUB_BUCKET_MASK = 2047
    COUNTS_LEN = 33792

cdef extern from *:
    """
    static inline int bytemlperf_log2_ceil(unsigned long long value)
    { return 64 - __builtin_clzll(value); }
    """
    int bits_of "bytemlperf_log2_ceil"(unsigned long long value) nogil

cdef struct Cells:
    int64_t* counts        # COUNTS_LEN cells, owned by the Recorder
    int64_t total
    int64_t min_ns         # exact; INT64_MAX while empty
    int64_t max_ns         # exact; 0 while empty
    int64_t overflow       # values clamped into range
    int64_t sum_low_ns     # the sum is high * SUM_UNIT + low
    int64_t sum_high


cdef inline int64_t cell_of(int64_t value) noexcept nogil:
    cdef int bucket = bits_of(<unsigned long long>(value | SUB_BUCKET_MASK)) - (
        SUB_BUCKET_BITS
    )
    return ((<int64_t>bucket + 1) << SUB_BUCKET_HALF_BITS) + (
        (value >> bucket) - SUB_BUCKET_HALF
    )


cdef inline int64_t lowest_of(int64_t cell) noexcept nogil:
    cdef int64_t bucket = (cell >> SUB_BUCKET_HALF_BITS) - 1
    cdef int64_t place = cell & (SUB_BUCKET_HALF - 1)
    return place if bucket < 0 else (place + SUB_BUCKET_HALF) << bucket


cdef inline void carry(Cells* cells) noexcept nogil:
    if cells.sum_low_ns >= 1000000000000000000LL:
        cells.sum_low_ns -= 1000000000000000000LL
        cells.sum_high += 1000000000


cdef inline void record(Cells* cells, int64_t value, int64_t count) noexcept nogil:
    # Clamped and counted, never dropped: a lost value would bend every percentile.
    if value < 0:
        value = 0
        cells.overflow += count
    elif value > 3600000000000LL:
        value = 3600000000000LL
        cells.overflow += count
    cells.counts[cell_of(value)] += count
    cells.total += count
    if value < cells.min_ns:
        cells.min_ns = value
    if value > cells.max_ns:
        cells.max_ns = value
    if count == 1:
        cells.sum_low_ns += value
    else:
        cells.sum_high += (value // 1000000000) * count
        cells.sum_low_ns += (value % 1000000000) * count
    carry(cells)


cdef inline void note(
    Cells* cells, int64_t least, int64_t most, int64_t sum_ns, int64_t count
) noexcept nogil:
    cells.min_ns = min(cells.min_ns, least)
    cells.max_ns = max(cells.max_ns, most)
    cells.total += count
    cells.sum_low_ns += sum_ns
    carry(cells)


cdef inline void tally(
    Cells* cells, Cells* also, const int64_t* values, int64_t count
) noexcept nogil:
    # As `record` for each of up to 2**16 values, and the same in `also` unless NULL.
    cdef int64_t i, value, cell
    cdef int64_t least = 3600000000000LL
    cdef int64_t most = 0
    cdef int64_t sum_ns = 0
    cdef int64_t overflow = 0
    for i in range(count):
        value = values[i]
        if <unsigned long long>value > 3600000000000ULL:
            value = 0 if value < 0 else 3600000000000LL
            overflow += 1
        cell = cell_of(value)
        cells.counts[cell] += 1
        if also != NULL:
            also.counts[cell] += 1
        least = min(least, value)
        most = max(most, value)
        sum_ns += value
    cells.overflow += overflow
    note(cells, least, most, sum_ns, count)
    if also != NULL:
        also.overflow += overflow
        note(also, least, most, sum_ns, count)


cdef class Recorder:
    # Single writer; others may read totals at any time and get a moment's view.
    cdef Cells cells

    cdef int64_t c_at_rank(self, int64_t rank) noexcept nogil
    cdef void c_reset(self) noexcept nogil
    cdef void _c_forget(self) noexcept nogil
    cdef void c_clear(self) noexcept nogil
    cdef void c_add(self, Recorder other) noexcept nogil
    cdef bytes c_packed(self)
    cdef void c_add_packed(self, bytes packed) noexcept
