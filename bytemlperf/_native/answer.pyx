"""What a client awaits: a reusable slot that the drain fills and wakes directly.

It speaks the protocol by which `asyncio.Task` waits for future-like objects, but it is
made once per client instead of once per query, and its waiter is resumed in place by
the drain, not by a callback scheduled for the loop's next turn. A native waiter, such
as a `ClientTask`, is kept as it is; a stock task is a callback and its context.
"""

from cpython.contextvars cimport PyContext_Enter, PyContext_Exit

from bytemlperf._native.current_task cimport leave_last_task

from asyncio import CancelledError, InvalidStateError


cdef class Waiter:
    """What waits for an answer and can be resumed in place; made by its subclasses."""

    cdef int c_resume(self, Answer answer) except -1:
        """Go on now: called from a plain callback of the loop, outside every task."""
        raise NotImplementedError

    cdef int c_resume_soon(self, Answer answer) except -1:
        """Go on in the loop's next turn: whoever calls may be a task itself."""
        raise NotImplementedError


cdef class Answer:
    """The answer to one query at a time, awaited by one task at a time.

    Parameters
    ----------
    loop : asyncio.AbstractEventLoop
        The loop whose thread issues, drains and awaits.

    Notes
    -----
    Thread-safety: loop thread only. A cancelled answer cannot be used again: its row
    is still in flight, because a batch cannot be recalled.
    """

    def __cinit__(self, loop):
        self._loop = loop
        self._state = ANSWER_IDLE

    cdef int c_wake(self) except -1:
        """Finish, and resume the waiter at once."""
        self._state = ANSWER_DONE
        return self.c_resume_waiter()

    cdef int c_resume_waiter(self) except -1:
        cdef Waiter waiter = self._waiter
        if waiter is not None:
            self._waiter = None
            return waiter.c_resume(self)
        callback = self._callback
        context = self._context
        leave_last_task(self._loop)
        self._callback = None
        self._context = None
        if callback is None:
            return 0
        if context is None:
            callback(self)
            return 0
        PyContext_Enter(context)
        try:
            callback(self)
        finally:
            PyContext_Exit(context)
        return 0

    def __await__(self):
        return self

    def __iter__(self):
        return self

    def __next__(self):
        if self._state == ANSWER_DONE:
            raise StopIteration
        if self._state == ANSWER_ABANDONED:
            raise CancelledError(*self._cancelled_arguments())
        if self._state == ANSWER_IDLE:
            raise InvalidStateError("an answer was awaited before it was issued")
        if self._callback is not None or self._waiter is not None:
            raise RuntimeError("an answer is awaited by one task at a time")
        self._asyncio_future_blocking = True
        return self

    # -- what asyncio.Task asks of a future ------------------------------------

    def get_loop(self):
        """Loop it belongs to."""
        return self._loop

    def add_done_callback(self, callback, *, context=None):
        """Be told once it is done: there is room for one waiter."""
        if self._callback is not None or self._waiter is not None:
            raise RuntimeError("an answer is awaited by one task at a time")
        self._callback = callback
        self._context = context
        if self._state == ANSWER_DONE or self._state == ANSWER_ABANDONED:
            self._schedule()

    def remove_done_callback(self, callback):
        """Forget the waiter; how many were forgotten."""
        if self._callback is None or self._callback != callback:
            return 0
        self._callback = None
        self._context = None
        return 1

    def cancel(self, msg=None):
        """Give the answer up; its row is still served, and counted as cancelled."""
        if self._state != ANSWER_PENDING:
            return False
        self._state = ANSWER_ABANDONED
        self._cancel_message = msg
        # Not resumed in place: whoever cancels may itself be running as a task.
        self._schedule()
        return True

    def _schedule(self):
        cdef Waiter waiter = self._waiter
        if waiter is not None:
            self._waiter = None
            waiter.c_resume_soon(self)
            return
        callback = self._callback
        if callback is not None:
            context = self._context
            self._callback = None
            self._context = None
            self._loop.call_soon(callback, self, context=context)

    def _cancelled_arguments(self):
        return () if self._cancel_message is None else (self._cancel_message,)

    def cancelled(self):
        """Whether it was given up."""
        return self._state == ANSWER_ABANDONED

    def done(self):
        """Whether nothing is to be waited for."""
        return self._state == ANSWER_DONE or self._state == ANSWER_ABANDONED

    def result(self):
        """None when answered; what came is in `outcome` and `payload`."""
        if self._state == ANSWER_ABANDONED:
            raise CancelledError(*self._cancelled_arguments())
        if self._state != ANSWER_DONE:
            raise InvalidStateError("the answer has not come yet")

    def exception(self):
        """None when answered."""
        self.result()

    def __repr__(self):
        state = ("idle", "pending", "done", "abandoned")[self._state]
        return f"<Answer [{state}]>"
