"""The batching front as an asyncio program meets it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import threading

import anyio
import numpy as np
import pytest
from loops import LOOPS, on_loop

from bytemlperf.errors import (
    ConfigError,
    PredictError,
    QueueClosedError,
    QueueFullError,
)
from bytemlperf.runtime import Batching, Scheduler
from bytemlperf.tensor_spec import TensorSpec

EXAMPLE = {"x": np.zeros((1, 2), dtype=np.float32)}


def sample(value):
    return {"x": np.full((1, 2), value, dtype=np.float32)}


def double(feeds):
    return {"y": feeds["x"] * 2}


class Gate:
    """A predict that waits until the test lets it go on, and says when it is entered.

    It must be made on the loop.
    """

    def __init__(self):
        self._loop = asyncio.get_running_loop()
        self._go = threading.Event()
        self.entered = asyncio.Event()
        self.batches = []

    def __call__(self, feeds):
        self.batches.append(feeds["x"][:, 0].tolist())
        self._loop.call_soon_threadsafe(self.entered.set)
        assert self._go.wait(60)
        return double(feeds)

    def open(self):
        self._go.set()


@pytest.fixture(params=LOOPS)
def execute(request):
    with on_loop(request.param) as runner:
        yield runner


def front(predict=double, **batching):
    batching.setdefault("max_batch", 4)
    return Scheduler(predict, EXAMPLE, batching=Batching(**batching))


def test_each_caller_gets_its_own_rows(execute):
    """A thousand concurrent calls on three threads: every answer is its caller's."""

    async def use():
        async with front(predict_threads=3, max_queued=50) as scheduler:
            answers = await asyncio.gather(
                *(scheduler.submit(sample(i)) for i in range(1000))
            )
        assert all((each["y"] == 2 * i).all() for i, each in enumerate(answers))
        assert {each["y"].shape for each in answers} == {(1, 2)}

    execute(use())


def test_samples_and_outputs_of_several_rows(execute):
    """Specs may declare several rows a sample; outputs may have other row counts."""

    def predict(feeds):
        count = len(feeds["b"])
        assert feeds["a"].shape == (3 * count, 2)
        return {"twice": np.repeat(feeds["b"], 2, axis=0)}

    async def use():
        specs = [
            TensorSpec("a", "int64", (3, 2)),
            TensorSpec("b", "float32", (1,)),
        ]
        async with Scheduler(predict, specs, batching=Batching(max_batch=5)) as it:
            answers = await asyncio.gather(
                *(
                    it.submit(
                        {
                            "a": np.zeros((3, 2), np.int64),
                            "b": np.array([i], np.float32),
                        }
                    )
                    for i in range(12)
                )
            )
        assert [each["twice"].tolist() for each in answers] == [
            [i, i] for i in range(12)
        ]

    execute(use())


def test_outputs_that_alias_inputs_are_copied(execute):
    """An identity model must not hand out the buffer of the next batch."""

    async def use():
        async with front(lambda feeds: feeds, max_batch=1) as scheduler:
            first = await scheduler.submit(sample(1))
            second = await scheduler.submit(sample(2))
            assert first["x"].tolist() == [[1, 1]]
            assert second["x"].tolist() == [[2, 2]]

    execute(use())


def test_waiting_samples_are_batched_together(execute):
    """What arrives while predict is busy goes into the next batch."""

    async def use():
        gate = Gate()
        async with front(gate) as scheduler:
            first = asyncio.create_task(scheduler.submit(sample(0)))
            await gate.entered.wait()
            others = [
                asyncio.create_task(scheduler.submit(sample(i))) for i in range(1, 6)
            ]
            await asyncio.sleep(0)
            assert scheduler.queued_count == 5
            assert repr(scheduler) == "<Scheduler [5 queued | open]>"
            gate.open()
            await asyncio.gather(first, *others)
        assert gate.batches == [[0], [1, 2, 3, 4], [5]]
        assert repr(scheduler) == "<Scheduler [0 queued | closed]>"

    execute(use())


def test_a_full_queue_makes_callers_wait_in_order(execute):
    """Back-pressure: submit waits for room, submit_nowait refuses."""

    async def use():
        gate = Gate()
        async with front(gate, max_batch=1, max_queued=2) as scheduler:
            tasks = [asyncio.create_task(scheduler.submit(sample(0)))]
            await gate.entered.wait()
            tasks += [
                asyncio.create_task(scheduler.submit(sample(i))) for i in range(1, 6)
            ]
            await asyncio.sleep(0)
            assert scheduler.queued_count == 2
            with pytest.raises(QueueFullError, match="full: 2 samples wait"):
                await scheduler.submit_nowait(sample(9))
            tasks[4].cancel()  # while it waits for room
            gate.open()
            await asyncio.gather(*tasks, return_exceptions=True)
            assert (await scheduler.submit_nowait(sample(7)))["y"][0, 0] == 14
        assert gate.batches == [[0], [1], [2], [3], [5], [7]]

    execute(use())


def test_a_timeout_lets_the_caller_go_at_once(execute):
    """asyncio.timeout, wait_for and move_on_after all work around submit."""

    async def use():
        gate = Gate()
        async with front(gate) as scheduler:
            first = asyncio.create_task(scheduler.submit(sample(1)))
            await gate.entered.wait()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.001):
                    await scheduler.submit(sample(2))
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(scheduler.submit(sample(3)), 0.001)
            with anyio.move_on_after(0.001) as scope:
                await scheduler.submit(sample(4))
            assert scope.cancelled_caught
            assert asyncio.current_task().cancelling() == 0
            gate.open()
            assert (await first)["y"].tolist() == [[2, 2]]

    execute(use())


def test_cancellation_carries_its_message(execute):
    """The message given to cancel reaches the coroutine, as with a future."""

    async def use():
        gate = Gate()
        async with front(gate) as scheduler:
            task = asyncio.create_task(scheduler.submit(sample(1)))
            await gate.entered.wait()
            task.cancel("enough")
            with pytest.raises(asyncio.CancelledError, match="enough"):
                await task
            gate.open()

    execute(use())


def test_anyio_task_group(execute):
    """Children of an anyio task group submit, fail and are cancelled as a group."""

    async def use():
        answers = {}

        async def child(scheduler, value):
            answers[value] = (await scheduler.submit(sample(value)))["y"][0, 0]

        async with front() as scheduler, anyio.create_task_group() as group:
            for value in range(20):
                group.start_soon(child, scheduler, value)
        assert answers == {value: 2 * value for value in range(20)}

    execute(use())


def test_context_variables_and_current_task_survive(execute):
    """A caller resumed by the drain is still its own task, in its own context."""
    import contextvars

    who = contextvars.ContextVar("who")

    async def caller(scheduler, name):
        who.set(name)
        before = asyncio.current_task()
        for _ in range(3):
            await scheduler.submit(sample(1))
            assert who.get() == name
            assert asyncio.current_task() is before
            await asyncio.sleep(0)
        return name

    async def use():
        async with front() as scheduler:
            assert await asyncio.gather(
                *(caller(scheduler, name) for name in "abcdef")
            ) == list("abcdef")

    execute(use())


def test_predict_errors_reach_every_caller_and_nobody_else(execute):
    """A failed batch fails its callers, with the cause; the next one is served."""

    def picky(feeds):
        if (feeds["x"] < 0).any():
            raise ValueError("negative")
        return double(feeds)

    async def use():
        async with front(picky, max_batch=1) as scheduler:
            bad, good = await asyncio.gather(
                scheduler.submit(sample(-1)),
                scheduler.submit(sample(1)),
                return_exceptions=True,
            )
        assert isinstance(bad, PredictError)
        assert isinstance(bad.__cause__, ValueError)
        assert str(bad) == (
            "predict raised ValueError on a batch of 1 samples\ndetail: negative"
        )
        assert good["y"].tolist() == [[2, 2]]

    execute(use())


def test_wrong_outputs_are_predict_errors(execute):
    """Outputs that are not whole rows for each sample are refused."""

    async def use():
        async with front(lambda feeds: {"y": np.zeros((3, 2))[:0]}) as scheduler:
            with pytest.raises(PredictError, match=r"has shape \(0, 2\)"):
                await scheduler.submit(sample(1))

    execute(use())


def test_fatal_error_closes_the_front(execute):
    """A predict thread that dies takes its callers along, and exit raises."""

    class Fatal(BaseException):
        pass

    def die(feeds):
        raise Fatal("now")

    async def use():
        async with contextlib.AsyncExitStack() as stack:
            scheduler = await stack.enter_async_context(front(die))
            with pytest.raises(PredictError, match="raised Fatal"):
                await scheduler.submit(sample(1))
            with pytest.raises(QueueClosedError, match="thread has died"):
                await scheduler.submit(sample(1))
            with pytest.raises(Fatal, match="now"):
                await stack.aclose()

    execute(use())


def test_leaving_serves_what_was_accepted(execute):
    """A normal exit answers the queue first."""

    async def use():
        gate = Gate()
        async with front(gate, max_batch=1) as scheduler:
            tasks = [asyncio.create_task(scheduler.submit(sample(i))) for i in range(5)]
            await gate.entered.wait()
            gate.open()
        answers = await asyncio.gather(*tasks)
        assert [each["y"][0, 0] for each in answers] == [0, 2, 4, 6, 8]
        with pytest.raises(QueueClosedError, match="is closed"):
            await scheduler.submit(sample(1))

    execute(use())


def test_leaving_by_an_error_drops_what_is_queued(execute):
    """An exit by exception does not serve the queue: its callers are told."""

    async def use():
        gate = Gate()
        tasks = []

        async def leave():
            async with front(gate, max_batch=1) as scheduler:
                tasks.extend(
                    asyncio.create_task(scheduler.submit(sample(i))) for i in range(3)
                )
                await gate.entered.wait()
                asyncio.get_running_loop().call_later(0.01, gate.open)
                raise KeyError("mine")

        with pytest.raises(KeyError, match="mine"):
            await leave()
        first, *others = await asyncio.gather(*tasks, return_exceptions=True)
        assert first["y"][0, 0] == 0
        assert [str(each) for each in others] == [
            "the scheduler closed before the sample's turn came"
        ] * 2

    execute(use())


def test_cancelling_the_owner_waits_for_predict(execute):
    """A cancelled owner, even twice, leaves no thread behind."""

    async def use():
        gate = Gate()

        async def own():
            async with front(gate) as scheduler:
                await scheduler.submit(sample(1))

        owner = asyncio.create_task(own())
        await gate.entered.wait()
        owner.cancel()
        await asyncio.sleep(0)
        owner.cancel()
        await asyncio.sleep(0)
        assert not owner.done()
        gate.open()
        with pytest.raises(asyncio.CancelledError):
            await owner

    execute(use())


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({}, r"has the inputs \['x'\], not \[\]"),
        ({"z": EXAMPLE["x"]}, "needs an array for input 'x', not NoneType"),
        ({"x": [1, 2]}, "needs an array for input 'x', not list"),
        ({"x": np.zeros((1, 2))}, "must be float32 of shape .* not float64"),
        ({"x": np.zeros((2, 2), np.float32)}, r"not float32 of shape \(2, 2\)"),
    ],
)
def test_refuses_samples_that_are_not_as_declared(execute, wrong, message):
    """A wrong sample fails its own caller before it reaches a batch."""

    async def use():
        async with front() as scheduler:
            with pytest.raises(ConfigError, match=message):
                await scheduler.submit(wrong)

    execute(use())


def test_strided_samples_are_taken_as_they_mean(execute):
    """A sample that is not contiguous is copied, not misread."""

    async def use():
        strided = np.arange(8, dtype=np.float32).reshape(2, 4)[:1, ::2]
        async with front() as scheduler:
            assert (await scheduler.submit({"x": strided}))["y"].tolist() == [[0, 4]]

    execute(use())


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({}, "at least one input"),
        ({"x": np.array(1)}, "rows on axis 0"),
        ([TensorSpec("x", "float32", (1, "n"))], "dynamic shape"),
    ],
)
def test_refuses_declarations_without_a_size(inputs, message):
    """A sample must have a fixed, non-empty shape."""
    with pytest.raises(ConfigError, match=message):
        Scheduler(double, inputs, batching=Batching(max_batch=1))


def test_must_be_entered(execute):
    """Used outside its block it says how to use it."""

    async def use():
        scheduler = front()
        assert repr(scheduler) == "<Scheduler [0 queued | not open]>"
        with pytest.raises(QueueClosedError, match="not open\nhint: use it in"):
            await scheduler.submit(sample(1))
        await scheduler.close()
        async with scheduler:
            with pytest.raises(ConfigError, match="entered once"):
                await scheduler.__aenter__()

    execute(use())


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_is_told(execute):
    """Threads do not survive a fork: the child gets an error, not a hang."""

    async def use():
        async with front() as scheduler:
            await scheduler.submit(sample(1))
            child = os.fork()
            if child == 0:
                try:
                    await scheduler.submit(sample(1))
                except QueueClosedError:
                    os._exit(7)
                os._exit(1)
            return child

    _, status = os.waitpid(execute(use()), 0)
    assert os.waitstatus_to_exitcode(status) == 7


def test_an_interpreter_that_exits_does_not_hang():
    """A front that nobody closed ends with the interpreter."""
    program = """
import asyncio
import numpy as np
from bytemlperf.runtime import Batching, Scheduler

async def main():
    scheduler = Scheduler(lambda feeds: feeds, {"x": np.zeros((1, 1))},
                          batching=Batching(max_batch=1))
    await scheduler.__aenter__()
    await scheduler.submit({"x": np.zeros((1, 1))})
    return scheduler

keep = asyncio.run(main())
print("served")
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.stdout == "served\n"


def test_a_thread_that_ends_while_the_loop_looks_is_heard(execute):
    """Closing ends although a predict thread ends just after the loop looked at it."""

    class EndsAfterTheLook:
        """Says that the loop has not ended, and lets it end before anybody goes on."""

        def __init__(self, loop, thread, queue):
            self._loop = loop
            self._thread = thread
            self._queue = queue

        @property
        def has_exited(self):
            seen = self._loop.has_exited
            if self._queue.is_closed:
                self._thread.join(60)
            return seen

    async def use():
        scheduler = front()
        await scheduler.__aenter__()
        await scheduler.submit(sample(1))
        predictor = scheduler._predictor
        predictor._loops = [
            EndsAfterTheLook(loop, thread, predictor.queue)
            for loop, thread in zip(predictor._loops, predictor._threads, strict=True)
        ]
        await scheduler.__aexit__(None, None, None)
        assert predictor.table.in_flight_count == 0

    execute(use())
