from libc.stdint cimport int64_t

from bytemlperf._native.answer cimport Answer
from bytemlperf._native.client_task cimport Crew
from bytemlperf._native.dispatcher cimport Dispatcher

cdef class Population:
    # Loop thread only.
    cdef Dispatcher _dispatcher
    cdef object _loop
    cdef readonly Crew crew
    cdef int64_t _start_ns
    cdef int64_t _think_ns
    cdef bint ends_closed       # awaiting a closed client ends its coroutine
    cdef list _members          # tasks, or clients that are driven without one
    cdef object _blocked        # clients that found no room, in order
    cdef Py_ssize_t _started

    cdef int _start_member(self, object member) except -1
    cdef int _cancel_member(self, object member) except -1


cdef class Client(Answer):
    # Loop thread only.
    cdef Population _population
    cdef object _coro           # driven by the client itself; None: by a task
    cdef bint _is_over          # it has left the crew before its coroutine's end
    cdef int64_t _left          # queries it may still ask
    cdef readonly int64_t scheduled_ns
    cdef readonly int64_t index
    cdef readonly bint is_open

    cdef int _issue(self) except -1
    cdef int _issue_blocked(self) except -1
    cdef bint _end_here(self) except -1
    cdef object _refuse(self)
    cdef int _drive(self, object error) except -1
