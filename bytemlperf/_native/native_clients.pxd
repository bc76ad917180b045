from cpython.ref cimport PyObject
from libc.stdint cimport int64_t

from bytemlperf._native.batch_queue cimport BatchQueue
from bytemlperf._native.completion_ring cimport BatchRecord, CompletionRing, Doorbell
from bytemlperf._native.dispatcher cimport Dispatcher
from bytemlperf._native.parking cimport Waits
from bytemlperf._native.posix cimport pthread_mutex_t
from bytemlperf._native.row_table cimport RowTable
from bytemlperf._native.timeline cimport Timeline

cdef class NativeClients:
    # The mutex guards everything here, the dispatcher's phase and the timeline. It is
    # never waited for with the GIL held: its holder may ask for the GIL.
    cdef pthread_mutex_t _mutex
    cdef bint _initialised
    cdef Dispatcher _dispatcher
    cdef BatchQueue _queue
    cdef RowTable _table            # client i owns row i
    cdef Timeline _timeline
    cdef list _rings                # empty in lanes
    cdef PyObject** _ring_pointers  # the same, borrowed, to be read without the GIL
    cdef Py_ssize_t _ring_count
    cdef Doorbell _bell
    cdef object _on_empty
    cdef int64_t* _left             # queries each client may still ask; owned
    cdef bint _is_endless           # they may ask any number
    cdef int64_t* _issued           # rows to put after a batch was observed; owned
    # Clients that think, in the order in which they will ask: all think for equally
    # long. Room for all of them; NULL if they do not think.
    cdef int64_t* _thinking
    cdef int64_t _thinking_head
    cdef int64_t _thinking_tail
    cdef readonly int64_t think_ns
    cdef readonly int64_t client_count
    cdef readonly int64_t alive_count
    cdef long long _is_closed
    cdef Waits _waits

    cdef void c_lock(self) noexcept nogil
    cdef bint c_try_lock(self) noexcept nogil
    cdef int64_t c_observe(
        self,
        int64_t* rows,
        BatchRecord* batch,
        int64_t observed_ns,
        int64_t* issued_ns,
    ) noexcept nogil
    cdef void _fold(
        self, const int64_t* rows, BatchRecord* batch, int64_t observed_ns
    ) noexcept nogil
    cdef bint _ask(self, int64_t client, int64_t scheduled_ns) noexcept nogil
    cdef void _retire(self, int64_t count) noexcept nogil
    cdef void _discard(self) noexcept nogil
    cdef void _tell_empty(self) noexcept nogil
    cdef void _note_failure(self, BatchRecord* batch, int64_t row) noexcept nogil
    cdef void _release_payload(self, BatchRecord* batch) noexcept nogil
    cdef bint _ask_those_due(self, int64_t now_ns) noexcept nogil
    cdef int64_t _collect(self, CompletionRing ring, int64_t* rows) noexcept nogil
    cdef void _sleep(self, bint may_spin) noexcept nogil
    cdef bint _has_news(self) noexcept nogil
