"""Predict threads and what they share with the loop: made, started, drained, stopped.

The queue, the rows in flight, the rings back and the gather buffers belong here. It
knows tensors as bytes with a name; it refuses to know the scenario.

It is long, but one life: what starts, stops, abandons and survives a fork must agree on
what there is to end, in one order.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import os
import threading
import weakref
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import anyio
import numpy as np

from bytemlperf._native.batch_queue import BatchQueue
from bytemlperf._native.buffer_pool import SLOT_ALIGNMENT, BufferPool
from bytemlperf._native.completion_ring import CompletionRing, Doorbell
from bytemlperf._native.dispatcher import Dispatcher
from bytemlperf._native.lane import LoopLane
from bytemlperf._native.native_clients import NativeClients
from bytemlperf._native.predict_loop import PredictLoop
from bytemlperf._native.row_table import RowTable
from bytemlperf._native.timeline import Timeline
from bytemlperf.errors import InternalError
from bytemlperf.runtime.affinity import Affinity, hold_this_thread
from bytemlperf.runtime.client_path import PredictPath
from bytemlperf.runtime.hand_over import HandOver, WaitCounts, can_spin
from bytemlperf.runtime.samples import Array
from bytemlperf.runtime.scenario import Batching

__all__ = ["Feeds", "InputLayout", "Predict", "Predictor", "SpaceGate"]

Feeds = dict[str, Array]
Predict = Callable[[Feeds], Mapping[str, Array]]

_open_predictors: weakref.WeakSet[Predictor] = weakref.WeakSet()


class InputLayout(NamedTuple):
    """How the samples of one input lie in memory.

    Parameters
    ----------
    name : str
        Name under which predict receives it.
    dtype : numpy.dtype
        Of its elements.
    rows_per_sample : int
        Rows a sample takes on axis 0.
    row_shape : tuple of int
        Shape of one row.
    """

    name: str
    dtype: np.dtype[Any]
    rows_per_sample: int
    row_shape: tuple[int, ...]

    @property
    def sample_bytes(self) -> int:
        """Bytes of one sample."""
        return self.rows_per_sample * int(
            np.prod(self.row_shape, dtype=np.int64) * self.dtype.itemsize
        )


class SpaceGate:
    """Lets coroutines wait, in order, until a query can be issued again.

    Parameters
    ----------
    dispatcher : Dispatcher
        Calls back after a drain while somebody waits.
    """

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher
        self._waiting: deque[asyncio.Future[None]] = deque()
        dispatcher.on_space = self.open

    @property
    def is_crowded(self) -> bool:
        """Whether somebody waits already: others must queue up behind."""
        return bool(self._waiting)

    async def wait(self) -> None:
        """Wait for room; the caller must try again, and wait again if it is taken."""
        place = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        self._dispatcher.blocked_count += 1
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self.open()  # room was given to a waiter that cannot use it
            raise
        finally:
            self._dispatcher.blocked_count -= 1
            with contextlib.suppress(ValueError):
                self._waiting.remove(place)

    def open(self, *, everybody: bool = False) -> None:
        """Wake as many waiters as there is room for.

        Parameters
        ----------
        everybody : bool, default False
            Wake all, because nothing will be issued any more.
        """
        room = len(self._waiting) if everybody else self._dispatcher.free_count
        while room > 0 and self._waiting:
            place = self._waiting.popleft()
            if not place.done():
                place.set_result(None)
                room -= 1


class Predictor:
    """Predict threads behind a batching queue, seen from an event loop.

    Parameters
    ----------
    predict : callable
        Called in the predict threads with the feeds of a batch.
    inputs : sequence of InputLayout
        The inputs, in order.
    batching : Batching
        How queries become batches.
    samples_per_query : int
        Samples of each query.
    max_queued : int
        Queries that may wait at once.
    capacity : int
        Queries that may be in flight at once.
    library : Mapping of str to ndarray, optional
        Loaded samples; None if queries bring their own data.
    timeline : Timeline, optional
        Where finished queries are folded.
    on_outputs : callable, optional
        See `bytemlperf._native.predict_loop.PredictLoop`.
    kept_outputs : int, default 0
        The same.
    on_failure : callable, optional
        See `bytemlperf._native.dispatcher.Dispatcher`.
    stop_on_failure : bool, default False
        The same.
    predict_path : "hand-over", "lane" or "loop lane"
        Whether predict threads serve what clients hand over, or ask for native clients
        themselves; or the event loop's own thread calls predict.
    native_client_count : int, default 0
        Native clients; 0: others issue.
    think_ns : int, default 0
        How long native clients think, ns.
    affinity : Affinity
        Where its threads are held.

    Notes
    -----
    Thread-safety: loop thread only.
    """

    def __init__(
        self,
        predict: Predict,
        inputs: Sequence[InputLayout],
        *,
        batching: Batching,
        samples_per_query: int,
        max_queued: int,
        capacity: int,
        library: Mapping[str, Array] | None = None,
        timeline: Timeline | None = None,
        on_outputs: Callable[[Any, Feeds, int], object] | None = None,
        kept_outputs: int = 0,
        on_failure: Callable[[Exception, int, int], object] | None = None,
        stop_on_failure: bool = False,
        predict_path: PredictPath = "hand-over",
        native_client_count: int = 0,
        think_ns: int = 0,
        affinity: Affinity = Affinity(),
    ) -> None:
        self._affinity = affinity
        max_batch = batching.queries_per_batch(samples_per_query)
        self.is_forked = False
        self.queue = BatchQueue(
            max_queued, max_batch, max_delay_ns=batching.max_delay_us * 1000
        )
        self.table = RowTable(
            capacity, input_count=0 if library is not None else len(inputs)
        )
        self._bell = Doorbell()
        may_spin = can_spin(batching.predict_threads)
        rings = [CompletionRing(capacity) for _ in range(batching.predict_threads)]
        self.rings = rings
        self.rows_in_predict = max_batch * batching.predict_threads
        self.dispatcher = Dispatcher(
            self.queue,
            self.table,
            self._bell,
            rings,
            timeline=timeline,
            on_failure=on_failure,
            stop_on_failure=stop_on_failure,
            may_spin=may_spin,
        )
        self.space = SpaceGate(self.dispatcher)
        batch_samples = max_batch * samples_per_query
        self.pool = BufferPool(
            batching.predict_threads,
            sum(_padded(layout.sample_bytes * batch_samples) for layout in inputs),
        )
        self._loops = [
            PredictLoop(
                self.queue,
                self.table,
                ring,
                self._bell,
                thread_index=index,
                thread_count=batching.predict_threads,
                samples_per_query=samples_per_query,
                inputs=self._input_rows(inputs, batch_samples, library),
                on_outputs=on_outputs,
                kept_outputs=kept_outputs,
                max_wake_delay_ns=batching.max_wake_delay_us * 1000,
                may_spin=may_spin,
            )
            for index, ring in enumerate(rings)
        ]
        self._lane: LoopLane | None = None
        self._predict = predict
        self._path = predict_path
        self.native_clients: NativeClients | None = None
        self._clients_thread: threading.Thread | None = None
        self._empty: asyncio.Future[None] | None = None
        if native_client_count:
            assert timeline is not None
            self.native_clients = NativeClients(
                self.dispatcher,
                self.queue,
                self.table,
                timeline,
                self._bell,
                [] if predict_path == "lane" else rings,
                client_count=native_client_count,
                think_ns=think_ns,
                on_empty=self._tell_empty,
                may_spin=may_spin,
            )
        self._threads = list(self._make_threads())

    def _make_threads(self) -> Iterator[threading.Thread]:
        if self._path == "loop lane":
            return
        clients = self.native_clients
        for loop in self._loops:
            name = f"bytemlperf-predict-{loop.thread_index}"
            if self._path == "lane":
                assert clients is not None
                yield self._thread(
                    name, "predict", loop.serve_lane, self._predict, clients
                )
            else:
                yield self._thread(name, "predict", loop.serve, self._predict)
        if clients is not None and self._path == "hand-over":
            self._clients_thread = self._thread(
                "bytemlperf-clients", "loop", clients.serve
            )
            yield self._clients_thread

    def _thread(
        self, name: str, role: str, serve: Callable[..., object], *arguments: object
    ) -> threading.Thread:
        cpus = self._affinity.cpus_of(role)

        def work() -> None:
            with hold_this_thread(cpus):
                serve(*arguments)

        # A daemon, so that an exit handler can still close the queue.
        return threading.Thread(target=work, name=name, daemon=True)

    @property
    def thread_roles(self) -> dict[int, str]:
        """Role of each thread that was started, by the kernel's number."""
        return {
            thread.native_id: "loop" if thread is self._clients_thread else "predict"
            for thread in self._threads
            if thread.native_id is not None
        }

    def _end_clients_thread(self) -> None:
        """Join it, which is at once: the loop needs the bell that it listens to."""
        if self.native_clients is not None:
            self.native_clients.close()
        if self._clients_thread is not None:
            self._clients_thread.join()

    def expect_empty(self) -> asyncio.Future[None]:
        """Return a future that is done when the last native client has ended."""
        self._empty = self._loop.create_future()
        return self._empty

    def _tell_empty(self) -> None:
        # In whatever thread the last native client has ended.
        self._loop.call_soon_threadsafe(self._set_empty)

    def _set_empty(self) -> None:
        if self._empty is not None and not self._empty.done():
            self._empty.set_result(None)

    def _input_rows(
        self,
        inputs: Sequence[InputLayout],
        batch_samples: int,
        library: Mapping[str, Array] | None,
    ) -> list[tuple[str, Array | None, Array, int, int, int, int]]:
        """Lay the inputs of one predict thread into a pool slot of its own."""
        slot = self.pool.acquire_nowait()
        base = self.pool.address(slot)
        offset = 0
        rows = []
        for layout in inputs:
            nbytes = layout.sample_bytes * batch_samples
            view = self.pool.view(slot, offset=offset, nbytes=nbytes)
            buffer = np.frombuffer(view, dtype=layout.dtype).reshape(
                batch_samples * layout.rows_per_sample, *layout.row_shape
            )
            loaded = None if library is None else library[layout.name]
            rows.append(
                (
                    layout.name,
                    loaded,
                    buffer,
                    0 if loaded is None else int(loaded.ctypes.data),
                    base + offset,
                    layout.sample_bytes,
                    layout.rows_per_sample,
                )
            )
            offset += _padded(nbytes)
        return rows

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Serve while the block runs; what is still queued at its end is dropped."""
        self.start()
        try:
            yield
        finally:
            await self.stop(discard=True)

    def start(self) -> None:
        """Start the threads, and listen for them on the running loop."""
        self._loop = asyncio.get_running_loop()
        if self.native_clients is None:
            self._loop.add_reader(self._bell.fd, self.dispatcher.drain)
        if self._path == "loop lane":
            self._lane = LoopLane(
                self.dispatcher,
                self.queue,
                self._loops[0],
                predict=self._predict,
                call_soon=self._loop.call_soon,
            )
        _open_predictors.add(self)
        started: list[threading.Thread] = []
        try:
            for thread in self._threads:
                thread.start()
                started.append(thread)
        except BaseException:
            self._threads = started
            self._loop.remove_reader(self._bell.fd)
            _open_predictors.discard(self)
            self.abandon()
            raise

    def stop_listening(self) -> None:
        """Let finished batches lie, for somebody who will collect them."""
        self._loop.remove_reader(self._bell.fd)

    def listen(self) -> None:
        """Hand out finished batches again as they come."""
        self._loop.add_reader(self._bell.fd, self.dispatcher.drain)
        self._bell.ring()

    async def stop(self, *, discard: bool) -> None:
        """Close the queue, and wait until every thread has ended.

        A batch in predict is always awaited, even if the caller is cancelled: its
        thread cannot be interrupted, and must not outlive its owner.

        Parameters
        ----------
        discard : bool
            Whether to drop what is queued; otherwise it is served first.
        """
        ended = self._loop.create_future()

        def drain_and_look() -> None:
            # Draining clears the bell, so it goes before the look (step L1 of
            # `doorbell_model`): a thread that ended in between would ring unheard.
            self.dispatcher.drain()
            if self._lane is None and not all(loop.has_exited for loop in self._loops):
                return
            self.dispatcher.drain()  # what they finished before they ended
            self.dispatcher.discard()  # nobody is left to serve it
            if not self.table.in_flight_count and not ended.done():
                ended.set_result(None)

        def begin() -> None:
            if discard:
                self.dispatcher.discard()
            self.queue.close()
            self._bell.ring()  # L3

        self.dispatcher.stop()
        if self._lane is not None:
            self._lane.close()
        self._end_clients_thread()  # L4 of `doorbell_model`
        self._loop.add_reader(self._bell.fd, drain_and_look)
        # Clients are resumed by discarding, so it must not run inside this task.
        self._loop.call_soon(begin)
        interruption: asyncio.CancelledError | None = None
        try:
            with anyio.CancelScope(shield=True):
                while not ended.done():
                    try:
                        await asyncio.wait([ended])
                    except asyncio.CancelledError as cancelled:
                        interruption = cancelled
        finally:
            self._loop.remove_reader(self._bell.fd)
            self.abandon()
            _open_predictors.discard(self)
            self.space.open(everybody=True)
        self._check_balance()
        if interruption is not None:
            raise interruption

    def _check_balance(self) -> None:
        """Every row that was put was taken or discarded, and is free again."""
        queue = self.queue
        if queue.put_count != queue.taken_count or self.table.in_flight_count:
            raise InternalError(
                f"{queue.put_count} rows were put into the queue, but "
                f"{queue.taken_count} were taken, and "
                f"{self.table.in_flight_count} are still in flight"
            )

    def abandon(self) -> None:
        """Close the queue and join the threads, without a loop."""
        if self.native_clients is not None:
            self.native_clients.stop()
            self.native_clients.close()
        self.queue.close()
        for thread in self._threads:
            thread.join()

    @property
    def hand_over(self) -> HandOver:
        """How both sides have waited for each other so far."""
        return HandOver(
            WaitCounts(*(self.native_clients or self.dispatcher).waits),
            sum((WaitCounts(*loop.waits) for loop in self._loops), WaitCounts()),
        )

    def __repr__(self) -> str:
        return (
            f"<Predictor [{len(self._threads)} threads | {len(self.queue)} queued | "
            f"{self.table.in_flight_count} in flight]>"
        )


def _padded(nbytes: int) -> int:
    return -(-nbytes // SLOT_ALIGNMENT) * SLOT_ALIGNMENT


@atexit.register
def _abandon_open_predictors() -> None:
    for predictor in list(_open_predictors):
        if not predictor.is_forked:
            predictor.abandon()


def _poison_in_child() -> None:
    # Threads do not survive a fork, and the doorbell would be shared with the parent.
    for predictor in list(_open_predictors):
        predictor.is_forked = True


os.register_at_fork(after_in_child=_poison_in_child)
