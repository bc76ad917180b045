"""Queries in flight: what the loop thread wrote down about each row when it issued it.

The table is as large as there can be rows in flight; a row is folded into the timeline
and reused when its answer was observed, so memory does not grow with the run.
"""

cimport cython
from cpython.ref cimport PyObject, Py_CLEAR
from libc.stdint cimport int32_t, int64_t
from libc.stdlib cimport calloc, free, malloc

from bytemlperf.errors import ConfigError


@cython.final
cdef class RowTable:
    """Fixed table of the rows in flight.

    Parameters
    ----------
    capacity : int
        Rows in flight at most, 1 to 2**31 - 1.
    input_count : int, default 0
        Inputs whose data each row brings itself; 0 if all rows are samples of a
        loaded library.
    """

    def __cinit__(self, int64_t capacity, *, int64_t input_count=0):
        cdef int64_t i
        if not 1 <= capacity < 2**31:
            raise ConfigError(f"rows in flight must be 1..2**31-1, not {capacity}")
        self.capacity = capacity
        self.input_count = input_count
        self.rows = <Row*>calloc(capacity, sizeof(Row))
        self.waiters = <PyObject**>calloc(capacity, sizeof(PyObject*))
        self._free = <int32_t*>malloc(capacity * sizeof(int32_t))
        if self.rows == NULL or self.waiters == NULL or self._free == NULL:
            raise MemoryError(f"no memory for {capacity} rows in flight")
        if input_count:
            self.keepalives = <PyObject**>calloc(capacity, sizeof(PyObject*))
            self.sources = <const char**>calloc(capacity * input_count, sizeof(char*))
            if self.keepalives == NULL or self.sources == NULL:
                raise MemoryError(f"no memory for {capacity} rows in flight")
        for i in range(capacity):
            self._free[i] = <int32_t>(capacity - 1 - i)
        self._free_count = capacity

    def __dealloc__(self):
        cdef int64_t i
        if self.waiters != NULL:
            for i in range(self.capacity):
                Py_CLEAR(self.waiters[i])
        if self.keepalives != NULL:
            for i in range(self.capacity):
                Py_CLEAR(self.keepalives[i])
        free(self.rows)
        free(self.waiters)
        free(self.keepalives)
        free(self.sources)
        free(self._free)

    @property
    def in_flight_count(self):
        """Rows issued and not yet observed."""
        return self.capacity - self._free_count

    def __repr__(self):
        return (
            f"<RowTable [{self.capacity - self._free_count} in flight "
            f"of {self.capacity}]>"
        )
