"""A client task keeps every promise of a stock one: each test runs with both."""

from __future__ import annotations

import asyncio
import contextvars
import gc

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest
from loops import LOOPS, on_loop

from bytemlperf._native.client_task import ClientTask, Crew, why_unavailable
from bytemlperf.runtime import client_task_factory, spawn

VARIABLE = contextvars.ContextVar("variable", default="unset")


@pytest.fixture(params=LOOPS)
def loop_name(request):
    return request.param


@pytest.fixture(params=["client", "stock"])
def execute(request, loop_name):
    # Runs a coroutine in a task of either kind, and all that it starts too.
    with on_loop(loop_name) as runner:

        def go(coroutine):
            async def within():
                loop = asyncio.get_running_loop()
                if request.param == "client":
                    loop.set_task_factory(client_task_factory)
                task = loop.create_task(coroutine)
                assert isinstance(task, ClientTask) == (request.param == "client")
                return await task

            return runner(within())

        yield go


def test_this_python_can_have_client_tasks():
    """What the tests below compare is really two kinds of task."""
    assert why_unavailable() is None


def test_result_exception_and_current_task(execute):
    """A task returns, raises, and is the current one while it runs."""

    async def fail():
        await asyncio.sleep(0)
        raise LookupError("lost")

    async def main():
        me = asyncio.current_task()
        assert me in asyncio.all_tasks()
        await asyncio.sleep(0)
        assert asyncio.current_task() is me
        await asyncio.sleep(0.001)
        assert asyncio.current_task() is me
        child = asyncio.create_task(fail(), name="child")
        assert child.get_name() == "child"
        assert not child.done()
        with pytest.raises(asyncio.InvalidStateError):
            child.exception()
        with pytest.raises(LookupError, match="lost"):
            await child
        assert isinstance(child.exception(), LookupError)
        with pytest.raises(LookupError, match="lost"):
            child.result()
        return "answer"

    assert execute(main()) == "answer"


def test_context_is_copied_and_kept(execute):
    """A task sees its maker's variables; what it sets stays its own."""

    async def child():
        assert VARIABLE.get() == "parent"
        VARIABLE.set("child")
        await asyncio.sleep(0.001)
        assert VARIABLE.get() == "child"
        return contextvars.copy_context()

    async def main():
        VARIABLE.set("parent")
        inner = await asyncio.create_task(child())
        assert VARIABLE.get() == "parent"
        assert inner[VARIABLE] == "child"
        given = contextvars.Context()
        task = asyncio.get_running_loop().create_task(read(), context=given)
        assert await task == "unset"

    async def read():
        return VARIABLE.get()

    execute(main())


def test_cancel_carries_its_message(execute):
    """The error arrives where the task waits, with what was said."""
    seen = []

    async def child():
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError as error:
            seen.append(error.args)
            raise

    async def main():
        child_task = asyncio.create_task(child())
        await asyncio.sleep(0)
        assert child_task.cancel("enough")
        assert child_task.cancelling() == 1
        with pytest.raises(asyncio.CancelledError):
            await child_task
        assert child_task.cancelled()
        assert not child_task.cancel()

    execute(main())
    assert seen == [("enough",)]


def test_cancel_before_the_first_step(execute):
    """A coroutine that never ran is not run for being cancelled."""
    ran = []

    async def child():
        ran.append(True)

    async def main():
        task = asyncio.create_task(child())
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    execute(main())
    assert not ran


def test_cancel_from_within_and_survive(execute):
    """Cancelling oneself strikes at the next await; it can be taken back."""

    async def main():
        me = asyncio.current_task()
        me.cancel("self")
        with pytest.raises(asyncio.CancelledError) as caught:
            await asyncio.sleep(60)
        assert caught.value.args == ("self",)
        assert me.uncancel() == 0
        await asyncio.sleep(0)
        return "alive"

    assert execute(main()) == "alive"


def test_cancel_in_the_last_step(execute):
    """A task that cancels itself and returns is cancelled, not finished."""

    async def child():
        asyncio.current_task().cancel()

    async def main():
        task = asyncio.create_task(child())
        await asyncio.wait([task])
        return task.cancelled()

    assert execute(main())


def test_timeouts_groups_and_waiting(execute):
    """The library's own tools work on it: timeout, wait_for, gather, shield, groups."""

    async def value(number):
        await asyncio.sleep(0.001 * number)
        return number

    async def main():
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await asyncio.sleep(60)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.sleep(60), 0.01)
        assert await asyncio.wait_for(value(1), 60) == 1
        assert await asyncio.gather(*map(value, range(4))) == [0, 1, 2, 3]
        assert await asyncio.shield(value(1)) == 1
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(value(number)) for number in range(3)]
        assert [task.result() for task in tasks] == [0, 1, 2]
        with pytest.raises(ExceptionGroup) as caught:
            await fail_in_group()
        assert caught.group_contains(LookupError)
        done, waiting = await asyncio.wait(
            [asyncio.create_task(value(0)), asyncio.create_task(asyncio.sleep(60))],
            return_when=asyncio.FIRST_COMPLETED,
        )
        assert len(done) == 1
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting)

    async def fail_in_group():
        async with asyncio.TaskGroup() as group:
            group.create_task(asyncio.sleep(60))
            group.create_task(fail())

    async def fail():
        await asyncio.sleep(0)
        raise LookupError("lost")

    execute(main())


def test_anyio_works_inside(execute):
    """Cancel scopes, task groups and threads of anyio read a task's private parts."""

    async def main():
        with anyio.move_on_after(0.01) as scope:
            await anyio.sleep(60)
        assert scope.cancelled_caught
        with pytest.raises(TimeoutError), anyio.fail_after(0.01):
            await asyncio.Event().wait()
        done = []

        async def child(number):
            await anyio.lowlevel.checkpoint()
            done.append(await anyio.to_thread.run_sync(lambda: number))

        async with anyio.create_task_group() as group:
            for number in range(3):
                group.start_soon(child, number)
        assert sorted(done) == [0, 1, 2]
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.sleep, 60)
            await anyio.sleep(0.001)
            group.cancel_scope.cancel()
        event = anyio.Event()
        async with anyio.create_task_group() as group:
            group.start_soon(event.wait)
            event.set()
        with pytest.raises(ExceptionGroup) as caught:
            async with anyio.create_task_group() as group:
                group.start_soon(fail)
        assert caught.group_contains(LookupError)
        with anyio.CancelScope() as outer:
            outer.cancel()
            with anyio.CancelScope(shield=True):
                await anyio.sleep(0.001)
            await anyio.sleep(60)
        assert outer.cancelled_caught

    async def fail():
        raise LookupError("lost")

    execute(main())


def test_callbacks_come_in_the_next_turn(execute):
    """They get the task, in order; one that is removed is not called."""
    calls = []

    async def main():
        task = asyncio.create_task(asyncio.sleep(0, "value"))

        def second(done):
            calls.append(("second", done is task))

        task.add_done_callback(lambda done: calls.append(("first", done.result())))
        task.add_done_callback(second)
        task.add_done_callback(calls.append)
        assert task.remove_done_callback(calls.append) == 1
        assert task.remove_done_callback(calls.append) == 0
        await task
        await asyncio.sleep(0)
        task.add_done_callback(second)
        await asyncio.sleep(0)

    execute(main())
    assert calls == [("first", "value"), ("second", True), ("second", True)]


def test_senseless_awaits_are_refused(execute):
    """What is no future, or another loop's, is an error within the coroutine."""

    class Yields:
        def __init__(self, value):
            self.value = value

        def __await__(self):
            yield self.value

    async def main():
        with pytest.raises(RuntimeError, match="bad yield"):
            await Yields(42)
        other = asyncio.new_event_loop()
        try:
            with pytest.raises(RuntimeError, match="attached to a different loop"):
                await other.create_future()
        finally:
            other.close()
        with pytest.raises(RuntimeError, match="cannot await on itself"):
            await asyncio.current_task()
        future = asyncio.get_running_loop().create_future()
        with pytest.raises(RuntimeError, match="yield was used instead"):
            await Yields(future)

    execute(main())


def test_stack_and_coroutine_can_be_looked_at(execute):
    """Debuggers find the frame where it waits."""

    async def child():
        await asyncio.sleep(60)

    async def main():
        task = asyncio.create_task(child())
        await asyncio.sleep(0)
        assert [frame.f_code.co_name for frame in task.get_stack()] == ["child"]
        assert task.get_coro().__name__ == "child"
        assert task.get_loop() is asyncio.get_running_loop()
        assert "child" in repr(task)
        task.cancel()

    execute(main())


def test_exceptions_nobody_looks_at_are_reported(execute):
    """A lost exception goes to the loop's handler when the task is forgotten."""
    told = []

    async def fail():
        raise LookupError("lost")

    async def main():
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: told.append(context))
        task = asyncio.create_task(fail())
        await asyncio.wait([task])
        del task
        gc.collect()
        loop.set_exception_handler(None)

    execute(main())
    assert [str(context["exception"]) for context in told] == ["lost"]
    assert "never retrieved" in told[0]["message"]


def test_what_ends_the_program_ends_the_loop(loop_name):
    """SystemExit in a task passes through the loop, as with stock tasks."""
    loop = LOOPS[loop_name]()

    async def leave():
        raise SystemExit(3)

    try:
        task = ClientTask(leave(), loop=loop)
        with pytest.raises(SystemExit):
            loop.run_forever()
        assert isinstance(task.exception(), SystemExit)
    finally:
        loop.close()


def test_spawn_needs_no_factory(loop_name):
    """`spawn` makes a client task on any running loop."""

    async def main():
        task = spawn(asyncio.sleep(0, "value"), name="mine")
        assert type(task) is ClientTask
        assert task.get_name() == "mine"
        assert task in asyncio.all_tasks()
        return await task

    with on_loop(loop_name) as run:
        assert run(main()) == "value"


def test_a_task_drives_coroutines_only():
    """Anything else is the caller's mistake."""
    loop = asyncio.new_event_loop()
    try:
        with pytest.raises(TypeError, match="a coroutine was expected, got 42"):
            ClientTask(42, loop=loop)
        assert repr(Crew(print)) == "<Crew [0 alive | 0 errors]>"
    finally:
        loop.close()
