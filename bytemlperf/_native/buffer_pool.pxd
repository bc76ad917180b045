from libc.stdint cimport int32_t, int64_t

from bytemlperf._native.posix cimport pthread_cond_t, pthread_mutex_t

cdef enum:
    ALIGNMENT = 64


cdef class AlignedBuffer:
    cdef char* data                 # owned, 64-byte aligned
    cdef readonly Py_ssize_t nbytes
    cdef readonly bint is_locked    # the kernel promised to keep it resident
    cdef bint _is_frozen            # GIL
    cdef Py_ssize_t _export_count   # GIL


cdef class BufferPool:
    cdef AlignedBuffer _memory          # all slots, one after the other
    cdef pthread_mutex_t _mutex         # guards _free, _free_count
    cdef pthread_cond_t _available
    cdef bint _initialised
    cdef int32_t* _free                 # stack of free slot numbers
    cdef int32_t* _exports              # live views per slot; GIL
    cdef char* _is_acquired             # per slot; GIL
    cdef Py_ssize_t _free_count
    cdef bint _closed                   # GIL
    cdef readonly Py_ssize_t slot_count
    cdef readonly Py_ssize_t slot_bytes  # multiple of 64
    cdef readonly int64_t acquired_count  # GIL
    cdef readonly int64_t released_count  # GIL

    cdef char* c_slot(self, Py_ssize_t slot) noexcept nogil
    cdef int _check(self, Py_ssize_t slot, Py_ssize_t offset, Py_ssize_t size) except -1


cdef class SlotView:
    cdef BufferPool _pool
    cdef Py_ssize_t _slot
    cdef char* _data
    cdef Py_ssize_t _nbytes
