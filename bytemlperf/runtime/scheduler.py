"""A long-lived batching front: concurrent calls of one coroutine become batches.

For an asyncio program that wants to share one model between its requests. It keeps no
measurement; it refuses to know what a model is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

import numpy as np

from bytemlperf._native.answer import Answer
from bytemlperf._native.completion_ring import CANCELLED, OK
from bytemlperf._native.dispatcher import CLOSED, FULL, ISSUED
from bytemlperf.errors import (
    ConfigError,
    PredictError,
    QueueClosedError,
    QueueFullError,
)
from bytemlperf.runtime.predictor import Feeds, InputLayout, Predict, Predictor
from bytemlperf.runtime.samples import Array
from bytemlperf.runtime.scenario import Batching
from bytemlperf.runtime.session import check_outputs
from bytemlperf.tensor_spec import TensorSpec

__all__ = ["Scheduler"]

_DEFAULT_MAX_QUEUED = 1024


class Scheduler:
    """Batch single samples from many coroutines into calls of `predict`.

    Parameters
    ----------
    predict : callable
        ``predict(feeds) -> outputs``, called in predict threads, as for `run`.
    inputs : sequence of TensorSpec, or Mapping of str to ndarray
        What a sample is: a spec of fixed shape for each input, or an example sample.
        The first dimension is the sample's rows.
    batching : Batching
        How samples become batches.

    Raises
    ------
    ConfigError
        The inputs do not describe a sample.

    Notes
    -----
    Thread-safety: the thread of the loop that entered it.

    Examples
    --------
    >>> import asyncio
    >>> import numpy as np
    >>> async def main():
    ...     async with Scheduler(
    ...         lambda feeds: {"y": feeds["x"] * 2},
    ...         {"x": np.zeros((1, 3), np.float32)},
    ...         batching=Batching(max_batch=8),
    ...     ) as scheduler:
    ...         return await scheduler.submit({"x": np.ones((1, 3), np.float32)})
    >>> asyncio.run(main())
    {'y': array([[2., 2., 2.]], dtype=float32)}
    """

    def __init__(
        self,
        predict: Predict,
        inputs: Sequence[TensorSpec] | Mapping[str, Array],
        *,
        batching: Batching,
    ) -> None:
        self._predict = predict
        self._batching = batching
        self._layouts = _layouts(inputs)
        self._predictor: Predictor | None = None
        self._is_closed = False

    async def __aenter__(self) -> Scheduler:
        if self._predictor is not None:
            raise ConfigError("a scheduler is entered once; make another one")
        max_queued = self._batching.max_queued or _DEFAULT_MAX_QUEUED
        in_predict = self._batching.predict_threads * self._batching.max_batch
        self._loop = asyncio.get_running_loop()
        self._predictor = Predictor(
            self._predict,
            self._layouts,
            batching=self._batching,
            samples_per_query=1,
            max_queued=max_queued,
            # Twice, so that batches being handed out do not hold up those queued.
            capacity=max_queued + 2 * in_predict,
            on_outputs=_own_outputs,
            kept_outputs=-1,
        )
        self._predictor.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close(discard=error is not None)

    async def close(self, *, discard: bool = False) -> None:
        """Refuse further samples, answer those accepted, and end the threads.

        Parameters
        ----------
        discard : bool, default False
            Whether to drop what is still queued: its submitters get
            `QueueClosedError`. Batches in predict are always awaited.

        Raises
        ------
        BaseException
            What predict raised, if it was not an `Exception`.
        """
        if self._is_closed or self._predictor is None:
            return
        self._is_closed = True
        await self._predictor.stop(discard=discard)
        fatal = self._predictor.dispatcher.fatal_error
        if fatal is not None and not discard:
            raise fatal

    async def submit(self, sample: Mapping[str, Array]) -> dict[str, Array]:
        """Have one sample predicted, in whatever batch comes.

        It waits while the queue is full. Cancelling it (or a timeout around it) lets
        the caller go at once; a sample that is already queued is still predicted.

        Parameters
        ----------
        sample : Mapping of str to ndarray
            Exactly the inputs, of the shapes and dtypes declared. The arrays must not
            be changed until it returns.

        Returns
        -------
        dict of str to ndarray
            The rows of each output that belong to this sample.

        Raises
        ------
        ConfigError
            The sample is not as declared.
        PredictError
            predict raised (it is the cause), or its outputs are not whole rows.
        QueueClosedError
            The scheduler is closed, or was closed before the sample's turn came.
        """
        predictor = self._open_predictor()
        arrays, addresses = self._accept(sample)
        answer = Answer(self._loop)
        code = FULL
        if not predictor.space.is_crowded:
            code = predictor.dispatcher.issue_data(answer, arrays, addresses)
        while code == FULL:
            await predictor.space.wait()
            self._open_predictor()
            code = predictor.dispatcher.issue_data(answer, arrays, addresses)
        return await self._finish(answer, code)

    async def submit_nowait(self, sample: Mapping[str, Array]) -> dict[str, Array]:
        """Have one sample predicted, or be refused at once if the queue is full.

        Parameters
        ----------
        sample : Mapping of str to ndarray
            See `submit`.

        Returns
        -------
        dict of str to ndarray
            See `submit`.

        Raises
        ------
        QueueFullError
            There is no room.
        ConfigError, PredictError, QueueClosedError
            See `submit`.
        """
        predictor = self._open_predictor()
        arrays, addresses = self._accept(sample)
        answer = Answer(self._loop)
        code = FULL
        if not predictor.space.is_crowded:
            code = predictor.dispatcher.issue_data(answer, arrays, addresses)
        if code == FULL:
            raise QueueFullError(
                f"the queue is full: {predictor.queue.max_queued} samples wait"
            )
        return await self._finish(answer, code)

    @property
    def queued_count(self) -> int:
        """Samples that wait for a predict thread."""
        return len(self._predictor.queue) if self._predictor else 0

    def _open_predictor(self) -> Predictor:
        predictor = self._predictor
        if predictor is None:
            raise QueueClosedError(
                "the scheduler is not open", hint="use it in an `async with` block"
            )
        if self._is_closed:
            raise QueueClosedError("the scheduler is closed")
        if predictor.is_forked:
            raise QueueClosedError(
                "the scheduler was opened before this process was forked",
                hint="open one in each process",
            )
        fatal = predictor.dispatcher.fatal_error
        if fatal is not None:
            raise QueueClosedError("a predict thread has died") from fatal
        return predictor

    def _accept(
        self, sample: Mapping[str, Array]
    ) -> tuple[tuple[Array, ...], list[int]]:
        """Check a sample against the declaration; its arrays and their addresses."""
        if len(sample) != len(self._layouts):
            raise ConfigError(
                f"a sample has the inputs {[each.name for each in self._layouts]}, "
                f"not {list(sample)}"
            )
        arrays = []
        addresses = []
        for layout in self._layouts:
            array = sample.get(layout.name)
            shape = (layout.rows_per_sample, *layout.row_shape)
            if not isinstance(array, np.ndarray):
                raise ConfigError(
                    f"a sample needs an array for input {layout.name!r}, not "
                    f"{type(array).__name__}"
                )
            if array.dtype != layout.dtype or array.shape != shape:
                raise ConfigError(
                    f"input {layout.name!r} must be {layout.dtype} of shape {shape}, "
                    f"not {array.dtype} of shape {array.shape}"
                )
            array = np.ascontiguousarray(array)
            arrays.append(array)
            addresses.append(array.__array_interface__["data"][0])
        return tuple(arrays), addresses

    async def _finish(self, answer: Answer, code: int) -> dict[str, Array]:
        if code != ISSUED:
            assert code == CLOSED
            raise QueueClosedError("the scheduler is closed")
        await answer
        if answer.outcome == OK:
            return _rows_of(answer.payload, answer.position, answer.batch_size)
        if answer.outcome == CANCELLED:
            raise QueueClosedError("the scheduler closed before the sample's turn came")
        error = answer.payload
        assert isinstance(error, BaseException)
        if isinstance(error, PredictError):
            raise PredictError(error.message, detail=error.detail, hint=error.hint)
        raise PredictError(
            f"predict raised {type(error).__name__} on a batch of "
            f"{answer.batch_size} samples",
            detail=str(error) or repr(error),
        ) from error

    def __repr__(self) -> str:
        if self._predictor is None:
            state = "not open"
        else:
            state = "closed" if self._is_closed else "open"
        return f"<Scheduler [{self.queued_count} queued | {state}]>"


def _layouts(
    inputs: Sequence[TensorSpec] | Mapping[str, Array],
) -> list[InputLayout]:
    layouts = []
    if isinstance(inputs, Mapping):
        for name, array in inputs.items():
            layouts.append(_layout(name, array.dtype, array.shape))
    else:
        for spec in inputs:
            shape = tuple(size for size in spec.shape if isinstance(size, int))
            if len(shape) != len(spec.shape):
                raise ConfigError(
                    f"input {spec.name!r} has the dynamic shape {spec.shape}",
                    hint="give every dimension a size",
                )
            layouts.append(_layout(spec.name, np.dtype(spec.dtype), shape))
    if not layouts:
        raise ConfigError("a sample needs at least one input")
    return layouts


def _layout(name: str, dtype: np.dtype[Any], shape: tuple[int, ...]) -> InputLayout:
    if dtype.hasobject or not shape or 0 in shape:
        raise ConfigError(
            f"input {name!r} must be plain data with rows on axis 0, "
            f"not {dtype} of shape {shape}"
        )
    return InputLayout(name, dtype, shape[0], shape[1:])


def _own_outputs(outputs: Any, feeds: Feeds, sample_count: int) -> dict[str, Array]:
    """Make outputs safe to hand out after predict is called again.

    Raises
    ------
    PredictError
        They are not whole rows for each sample.
    """
    check_outputs(outputs, sample_count)
    return {
        name: np.array(array)
        if any(np.may_share_memory(array, feed) for feed in feeds.values())
        else np.asarray(array)
        for name, array in outputs.items()
    }


def _rows_of(payload: Any, position: int, batch_size: int) -> dict[str, Array]:
    rows = {}
    for name, array in payload.items():
        size = array.shape[0] // batch_size
        rows[name] = array[position * size : (position + 1) * size]
    return rows
