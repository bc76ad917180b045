"""A timer of the kernel, to the nanosecond, behind a file descriptor.

An event loop's own timers are whole milliseconds (uvloop's may even be early); a
descriptor that becomes readable wakes it when the moment has come.
"""

cimport cython
from cpython.exc cimport PyErr_SetFromErrno
from libc.stdint cimport int64_t, uint64_t
from posix.unistd cimport close, read

from bytemlperf._native.posix cimport CLOCK_MONOTONIC, timespec, to_timespec

cdef extern from "<sys/timerfd.h>" nogil:
    struct itimerspec:
        timespec it_interval
        timespec it_value
    int TFD_CLOEXEC
    int TFD_NONBLOCK
    int TFD_TIMER_ABSTIME
    int timerfd_create(int clock, int flags)
    int timerfd_settime(
        int fd, int flags, const itimerspec* new_value, itimerspec* old_value
    )


@cython.final
cdef class Alarm:
    """A timer of the kernel that an event loop can wait for.

    Notes
    -----
    Thread-safety: the thread of the loop that waits for `fd`.
    """

    cdef readonly int fd

    def __cinit__(self):
        self.fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK)
        if self.fd < 0:
            PyErr_SetFromErrno(OSError)

    def __dealloc__(self):
        self.close()

    def ring_at(self, int64_t moment_ns):
        """Make `fd` readable at that moment of the monotonic clock, ns; at once if it
        has passed.
        """
        cdef itimerspec setting
        setting.it_interval = to_timespec(0)
        # All zero would switch it off.
        setting.it_value = to_timespec(max(moment_ns, 1))
        if timerfd_settime(self.fd, TFD_TIMER_ABSTIME, &setting, NULL) < 0:
            PyErr_SetFromErrno(OSError)

    def clear(self):
        """Take the ringing back."""
        cdef uint64_t times
        read(self.fd, &times, 8)

    def close(self):
        """Give the descriptor back; stop waiting for it first."""
        if self.fd >= 0:
            close(self.fd)
            self.fd = -1
