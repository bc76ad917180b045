"""A coroutine driver with all that a stock task promises, resumed in place by a drain.

An `asyncio.Task` costs most where it waits: it asks each awaited object for its loop
and its callbacks, and is resumed by a handle of its own in the loop's next turn. A
`ClientTask` takes an `Answer` as what it is, and the drain that brings the answer
resumes the coroutine at once. Any other awaitable is waited for as a stock task does,
through the event loop. Everything around a task is as always: `asyncio.current_task`,
context variables, cancellation with its message, `uncancel`, timeouts, callbacks, task
groups of asyncio and of anyio, which read private attributes of tasks.

What no public interface offers, the table of current tasks, is looked for and tried
when this module is imported; `why_unavailable` says what was found.

It is long because a task must do all that asyncio's own does: its private attributes
that anyio reads, its cancellation, its states; there is no half of it.
"""

cimport cython
from cpython.contextvars cimport (
    PyContext_CopyCurrent,
    PyContext_Enter,
    PyContext_Exit,
)
from cpython.ref cimport PyObject, Py_DECREF

from bytemlperf._native.answer cimport Answer, adopt
from bytemlperf._native.current_task cimport (
    choose_table,
    enter_task,
    leave_task,
)

import asyncio
import sys
from asyncio import CancelledError, InvalidStateError, base_tasks
from asyncio.tasks import _register_task
from inspect import isgenerator

cdef enum TaskState:
    TASK_PENDING = 0
    TASK_FINISHED = 1
    TASK_FAILED = 2
    TASK_CANCELLED = 3

# Python 3.13 forgets a cancellation that was not delivered yet when it is taken back.
cdef bint UNCANCEL_FORGETS = sys.version_info >= (3, 13)

cdef long long task_count = 0


cdef object take_error():
    """Take the exception that was just raised, with its traceback."""
    cdef PyObject* kind = NULL
    cdef PyObject* value = NULL
    cdef PyObject* traceback = NULL
    PyErr_Fetch(&kind, &value, &traceback)
    PyErr_NormalizeException(&kind, &value, &traceback)
    if traceback != NULL:
        PyException_SetTraceback(value, traceback)
    error = <object>value
    Py_XDECREF(kind)
    Py_XDECREF(value)
    Py_XDECREF(traceback)
    return error


@cython.final
cdef class Crew:
    """Counts tasks that were started together, and says when the last has ended.

    Parameters
    ----------
    on_empty : callable
        Called without arguments each time the last member has ended.
    """

    def __cinit__(self, on_empty):
        self._on_empty = on_empty
        self.errors = []

    cdef int c_join(self) except -1:
        self.alive_count += 1
        return 0

    cdef int c_leave(self, object error) except -1:
        self.alive_count -= 1
        if error is not None:
            self.errors.append(error)
        if self.alive_count == 0:
            self._on_empty()
        return 0

    def __repr__(self):
        return f"<Crew [{self.alive_count} alive | {len(self.errors)} errors]>"


cdef class ClientTask(Waiter):
    """Drive a coroutine to its end, as an `asyncio.Task` does.

    It is no subclass of `asyncio.Task`, but has its methods, and is a future to
    everything that asks `asyncio.isfuture`.

    Parameters
    ----------
    coro : coroutine
        What to drive.
    loop : asyncio.AbstractEventLoop
        The loop it runs on, in that loop's thread.
    name : str, optional
        None: a name is made up when it is asked for.
    context : contextvars.Context, optional
        None: a copy of the current one.
    crew : Crew, optional
        A member of a crew is started by its maker, and is not in `asyncio.all_tasks`:
        the crew knows it. Others start in the loop's next turn.

    Raises
    ------
    TypeError
        It is not a coroutine.

    Notes
    -----
    Thread-safety: loop thread only, as every task.
    """

    def __init__(self, coro, *, loop, name=None, context=None, Crew crew=None):
        if not asyncio.iscoroutine(coro):
            raise TypeError(f"a coroutine was expected, got {coro!r}")
        self._coro = coro
        self._loop = loop
        self._name = None if name is None else str(name)
        self._context = PyContext_CopyCurrent() if context is None else context
        self._crew = crew
        self._log_destroy_pending = crew is None
        if crew is not None:
            crew.c_join()
            return
        loop.call_soon(self._step, context=self._context)
        _register_task(self)

    def __del__(self):
        if self._state == TASK_PENDING and self._loop is not None:
            if self._log_destroy_pending:
                self._loop.call_exception_handler(
                    {"task": self, "message": "Task was destroyed but it is pending!"}
                )
        elif self._log_traceback:
            self._loop.call_exception_handler({
                "message": f"{type(self).__name__} exception was never retrieved",
                "exception": self._outcome,
                "future": self,
            })

    # -- driving -----------------------------------------------------------------

    cdef int c_resume(self, Answer answer) except -1:
        # As `c_step`, of which this is the common case: it awaits the answer again.
        cdef PyObject* yielded = NULL
        cdef int sent
        if self._state != TASK_PENDING or self._must_cancel:
            return self.c_step(None, True)
        self._fut_waiter = None
        enter_task(self._loop, self)
        PyContext_Enter(self._context)
        sent = PyIter_Send(self._coro, None, &yielded)
        if sent == SENT_NEXT and yielded == <PyObject*>answer and not self._must_cancel:
            PyContext_Exit(self._context)
            if adopt(answer, self):
                self._fut_waiter = answer
                Py_XDECREF(yielded)
                return 0
            outcome = answer
        elif sent == SENT_ERROR:
            outcome = take_error()
            PyContext_Exit(self._context)
            return self._go_on(sent, outcome)
        else:
            outcome = <object>yielded
            PyContext_Exit(self._context)
        Py_DECREF(outcome)
        return self._go_on(sent, outcome)

    cdef int c_resume_soon(self, Answer answer) except -1:
        self._loop.call_soon(self._wake, answer, context=self._context)
        return 0

    cdef int c_start(self) except -1:
        """Take the first step; the caller leaves the last of such tasks."""
        return self.c_step(None, True)

    cdef bint c_end_here(self) except -1:
        """End without going on, unless there is a cancellation to deliver."""
        if self._state != TASK_PENDING or self._must_cancel:
            return False
        self._fut_waiter = None
        self._end(TASK_FINISHED, None)
        return True

    def _step(self, error=None):
        """Go on, called by the loop in the task's context."""
        self.c_step(error, False)

    def _wake(self, future):
        """Go on with what a future has come to, called by the loop."""
        try:
            future.result()
        except BaseException as error:
            self.c_step(error, False)
        else:
            self.c_step(None, False)

    cdef int c_step(self, object error, bint enters) except -1:
        cdef PyObject* yielded = NULL
        cdef int sent
        if self._state != TASK_PENDING:
            raise InvalidStateError(f"{self!r} has ended, and cannot go on")
        if self._must_cancel:
            if not isinstance(error, CancelledError):
                error = self._cancelled_error()
            self._must_cancel = False
        self._fut_waiter = None
        enter_task(self._loop, self)
        if enters:
            PyContext_Enter(self._context)
        outcome = None
        if error is None:
            sent = PyIter_Send(self._coro, None, &yielded)
            if sent == SENT_ERROR:
                outcome = take_error()
            else:
                outcome = <object>yielded
                Py_DECREF(outcome)
        else:
            try:
                outcome = self._coro.throw(error)
                sent = SENT_NEXT
            except StopIteration as stop:
                outcome = stop.value
                sent = SENT_RETURN
            except BaseException as raised:
                outcome = raised
                sent = SENT_ERROR
        if enters:
            # A drain goes on to the next task; it leaves the last one.
            PyContext_Exit(self._context)
        else:
            leave_task(self._loop)
        return self._go_on(sent, outcome)

    cdef int _go_on(self, int sent, object outcome) except -1:
        """Do with what a step has come to."""
        if sent == SENT_NEXT:
            return self._await(outcome)
        if sent == SENT_RETURN:
            if self._must_cancel:
                # Cancelled from its own last step: there was no await to deliver it.
                self._must_cancel = False
                return self._end(TASK_CANCELLED, self._cancelled_error())
            return self._end(TASK_FINISHED, outcome)
        if isinstance(outcome, CancelledError):
            return self._end(TASK_CANCELLED, outcome)
        self._end(TASK_FAILED, outcome)
        if isinstance(outcome, (KeyboardInterrupt, SystemExit)):
            raise outcome
        return 0

    cdef int _await(self, object awaited) except -1:
        """Wait for what the coroutine has yielded."""
        if isinstance(awaited, Answer) and adopt(<Answer>awaited, self):
            self._fut_waiter = awaited
            if self._must_cancel and (<Answer>awaited).cancel(self._cancel_message):
                self._must_cancel = False
            return 0
        if awaited is None:
            self._loop.call_soon(self._step, context=self._context)
            return 0
        blocking = getattr(awaited, "_asyncio_future_blocking", None)
        if blocking is None:
            if isgenerator(awaited):
                return self._refuse(RuntimeError(
                    f"yield was used instead of yield from for generator in {self!r} "
                    f"with {awaited!r}"
                ))
            return self._refuse(RuntimeError(f"Task got bad yield: {awaited!r}"))
        if not blocking:
            return self._refuse(RuntimeError(
                f"yield was used instead of yield from in {self!r} with {awaited!r}"
            ))
        if awaited is self:
            return self._refuse(RuntimeError(f"Task cannot await on itself: {self!r}"))
        if awaited.get_loop() is not self._loop:
            return self._refuse(RuntimeError(
                f"{self!r} got Future {awaited!r} attached to a different loop"
            ))
        awaited._asyncio_future_blocking = False
        awaited.add_done_callback(self._wake, context=self._context)
        self._fut_waiter = awaited
        if self._must_cancel and awaited.cancel(msg=self._cancel_message):
            self._must_cancel = False
        return 0

    cdef int _refuse(self, object error) except -1:
        self._loop.call_soon(self._step, error, context=self._context)
        return 0

    cdef int _end(self, int state, object outcome) except -1:
        self._state = state
        self._outcome = outcome
        self._log_traceback = state == TASK_FAILED and self._crew is None
        if self._on_done is not None:
            callbacks = self._on_done
            self._on_done = None
            for callback, context in callbacks:
                self._loop.call_soon(callback, self, context=context)
        if self._crew is not None:
            self._crew.c_leave(outcome if state == TASK_FAILED else None)
        return 0

    def _cancelled_error(self):
        if self._cancel_message is None:
            return CancelledError()
        return CancelledError(self._cancel_message)

    # -- what a task is asked ------------------------------------------------------

    def cancel(self, msg=None):
        """Ask it to end: `CancelledError` is raised where it waits."""
        if self._state != TASK_PENDING:
            return False
        self._log_traceback = False
        self._cancel_requests += 1
        if self._fut_waiter is not None and self._fut_waiter.cancel(msg=msg):
            return True
        self._must_cancel = True
        self._cancel_message = msg
        return True

    def cancelling(self):
        """Count the requests to cancel that were not taken back."""
        return self._cancel_requests

    def uncancel(self):
        """Take a request to cancel back; how many are left."""
        if self._cancel_requests > 0:
            self._cancel_requests -= 1
            if UNCANCEL_FORGETS and self._cancel_requests == 0:
                self._must_cancel = False
        return self._cancel_requests

    def cancelled(self):
        """Whether it ended by being cancelled."""
        return self._state == TASK_CANCELLED

    def done(self):
        """Whether it has ended."""
        return self._state != TASK_PENDING

    def result(self):
        """What the coroutine returned; its exception is raised."""
        error = self.exception()
        if error is not None:
            raise error.with_traceback(error.__traceback__)
        return self._outcome

    def exception(self):
        """What the coroutine raised, or None."""
        if self._state == TASK_CANCELLED:
            raise self._outcome
        if self._state == TASK_PENDING:
            raise InvalidStateError("Result is not set.")
        self._log_traceback = False
        return self._outcome if self._state == TASK_FAILED else None

    def add_done_callback(self, callback, *, context=None):
        """Be called back with the task in the loop's next turn after its end."""
        if context is None:
            context = PyContext_CopyCurrent()
        if self._state != TASK_PENDING:
            self._loop.call_soon(callback, self, context=context)
        elif self._on_done is None:
            self._on_done = [(callback, context)]
        else:
            self._on_done.append((callback, context))

    def remove_done_callback(self, callback):
        """Forget a callback; how often it was found."""
        if self._on_done is None:
            return 0
        kept = [each for each in self._on_done if each[0] != callback]
        found = len(self._on_done) - len(kept)
        self._on_done = kept or None
        return found

    def set_result(self, result):
        """Refuse: a task makes its result itself."""
        raise RuntimeError("Task does not support set_result operation")

    def set_exception(self, exception):
        """Refuse: a task makes its exception itself."""
        raise RuntimeError("Task does not support set_exception operation")

    def get_loop(self):
        """Loop it runs on."""
        return self._loop

    def get_coro(self):
        """Coroutine it drives."""
        return self._coro

    def get_context(self):
        """Context the coroutine runs in."""
        return self._context

    def get_name(self):
        """Name of the task."""
        global task_count
        if self._name is None:
            task_count += 1
            self._name = f"ClientTask-{task_count}"
        return self._name

    def set_name(self, value):
        """Give it another name."""
        self._name = str(value)

    def get_stack(self, *, limit=None):
        """Frames of the coroutine, as `asyncio.Task.get_stack`."""
        return base_tasks._task_get_stack(self, limit)

    def print_stack(self, *, limit=None, file=None):
        """Print them, as `asyncio.Task.print_stack`."""
        base_tasks._task_print_stack(self, limit, file)

    @property
    def _callbacks(self):
        return self._on_done

    @property
    def _exception(self):
        return self._outcome if self._state == TASK_FAILED else None

    @property
    def _source_traceback(self):
        return None

    def __await__(self):
        if self._state == TASK_PENDING:
            self._asyncio_future_blocking = True
            yield self
        if self._state == TASK_PENDING:
            raise RuntimeError("await wasn't used with future")
        return self.result()

    __iter__ = __await__

    def __repr__(self):
        state = ("pending", "finished", "failed", "cancelled")[self._state]
        if self._must_cancel:
            state = "cancelling"
        waits = "" if self._fut_waiter is None else f" | waits for {self._fut_waiter!r}"
        return f"<ClientTask {self.get_name()} [{state}{waits}] {self._coro!r}>"


# -- is all of it there? -----------------------------------------------------------


class _ProbeLoop:
    """As much of an event loop as a task needs that is stepped by hand."""

    def __init__(self):
        self.ready = []

    def call_soon(self, callback, *args, context=None):
        self.ready.append((callback, args, context))

    def call_exception_handler(self, context):
        raise AssertionError(context)


def _probe():
    """Try a task out without a loop; None, or what is not as it should be."""
    loop = _ProbeLoop()
    seen = []

    async def look():
        seen.append(asyncio.current_task(loop))
        await asyncio.sleep(0)
        seen.append(asyncio.current_task(loop))

    if not choose_table():
        return "this Python has no table of current tasks that could be written"
    task = ClientTask(look(), loop=loop)
    while loop.ready:
        callback, args, context = loop.ready.pop(0)
        context.run(callback, *args)
    if not task.done() or task.cancelled() or task.exception() is not None:
        return f"a task on trial did not end well: {task!r}"
    if [each is task for each in seen] != [True, True]:
        return f"asyncio.current_task() was {seen!r} within a task on trial"
    if asyncio.current_task(loop) is not None:
        return "asyncio.current_task() was left behind by a task on trial"
    return None


cdef object unavailable = _probe()


def why_unavailable():
    """Why stock tasks have to be used instead; None: they need not."""
    return unavailable
