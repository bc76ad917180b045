"""Aligned memory that outlives a batch: slots acquired, released and counted.

Views handed out are read-only and counted. A slot with a live view cannot be released,
and the memory itself lives until its last view is gone.
"""

cimport cython
from cpython.buffer cimport PyBUF_WRITABLE, PyBuffer_FillInfo
from cpython.exc cimport PyErr_CheckSignals
from libc.stdint cimport int32_t, int64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy, memset

from bytemlperf._native.posix cimport (
    CLOCK_MONOTONIC,
    mlock,
    monotonic_ns,
    munlock,
    posix_memalign,
    pthread_cond_destroy,
    pthread_cond_init,
    pthread_cond_signal,
    pthread_cond_timedwait,
    pthread_condattr_destroy,
    pthread_condattr_init,
    pthread_condattr_setclock,
    pthread_condattr_t,
    pthread_mutex_destroy,
    pthread_mutex_init,
    pthread_mutex_lock,
    pthread_mutex_unlock,
    timespec,
    to_timespec,
)

from bytemlperf.errors import ConfigError, PoolExhaustedError, ResourceError

SLOT_ALIGNMENT = ALIGNMENT
cdef int64_t SIGNAL_CHECK_NS = 50_000_000


@cython.final
cdef class AlignedBuffer:
    """Zeroed memory at a 64-byte boundary (a page boundary from 4 KiB on).

    Parameters
    ----------
    nbytes : int
        Its size, bytes, >= 0.
    lock : bool, default False
        Ask the kernel to keep it resident. It may refuse (RLIMIT_MEMLOCK);
        `is_locked` says what it answered.

    Notes
    -----
    It exports a writable buffer until `freeze` is called, a read-only one after.
    """

    def __cinit__(self, Py_ssize_t nbytes, *, bint lock=False):
        cdef void* data = NULL
        self.data = NULL
        if nbytes < 0:
            raise ConfigError(f"a buffer has at least 0 bytes, not {nbytes}")
        if posix_memalign(&data, 4096 if nbytes >= 4096 else ALIGNMENT, nbytes or 1):
            raise MemoryError(f"no memory for a buffer of {nbytes} bytes")
        self.data = <char*>data
        self.nbytes = nbytes
        # Touches every page, so that no page fault falls into a measurement.
        memset(self.data, 0, nbytes)
        self.is_locked = lock and nbytes > 0 and mlock(self.data, nbytes) == 0

    def __dealloc__(self):
        if self.is_locked:
            munlock(self.data, self.nbytes)
        free(self.data)

    def __getbuffer__(self, Py_buffer* view, int flags):
        PyBuffer_FillInfo(view, self, self.data, self.nbytes, self._is_frozen, flags)
        self._export_count += 1

    def __releasebuffer__(self, Py_buffer* view):
        self._export_count -= 1

    def freeze(self):
        """Export read-only from now on; a live writable export forbids it."""
        if self._export_count and not self._is_frozen:
            raise ResourceError(
                f"cannot freeze a buffer with {self._export_count} live writable views"
            )
        self._is_frozen = True

    @property
    def address(self):
        """Where it begins."""
        return <size_t>self.data

    def __repr__(self):
        return (
            f"<AlignedBuffer [{self.nbytes} bytes | {self._export_count} views"
            f"{' | locked' if self.is_locked else ''}]>"
        )


@cython.final
cdef class SlotView:
    """Exports part of one slot as a read-only buffer, and counts its exports."""

    def __init__(self):
        raise TypeError("views of a slot are made by BufferPool.view")

    def __getbuffer__(self, Py_buffer* view, int flags):
        if not self._pool._is_acquired[self._slot]:
            raise ResourceError(f"slot {self._slot} was released before it was viewed")
        if flags & PyBUF_WRITABLE:
            raise BufferError("views of a pool slot are read-only")
        PyBuffer_FillInfo(view, self, self._data, self._nbytes, True, flags)
        self._pool._exports[self._slot] += 1

    def __releasebuffer__(self, Py_buffer* view):
        self._pool._exports[self._slot] -= 1


@cython.final
cdef class BufferPool:
    """A fixed number of equal, 64-byte aligned slots of memory.

    Parameters
    ----------
    slot_count : int
        Slots, >= 1.
    slot_bytes : int
        Bytes of a slot, >= 1; rounded up to a multiple of 64.

    Raises
    ------
    ConfigError
        A size is out of its range.

    Notes
    -----
    Thread-safety: any thread may call any method.
    """

    def __cinit__(self, Py_ssize_t slot_count, Py_ssize_t slot_bytes):
        cdef pthread_condattr_t attributes
        cdef Py_ssize_t i
        self._initialised = False
        self._free = NULL
        self._exports = NULL
        self._is_acquired = NULL
        if slot_count < 1 or slot_bytes < 1:
            raise ConfigError(
                "a buffer pool needs slot_count >= 1 and slot_bytes >= 1, "
                f"not {slot_count} and {slot_bytes}"
            )
        self.slot_count = slot_count
        self.slot_bytes = (slot_bytes + ALIGNMENT - 1) // ALIGNMENT * ALIGNMENT
        self._memory = AlignedBuffer(slot_count * self.slot_bytes)
        self._free = <int32_t*>malloc(slot_count * sizeof(int32_t))
        self._exports = <int32_t*>calloc(slot_count, sizeof(int32_t))
        self._is_acquired = <char*>calloc(slot_count, 1)
        if self._free == NULL or self._exports == NULL or self._is_acquired == NULL:
            raise MemoryError(f"no memory for the books of {slot_count} slots")
        for i in range(slot_count):
            self._free[i] = <int32_t>(slot_count - 1 - i)
        self._free_count = slot_count
        pthread_condattr_init(&attributes)
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        pthread_mutex_init(&self._mutex, NULL)
        pthread_cond_init(&self._available, &attributes)
        pthread_condattr_destroy(&attributes)
        self._initialised = True

    def __dealloc__(self):
        if self._initialised:
            pthread_cond_destroy(&self._available)
            pthread_mutex_destroy(&self._mutex)
        free(self._free)
        free(self._exports)
        free(self._is_acquired)

    cdef char* c_slot(self, Py_ssize_t slot) noexcept nogil:
        return self._memory.data + slot * self.slot_bytes

    cdef int _check(
        self, Py_ssize_t slot, Py_ssize_t offset, Py_ssize_t size
    ) except -1:
        if not 0 <= slot < self.slot_count:
            raise ResourceError(
                f"slot {slot} does not exist: the pool has {self.slot_count}"
            )
        if not self._is_acquired[slot]:
            raise ResourceError(f"slot {slot} is not acquired")
        if offset < 0 or size < 0 or offset > self.slot_bytes - size:
            raise ResourceError(
                f"bytes {offset}..{offset + size} are outside slot {slot} "
                f"of {self.slot_bytes} bytes"
            )
        return 0

    def acquire_nowait(self):
        """Take a free slot, or refuse at once."""
        cdef Py_ssize_t slot = -1
        if self._closed:
            raise ResourceError("the pool is closed")
        pthread_mutex_lock(&self._mutex)
        if self._free_count:
            self._free_count -= 1
            slot = self._free[self._free_count]
        pthread_mutex_unlock(&self._mutex)
        if slot < 0:
            raise PoolExhaustedError(f"all {self.slot_count} slots are acquired")
        self._is_acquired[slot] = 1
        self.acquired_count += 1
        return slot

    def acquire(self, *, timeout_ns=None):
        """Take a free slot, waiting for one without the GIL."""
        cdef int64_t give_up_ns = 0x7FFFFFFFFFFFFFFF
        cdef int64_t now_ns
        cdef timespec deadline
        if timeout_ns is not None:
            give_up_ns = monotonic_ns() + <int64_t>timeout_ns
        while True:
            try:
                return self.acquire_nowait()
            except PoolExhaustedError:
                now_ns = monotonic_ns()
                if now_ns >= give_up_ns:
                    raise
            with nogil:
                pthread_mutex_lock(&self._mutex)
                if self._free_count == 0:
                    deadline = to_timespec(min(give_up_ns, now_ns + SIGNAL_CHECK_NS))
                    pthread_cond_timedwait(&self._available, &self._mutex, &deadline)
                pthread_mutex_unlock(&self._mutex)
            PyErr_CheckSignals()

    def release(self, Py_ssize_t slot):
        """Give a slot back; a live view of it forbids it."""
        self._check(slot, 0, 0)
        if self._exports[slot]:
            raise ResourceError(
                f"slot {slot} has {self._exports[slot]} live views: "
                "drop them before releasing it"
            )
        self._is_acquired[slot] = 0
        self.released_count += 1
        pthread_mutex_lock(&self._mutex)
        self._free[self._free_count] = <int32_t>slot
        self._free_count += 1
        pthread_cond_signal(&self._available)
        pthread_mutex_unlock(&self._mutex)

    def write(
        self, Py_ssize_t slot, const unsigned char[::1] data, *, Py_ssize_t offset=0
    ):
        """Copy bytes into an acquired slot, without the GIL."""
        cdef Py_ssize_t size = data.shape[0]
        self._check(slot, offset, size)
        if size:
            with nogil:
                memcpy(self.c_slot(slot) + offset, &data[0], size)

    def view(self, Py_ssize_t slot, *, Py_ssize_t offset=0, nbytes=None):
        """Export part of an acquired slot: a counted, read-only memoryview."""
        cdef Py_ssize_t size = self.slot_bytes - offset if nbytes is None else nbytes
        cdef SlotView exporter
        self._check(slot, offset, size)
        exporter = SlotView.__new__(SlotView)
        exporter._pool = self
        exporter._slot = slot
        exporter._data = self.c_slot(slot) + offset
        exporter._nbytes = size
        return memoryview(exporter)

    def address(self, Py_ssize_t slot):
        """Where an acquired slot begins; a multiple of 64."""
        self._check(slot, 0, 0)
        return <size_t>self.c_slot(slot)

    def close(self):
        """Refuse further acquires; slots still acquired forbid it."""
        if self.acquired_count != self.released_count:
            raise ResourceError(
                f"{self.acquired_count - self.released_count} slots were acquired "
                "and not released"
            )
        self._closed = True

    @property
    def free_count(self):
        """Slots that can be acquired now."""
        return self._free_count

    def export_count(self, Py_ssize_t slot):
        """Live views of a slot."""
        self._check(slot, 0, 0)
        return self._exports[slot]

    def __repr__(self):
        return (
            f"<BufferPool [{self.slot_count - self._free_count} acquired "
            f"of {self.slot_count} | {self.slot_bytes} bytes each]>"
        )
