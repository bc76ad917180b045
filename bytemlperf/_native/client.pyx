"""Clients that are coroutines: what they await, and the population they belong to.

``await client`` asks the plan's next query and waits for its answer; nothing is made
for it. A client is driven by a task, with all that tasks promise, or by itself: then
it is a bare coroutine that may wait for anything, but has no task and no context.
"""

cimport cython
from cpython.ref cimport PyObject, Py_DECREF
from libc.stdint cimport int64_t

from bytemlperf._native.answer cimport (
    ANSWER_ABANDONED,
    ANSWER_DONE,
    ANSWER_IDLE,
    ANSWER_PENDING,
    Answer,
    Waiter,
)
from bytemlperf._native.client_task cimport (
    SENT_ERROR,
    SENT_NEXT,
    SENT_RETURN,
    ClientTask,
    Crew,
    PyIter_Send,
    take_error,
)
from bytemlperf._native.completion_ring cimport OUTCOME_OK
from bytemlperf._native.current_task cimport leave_last_task
from bytemlperf._native.dispatcher cimport ISSUE_FULL, ISSUE_OK, Dispatcher

from asyncio import CancelledError
from collections import deque

# Members started before the loop gets a turn.
cdef Py_ssize_t START_BUDGET = 4096


@cython.final
cdef class Population:
    """The coroutine clients of one phase.

    Parameters
    ----------
    dispatcher : Dispatcher
        Issues their queries, in a phase that has begun.
    loop : asyncio.AbstractEventLoop
        Of this thread.
    on_empty : callable
        Called when the last of them has ended.
    think_ns : int
        From an answer to the moment the client's next query is due, ns.

    Notes
    -----
    Thread-safety: loop thread only. `start`, `open` and `cancel` resume clients in
    place: they must be called by the loop, never inside a task.
    """

    def __cinit__(
        self,
        Dispatcher dispatcher not None,
        *,
        loop,
        on_empty,
        int64_t think_ns=0,
    ):
        self._dispatcher = dispatcher
        self._loop = loop
        self._think_ns = think_ns
        self._members = []
        self._blocked = deque()
        self.crew = Crew(on_empty)

    def add(
        self,
        body,
        int64_t client_count,
        int64_t queries,
        *,
        kind,
        bint ends_closed=False,
    ):
        """Make clients, numbered on from those there are.

        Parameters
        ----------
        body : callable
            ``body(client)`` returns the coroutine of a client.
        client_count : int
            How many.
        queries : int
            Queries each may ask.
        kind : "task", "bare" or "stock"
            Driven by a `ClientTask` of its own, by itself, or by the loop's own task.
        ends_closed : bool, default False
            Whether a client that awaits itself although it is closed is ended there;
            otherwise the await returns at once.
        """
        cdef int64_t i
        cdef Client client
        cdef int64_t first = len(self._members)
        self.ends_closed = ends_closed
        for i in range(client_count):
            client = Client(self._loop)
            client._population = self
            client._left = queries
            client.is_open = queries > 0
            client.index = first + i
            client.scheduled_ns = -1
            coro = body(client)
            if kind == "task":
                self._members.append(
                    ClientTask(coro, loop=self._loop, crew=self.crew)
                )
            elif kind == "bare":
                client._coro = coro
                self.crew.c_join()
                self._members.append(client)
            else:
                self.crew.c_join()
                task = self._loop.create_task(coro)
                task.add_done_callback(self._stock_task_ended)
                self._members.append(task)

    def _stock_task_ended(self, task):
        self.crew.c_leave(None if task.cancelled() else task.exception())

    def begin(self, int64_t start_ns):
        """Set when the first query of every client is due, ns."""
        self._start_ns = start_ns

    def start(self):
        """Have every client ask its first query, some thousands in each turn."""
        cdef Py_ssize_t stop = min(self._started + START_BUDGET, len(self._members))
        while self._started < stop:
            member = self._members[self._started]
            self._started += 1
            self._start_member(member)
        leave_last_task(self._loop)
        if self._started < len(self._members):
            self._loop.call_soon(self.start)

    cdef int _start_member(self, object member) except -1:
        if isinstance(member, ClientTask):
            if not member.done():
                (<ClientTask>member).c_start()
        elif isinstance(member, Client):
            if (<Client>member)._coro is not None:
                (<Client>member)._drive(None)
        return 0

    def cancel(self):
        """Cancel every client; those that never started end at once."""
        for member in self._members:
            self._cancel_member(member)

    cdef int _cancel_member(self, object member) except -1:
        cdef Client client
        if not isinstance(member, Client):
            member.cancel()
            return 0
        client = <Client>member
        if client._coro is None or client._is_over:
            return 0
        if client._state == ANSWER_PENDING:
            client._state = ANSWER_ABANDONED
        return client._drive(CancelledError())

    def open(self, *, bint everybody=False):
        """Let clients that found no room ask again, in order."""
        cdef Client client
        while self._blocked:
            client = self._blocked.popleft()
            if client._state == ANSWER_ABANDONED:
                self._dispatcher.blocked_count -= 1
                continue
            if client._issue_blocked() == ISSUE_FULL:
                self._blocked.appendleft(client)
                break
            self._dispatcher.blocked_count -= 1
        leave_last_task(self._loop)

    def __repr__(self):
        return (
            f"<Population [{len(self._members)} clients | "
            f"{self.crew.alive_count} alive | {len(self._blocked)} without room]>"
        )


@cython.final
cdef class Client(Answer):
    """One client of a closed loop: ``await client`` asks, and waits for the answer.

    `is_open` says whether it may ask again; awaiting a closed client returns at once.
    After an answer, `scheduled_ns` is when its next query is due and `observed_ns` when
    the answer came.
    """

    cdef int _issue(self) except -1:
        """Issue the next query; an issue code. Without room it waits in line."""
        cdef Population population = self._population
        cdef int code = ISSUE_FULL
        if self.scheduled_ns < 0:
            self.scheduled_ns = population._start_ns
        if population._dispatcher.blocked_count == 0:
            code = population._dispatcher.c_issue(self, self.index, self.scheduled_ns)
        if code == ISSUE_FULL:
            self._state = ANSWER_PENDING
            population._blocked.append(self)
            population._dispatcher.blocked_count += 1
        return code

    cdef int _issue_blocked(self) except -1:
        cdef int code
        self._state = ANSWER_IDLE
        code = self._population._dispatcher.c_issue(
            self, self.index, self.scheduled_ns
        )
        if code == ISSUE_FULL:
            self._state = ANSWER_PENDING
        elif code != ISSUE_OK:
            # The phase has stopped: nothing was asked, and nothing will be.
            self.is_open = False
            self._state = ANSWER_DONE
            if self._coro is not None:
                self._drive(None)
            else:
                self.c_resume_waiter()
        return code

    cdef int c_wake(self) except -1:
        cdef Waiter waiter
        self._state = ANSWER_DONE
        self._left -= 1
        self.scheduled_ns = self.observed_ns + self._population._think_ns
        if self._left <= 0 or self.outcome != OUTCOME_OK:
            self.is_open = False
            if self._population.ends_closed and self._end_here():
                return 0
        if self._coro is not None:
            return self._drive(None)
        waiter = self._waiter
        if waiter is None:
            return self.c_resume_waiter()
        self._waiter = None
        return waiter.c_resume(self)

    cdef bint _end_here(self) except -1:
        """End a coroutine that would end at its next await anyhow; whether it did.

        An exception for each of many clients costs several queries, and its traceback
        more memory than the client. What is left of the coroutine goes with it.
        """
        if self._coro is not None:
            self._is_over = True
            self._population.crew.c_leave(None)
            return True
        if isinstance(self._waiter, ClientTask):
            return (<ClientTask>self._waiter).c_end_here()
        return False

    cdef object _refuse(self):
        """Return from an await without an answer, or end the coroutine that awaits."""
        if self._population.ends_closed:
            raise CancelledError("the client has no more to ask")
        raise StopIteration

    def __await__(self):
        return self

    def __iter__(self):
        return self

    def __next__(self):
        cdef int code
        if self._state == ANSWER_DONE:
            self._state = ANSWER_IDLE
            raise StopIteration
        if self._state == ANSWER_IDLE:
            if not self.is_open:
                return self._refuse()
            code = self._issue()
            if code == ISSUE_OK or code == ISSUE_FULL:
                self._asyncio_future_blocking = True
                return self
            self.is_open = False
            return self._refuse()
        if self._state == ANSWER_ABANDONED:
            raise CancelledError(*self._cancelled_arguments())
        raise RuntimeError("a client asks one query at a time")

    # -- a client without a task ---------------------------------------------------

    cdef int _drive(self, object error) except -1:
        """Resume the client's own coroutine, up to where it waits again."""
        cdef PyObject* yielded = NULL
        cdef int sent
        coro = self._coro
        leave_last_task(self._loop)
        if error is None:
            sent = PyIter_Send(coro, None, &yielded)
            if sent == SENT_ERROR:
                outcome = take_error()
            else:
                outcome = <object>yielded
                Py_DECREF(outcome)
        else:
            try:
                outcome = coro.throw(error)
                sent = SENT_NEXT
            except StopIteration as stop:
                outcome = stop.value
                sent = SENT_RETURN
            except BaseException as raised:
                outcome = raised
                sent = SENT_ERROR
        if sent == SENT_NEXT:
            if outcome is self:
                self._asyncio_future_blocking = False
            elif outcome is None:
                self._loop.call_soon(self._step)
            elif getattr(outcome, "_asyncio_future_blocking", None):
                outcome._asyncio_future_blocking = False
                outcome.add_done_callback(self._step_with)
            else:
                self._loop.call_soon(
                    self._step, RuntimeError(f"a client cannot await {outcome!r}")
                )
            return 0
        self._coro = None
        self.is_open = False
        if sent == SENT_RETURN or isinstance(outcome, CancelledError):
            self._population.crew.c_leave(None)
            return 0
        self._population.crew.c_leave(outcome)
        if isinstance(outcome, (KeyboardInterrupt, SystemExit)):
            raise outcome
        return 0

    def _step(self, error=None):
        if self._coro is not None:
            self._drive(error)

    def _step_with(self, future):
        """Go on with what a future has come to, called by the loop."""
        if self._coro is None:
            return
        try:
            future.result()
        except BaseException as error:
            self._drive(error)
        else:
            self._drive(None)

    def __repr__(self):
        state = ("idle", "waiting", "answered", "abandoned")[self._state]
        return f"<Client {self.index} [{state}]>"
