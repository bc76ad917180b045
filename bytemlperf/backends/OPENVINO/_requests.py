"""Infer requests behind `predict`: one for each call that runs at once.

Input: a compiled model and feeds. Output: arrays by declared name. Feeds are read in
place; answers are written in place where their shape is known, into arrays that nobody
else refers to.
"""

from __future__ import annotations

import queue
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import openvino

from bytemlperf.backends import Feeds
from bytemlperf.backends.runtimes.binding import feed
from bytemlperf.backends.runtimes.lending import unmarked

__all__ = ["InferRequests"]

# Name, shape if it is known and the output is computed, and type.
_Output = tuple[str, tuple[int, ...] | None, np.dtype[Any]]
# Places in the sample library and the gather buffers: a run comes back to them.
MAX_INPUT_TENSORS = 256
# A run holds one answer at most when it asks for the next one.
MAX_ANSWERS = 2


class InferRequests:
    """A compiled model with as many infer requests as calls may run at once.

    Parameters
    ----------
    compiled : openvino.CompiledModel
        Compiled, with at least `count` streams.
    inputs, outputs : tuple of str
        Declared names in the compiled model's order.
    computed : tuple of bool
        Whether each output is computed, and no mere view of an input. OpenVINO 2026.4
        writes to the *input's* memory if it is lent an array for the output of a
        model that passes the input through.
    count : int
        Requests, >= 1.

    Notes
    -----
    Thread-safety: `predict` may be called from `count` threads at once. The call waits
    on its own request with the GIL released; OpenVINO's streams run them side by side.
    """

    def __init__(
        self,
        compiled: Any,
        inputs: tuple[str, ...],
        outputs: tuple[str, ...],
        computed: tuple[bool, ...],
        count: int,
    ) -> None:
        self._inputs = [
            (name, np.dtype(port.get_element_type().to_dtype()))
            for name, port in zip(inputs, compiled.inputs, strict=True)
        ]
        self._outputs: list[_Output] = [
            (
                name,
                _static_shape(port) if is_computed else None,
                np.dtype(port.get_element_type().to_dtype()),
            )
            for name, port, is_computed in zip(
                outputs, compiled.outputs, computed, strict=True
            )
        ]
        self._idle: queue.SimpleQueue[_Request] = queue.SimpleQueue()
        for _ in range(count):
            self._idle.put(_Request(compiled.create_infer_request(), self._outputs))

    def predict(self, data: Feeds) -> dict[str, npt.NDArray[Any]]:
        """Run one batch.

        Parameters
        ----------
        data : mapping of str to ndarray
            By declared name, in any order.

        Returns
        -------
        dict of str to ndarray
            By declared name.

        Raises
        ------
        PredictError
            An input is missing.
        """
        arrays = [
            np.ascontiguousarray(feed(data, name), dtype)
            for name, dtype in self._inputs
        ]
        request = self._idle.get()
        try:
            return request.infer(arrays)
        finally:
            self._idle.put(request)


class _Request:
    """An infer request, and the memory that it was lent before.

    What a call costs beside the model is mostly memory: a fresh array of some megabytes
    is mapped, zeroed and unmapped by the kernel in each call (3 % of YOLOv5n's time).
    So an answer's array is lent again as soon as nobody else refers to it.
    """

    def __init__(self, request: Any, outputs: Sequence[_Output]) -> None:
        self._request = request
        self._outputs = outputs
        self._set_inputs: dict[int, Any] = {}
        self._input_tensors: dict[tuple[int, int, tuple[int, ...]], Any] = {}
        self._answers: list[list[_Answer]] = [[] for _ in outputs]
        self._set_answers: list[_Answer | None] = [None] * len(outputs)

    def infer(self, arrays: Sequence[npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
        """Run one batch; the arrays stand in the compiled model's order."""
        for index, array in enumerate(arrays):
            self._lend_input(index, array)
        answers = [
            self._lend_answer(index, shape, dtype)
            for index, (_, shape, dtype) in enumerate(self._outputs)
        ]
        self._request.start_async()
        self._request.wait()
        return {
            name: answer.array
            if answer is not None
            else np.array(self._request.get_output_tensor(index).data)
            for index, ((name, _, _), answer) in enumerate(
                zip(self._outputs, answers, strict=True)
            )
        }

    def _lend_input(self, index: int, array: npt.NDArray[Any]) -> None:
        """Let the request read an array's memory, until this call is over.

        A tensor is an address, a type and a shape: one made for an earlier read-only
        array that lay in the same place fits this one as well. Of a writeable array it
        would be a reference, and keep it alive.
        """
        if array.flags.writeable or not array.nbytes:
            tensor = openvino.Tensor(array, shared_memory=True)
        else:
            key = (index, array.__array_interface__["data"][0], array.shape)
            tensor = self._input_tensors.get(key)
            if tensor is None:
                if len(self._input_tensors) >= MAX_INPUT_TENSORS:
                    self._input_tensors.clear()
                tensor = openvino.Tensor(unmarked(array), shared_memory=True)
                self._input_tensors[key] = tensor
            elif self._set_inputs.get(index) is tensor:
                return
        self._request.set_input_tensor(index, tensor)
        self._set_inputs[index] = tensor

    def _lend_answer(
        self, index: int, shape: tuple[int, ...] | None, dtype: np.dtype[Any]
    ) -> _Answer | None:
        """Let the request write into an array that nobody else refers to."""
        if shape is None:
            return None
        pool = self._answers[index]
        answer = next((each for each in pool if each.is_free()), None)
        if answer is None:
            answer = _Answer(shape, dtype)
            if len(pool) >= MAX_ANSWERS:
                # All of them are held by somebody: they are theirs now.
                pool.pop(0)
            pool.append(answer)
        if self._set_answers[index] is not answer:
            self._request.set_output_tensor(index, answer.tensor)
            self._set_answers[index] = answer
        return answer


class _Answer:
    """An array and the tensor on its memory."""

    __slots__ = ("_count", "array", "tensor")

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self.array = np.empty(shape, dtype)
        self.tensor = openvino.Tensor(self.array, shared_memory=True)
        # By this object, by the tensor if it holds one, and by the call itself.
        self._count = sys.getrefcount(self.array)

    def is_free(self) -> bool:
        """Tell whether nobody refers to the array, or to a view of it."""
        return sys.getrefcount(self.array) == self._count


def _static_shape(port: Any) -> tuple[int, ...] | None:
    """Return a port's shape; None if it is dynamic, empty or not numpy's to hold."""
    shape = port.get_partial_shape()
    if shape.is_dynamic:
        return None
    sizes = tuple(int(size) for size in shape.to_shape())
    return sizes if all(sizes) and sizes else None
