"""Infer requests behind `predict`: one for each call that runs at once.

Input: a compiled model and feeds. Output: arrays by declared name. Feeds are read in
place; answers are written into fresh arrays in place where their shape is known.
"""

from __future__ import annotations

import queue
from typing import Any

import numpy as np
import numpy.typing as npt
import openvino

from bytemlperf.backends import Feeds
from bytemlperf.backends.runtimes.binding import feed
from bytemlperf.backends.runtimes.lending import unmarked

__all__ = ["InferRequests"]


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
        self._outputs = [
            (
                name,
                _static_shape(port) if is_computed else None,
                np.dtype(port.get_element_type().to_dtype()),
            )
            for name, port, is_computed in zip(
                outputs, compiled.outputs, computed, strict=True
            )
        ]
        self._idle: queue.SimpleQueue[Any] = queue.SimpleQueue()
        for _ in range(count):
            self._idle.put(compiled.create_infer_request())

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
            for index, array in enumerate(arrays):
                # Shared: the memory is read while the request runs, and not after it.
                lent = openvino.Tensor(unmarked(array), shared_memory=True)
                request.set_input_tensor(index, lent)
            answers = self._lend_answers(request)
            request.start_async()
            request.wait()
            return {
                name: (
                    answer
                    if answer is not None
                    else np.array(request.get_output_tensor(index).data)
                )
                for index, ((name, _, _), answer) in enumerate(
                    zip(self._outputs, answers, strict=True)
                )
            }
        finally:
            self._idle.put(request)

    def _lend_answers(self, request: Any) -> list[npt.NDArray[Any] | None]:
        """Give the request fresh arrays to write its outputs into."""
        answers: list[npt.NDArray[Any] | None] = []
        for index, (_, shape, dtype) in enumerate(self._outputs):
            answer = None if shape is None else np.empty(shape, dtype)
            if answer is not None:
                lent = openvino.Tensor(answer, shared_memory=True)
                request.set_output_tensor(index, lent)
            answers.append(answer)
        return answers


def _static_shape(port: Any) -> tuple[int, ...] | None:
    """Return a port's shape; None if it is dynamic, empty or not numpy's to hold."""
    shape = port.get_partial_shape()
    if shape.is_dynamic:
        return None
    sizes = tuple(int(size) for size in shape.to_shape())
    return sizes if all(sizes) and sizes else None
