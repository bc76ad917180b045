"""A lane on the event loop: its thread calls predict, and resumes who asked.

There is no hand-over at all. Each turn serves the batch that waits and hands it out at
once, so that the clients' next queries are there for the next one. Whatever else the
loop has to do comes between two turns.
"""

cimport cython
from libc.stdint cimport int64_t

from bytemlperf._native.batch_queue cimport BatchQueue
from bytemlperf._native.dispatcher cimport Dispatcher
from bytemlperf._native.posix cimport monotonic_ns
from bytemlperf._native.predict_loop cimport PredictLoop

# As for a drain: the loop gets its turn after so many rows, or so much time.
cdef int64_t TURN_BUDGET = 4096
cdef int64_t MAX_TURN_NS = 1_000_000


@cython.final
cdef class LoopLane:
    """Calls predict on the event loop's thread.

    Parameters
    ----------
    dispatcher : Dispatcher
        Of the only predict loop.
    queue : BatchQueue
        Where the rows wait, without delay.
    predict_loop : PredictLoop
        Gathers and calls; its `serve` is never run.
    predict : callable
        What to call.
    call_soon : callable
        Of the event loop.

    Notes
    -----
    Thread-safety: loop thread only.
    """

    cdef Dispatcher _dispatcher
    cdef BatchQueue _queue
    cdef PredictLoop _predict_loop
    cdef object _predict
    cdef object _call_soon
    cdef bint _is_scheduled
    cdef readonly bint is_closed

    def __cinit__(
        self,
        Dispatcher dispatcher not None,
        BatchQueue queue not None,
        PredictLoop predict_loop not None,
        *,
        predict,
        call_soon,
    ):
        self._dispatcher = dispatcher
        self._queue = queue
        self._predict_loop = predict_loop
        self._predict = predict
        self._call_soon = call_soon
        dispatcher.on_issue = self.wake

    def wake(self):
        """Have a turn soon, because a row was queued outside of one."""
        if not self._is_scheduled and not self.is_closed:
            self._is_scheduled = True
            self._call_soon(self.turn)

    def turn(self):
        """Serve and hand out until nothing waits, or the loop must have its turn."""
        cdef int64_t budget = TURN_BUDGET
        cdef int64_t until_ns = monotonic_ns() + MAX_TURN_NS
        # Rows queued by whom this turn resumes need no other one.
        self._is_scheduled = True
        try:
            while budget > 0 and not self.is_closed:
                if self._predict_loop.c_turn(self._predict) == 0:
                    break
                budget -= self._dispatcher.c_hand_out_all()
                if monotonic_ns() >= until_ns:
                    break
        finally:
            self._is_scheduled = False
            if self._queue.c_count():
                self.wake()

    def close(self):
        """Serve nothing any more."""
        self.is_closed = True
        self._dispatcher.on_issue = None

    def __repr__(self):
        state = "closed" if self.is_closed else "open"
        return f"<LoopLane [{self._queue.c_count()} waiting | {state}]>"
