from cpython.ref cimport PyObject

from bytemlperf._native.answer cimport Answer, Waiter

cdef extern from "Python.h":
    # By address: what comes back is owned, and an error is looked for by the caller.
    int PyIter_Send(object iterator, object value, PyObject** result)
    void PyErr_Fetch(PyObject** kind, PyObject** value, PyObject** traceback)
    void PyErr_NormalizeException(
        PyObject** kind, PyObject** value, PyObject** traceback
    )
    int PyException_SetTraceback(PyObject* error, PyObject* traceback)
    void Py_XDECREF(PyObject* thing)

cdef enum SendResult:
    SENT_ERROR = -1
    SENT_RETURN = 0
    SENT_NEXT = 1

cdef object take_error()


cdef class Crew:
    # Loop thread only.
    cdef object _on_empty
    cdef readonly list errors           # what members raised, cancellations left out
    cdef readonly long long alive_count

    cdef int c_join(self) except -1
    cdef int c_leave(self, object error) except -1


cdef class ClientTask(Waiter):
    # Loop thread only.
    cdef object __weakref__
    cdef readonly object _loop
    cdef readonly object _coro
    cdef object _context
    cdef object _name
    cdef readonly object _fut_waiter
    cdef object _on_done                # None, or a list of (callback, context)
    cdef object _outcome                # the result or the exception, when done
    cdef public object _cancel_message
    cdef Crew _crew
    cdef public bint _asyncio_future_blocking
    cdef public bint _log_traceback     # nobody has looked at the exception yet
    cdef public bint _log_destroy_pending   # whether an early end of its life is told
    cdef readonly bint _must_cancel
    cdef int _cancel_requests
    cdef int _state

    cdef int c_step(self, object error, bint enters) except -1
    cdef int c_start(self) except -1
    cdef bint c_end_here(self) except -1
    cdef int _go_on(self, int sent, object outcome) except -1
    cdef int _await(self, object awaited) except -1
    cdef int _refuse(self, object error) except -1
    cdef int _end(self, int state, object outcome) except -1
